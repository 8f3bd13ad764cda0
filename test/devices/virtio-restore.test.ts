// A state written into a new device goes on exactly as the old one: whatever a device knows is in the state table.

import assert from 'node:assert/strict';
import fc from 'fast-check';
import {copyState, dumpState, FakeMemory, SEED} from './fake-machine.ts';
import {makeSubject, play, RAM_BYTES, ringCase, type Subject} from './ring-cases.ts';

/** A new device of the same kind, on the same memory, with the old one's state. */
function restored(old: Subject, memory: FakeMemory, options: {forget?: string} = {}): Subject {
  const fresh = makeSubject(old.kind, memory);
  copyState(old.state, fresh.state);
  const forgotten = fresh.state.entries.find(({name}) => name === options.forget);
  if (forgotten !== undefined)
    forgotten.write(forgotten.type === 'blob' ? new Uint8Array(0) : forgotten.read().map(() => 0));
  fresh.line.level = old.line.level;
  fresh.sent.push(...old.sent);
  for (const index of old.overlay?.present() ?? []) fresh.overlay?.setPage(index, old.overlay?.page(index));
  return fresh;
}

/** Everything that a guest, or the host, can see of a device. */
function visible({state, line, sent, overlay}: Subject, memory: FakeMemory) {
  return {
    state: dumpState(state),
    level: line.level,
    sent,
    memory: Buffer.from(memory.bytes).toString('base64'),
    pages: [...(overlay?.present() ?? [])].map((index) => [index, overlay?.page(index)?.join()]),
  };
}

function property(replace: (old: Subject, memory: FakeMemory) => Subject) {
  return fc.property(ringCase, (ring) => {
    const [plainMemory, otherMemory] = [new FakeMemory(RAM_BYTES), new FakeMemory(RAM_BYTES)];
    const plain = play(ring, plainMemory);
    const other = play(ring, otherMemory, (old) => replace(old, otherMemory));
    assert.deepEqual(visible(other.subject, otherMemory), visible(plain.subject, plainMemory));
  });
}

describe('virtio after a restore', () => {
  it(`goes on as if nothing had happened, at any moment (seed ${SEED})`, () => {
    fc.assert(
      property((old, memory) => restored(old, memory)),
      {seed: SEED, numRuns: 500},
    );
  }).timeout(60_000);

  for (const forget of ['disk.request.0', 'net.receive.usedIndex', 'net.waiting', 'entropy.pending']) {
    it(`canary: a device that forgets ${forget} is seen (seed ${SEED})`, () => {
      const details = fc.check(
        property((old, memory) => restored(old, memory, {forget})),
        {seed: SEED, numRuns: 500, endOnFailure: true},
      );
      assert.equal(details.failed, true);
    }).timeout(60_000);
  }
});
