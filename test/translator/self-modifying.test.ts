// A program that overwrites its own instructions: ahead in the block that runs, in a function that was called, in the caller of the
// function that does it; data beside code; a page that is code and data by turns. With every engine, in many slices.

import assert from 'node:assert/strict';
import {readFileSync} from 'node:fs';
import {Random} from '../differential/random.ts';
import {bareConfig, compare, newMachine, reference, VARIANTS} from './equivalence.ts';

const FIRST_SEED = Number(process.env.FTVM_SEED ?? 1);
const SEEDS = 10;
const PROGRAM = new URL('../../fixtures/translator/self-modifying.elf', import.meta.url);
/** As QEMU ends it. */
const EXIT_CODE = 57;

describe(`translator: code that changes (seeds from ${FIRST_SEED})`, function () {
  this.timeout(60_000);
  const guest = {
    name: 'self-modifying',
    config: bareConfig({ramBytes: 4 * 2 ** 20}),
    images: {kernel: new Uint8Array(readFileSync(PROGRAM))},
  };

  for (const variant of VARIANTS) {
    it(`${variant.name}: ${SEEDS} seeds, and the exit code`, async () => {
      const machine = newMachine(guest, variant.engine);
      assert.deepEqual(machine.runUntil(1_000_000n), {kind: 'halted', ending: {kind: 'poweroff', code: EXIT_CODE}});
      for (let seed = FIRST_SEED; seed < FIRST_SEED + SEEDS; seed += 1) {
        const random = new Random(seed);
        const script = await reference(guest, {random, checkpoints: 10});
        const difference = await compare(guest, script, {variant, random, slices: random.below(400)});
        assert.equal(difference, undefined, `seed ${seed}`);
      }
    });
  }
});
