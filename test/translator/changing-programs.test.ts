// Programs under which translated code changes, with every engine, in many slices. One overwrites its own instructions: ahead in the
// block that runs, in a function that was called, in the caller of the function that does it; data beside code; a page that is code and
// data by turns. The other remaps a page, and takes the right to it away, between accesses that translated code takes together.

import assert from 'node:assert/strict';
import {readFileSync} from 'node:fs';
import {Random} from '../differential/random.ts';
import {bareConfig, compare, newMachine, reference, VARIANTS} from './equivalence.ts';

const FIRST_SEED = Number(process.env.FTVM_SEED ?? 1);
const SEEDS = 10;
/** The first one ends so under QEMU as well, the second under the interpreter. */
const PROGRAMS = [
  {name: 'self-modifying', exitCode: 57},
  {name: 'remapping', exitCode: 40},
];

for (const {name, exitCode} of PROGRAMS) {
  describe(`translator: ${name} (seeds from ${FIRST_SEED})`, function () {
    this.timeout(120_000);
    const kernel = readFileSync(new URL(`../../fixtures/translator/${name}.elf`, import.meta.url));
    const guest = {name, config: bareConfig({ramBytes: 4 * 2 ** 20}), images: {kernel: new Uint8Array(kernel)}};

    for (const variant of VARIANTS) {
      it(`${variant.name}: ${SEEDS} seeds, and the exit code`, async () => {
        const machine = newMachine(guest, variant.engine);
        assert.deepEqual(machine.runUntil(1_000_000n), {kind: 'halted', ending: {kind: 'poweroff', code: exitCode}});
        for (let seed = FIRST_SEED; seed < FIRST_SEED + SEEDS; seed += 1) {
          const random = new Random(seed);
          const script = await reference(guest, {random, checkpoints: 10});
          const difference = await compare(guest, script, {variant, random, slices: random.below(400)});
          assert.equal(difference, undefined, `seed ${seed}`);
        }
      });
    }
  });
}
