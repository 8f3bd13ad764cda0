// Random instruction sequences with every engine. A seed decides the program, the positions that are compared, the slices, and when
// translations are installed. FTVM_SEED=n starts elsewhere; FTVM_TRANSLATOR_SEEDS=n takes so many seeds.

import assert from 'node:assert/strict';
import {generate, KINDS} from '../differential/generate.ts';
import {Random} from '../differential/random.ts';
import {bareConfig, compare, reference, VARIANTS} from './equivalence.ts';

const FIRST_SEED = Number(process.env.FTVM_SEED ?? 1);
const SEEDS = Number(process.env.FTVM_TRANSLATOR_SEEDS ?? 1000);
/** Seeds in one test: enough to say how far a run has come. */
const GROUP = 50;

describe(`translator: random programs (seeds ${FIRST_SEED} to ${FIRST_SEED + SEEDS - 1})`, function () {
  this.timeout(120_000);
  for (let first = FIRST_SEED; first < FIRST_SEED + SEEDS; first += GROUP) {
    const last = Math.min(first + GROUP, FIRST_SEED + SEEDS) - 1;
    it(`seeds ${first} to ${last}`, async () => {
      for (let seed = first; seed <= last; seed += 1) assert.equal(await tryProgram(seed), undefined, `seed ${seed}`);
    });
  }
});

async function tryProgram(seed: number): Promise<string | undefined> {
  const random = new Random(seed);
  const kind = KINDS[seed % KINDS.length];
  const {image} = generate(seed, {kind, sequences: 2, length: 40});
  const guest = {name: `${kind} sequences`, config: bareConfig({ramBytes: 8 * 2 ** 20}), images: {kernel: image}};
  const script = await reference(guest, {random, checkpoints: 4});
  const variant = random.pick(VARIANTS);
  return compare(guest, script, {variant, random, slices: 8});
}
