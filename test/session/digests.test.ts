// The state digest: incremental, it is what a digest of all pages is, whenever it is taken for the first time.

import assert from 'node:assert/strict';
import {readFileSync} from 'node:fs';
import {Machine} from '../../src/emulator/machine.ts';
import {PAGE_BYTES} from '../../src/emulator/paged-memory.ts';
import {StateDigest} from '../../src/session/digests.ts';
import {bareConfig} from '../translator/equivalence.ts';

const PROGRAM = new URL('../../fixtures/guests/bin/paging.elf', import.meta.url);
const STEPS = 2000n;

describe('the state digest', () => {
  const images = {kernel: new Uint8Array(readFileSync(PROGRAM))};
  const config = bareConfig({ramBytes: 16 * 2 ** 20});

  it('is the same, whenever it was taken before', async () => {
    const machine = new Machine(config, images);
    const early = await StateDigest.create(machine);
    const first = early.compute();
    machine.runUntil(STEPS);
    assert.notDeepEqual(early.compute(), first);
    machine.runUntil(2n * STEPS);
    const late = await StateDigest.create(machine);
    assert.deepEqual(late.compute(), early.compute());
    early.invalidate();
    assert.deepEqual(early.compute(), late.compute());
  });

  it('says before it was taken what it would cost, page by page, and is what it would have been', async () => {
    const machine = new Machine(config, images);
    machine.runUntil(STEPS);
    const [asked, unasked] = [await StateDigest.create(machine), await StateDigest.create(machine)];
    // A nanosecond each time that the clock is read.
    let nowNs = 0n;
    const clock = {nowNs: () => nowNs++};
    const [ram] = machine.memories;
    assert.equal(asked.firstDigestNs(clock), BigInt(Math.floor(ram.filled().length / sampled(ram.filled().length))));
    assert.deepEqual(asked.compute(), unasked.compute());
    assert.equal(asked.firstDigestNs(clock), 0n);
  });

  it('reads every page of RAM that is not zero', () => {
    const machine = new Machine(config, images);
    machine.runUntil(2n * STEPS);
    const [ram] = machine.memories;
    const filled = new Set(ram.filled());
    assert.ok(filled.size > 0 && filled.size < ram.pageCount);
    const zeros = Buffer.alloc(PAGE_BYTES);
    for (const index of ram.present()) {
      const page = ram.page(index);
      assert.ok(filled.has(index) || (page !== undefined && zeros.equals(page)), `page ${index}`);
    }
  });
});

/** How many of so many pages stand for all of them. */
function sampled(pages: number): number {
  return Math.ceil(pages / Math.ceil(pages / 256));
}
