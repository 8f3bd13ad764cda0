// Every fixture guest with every engine: the same states at seeded random positions, the same console.

import assert from 'node:assert/strict';
import {Random} from '../differential/random.ts';
import {readGuestFile, readManifest} from '../support/fixture-guests.ts';
import {bareConfig, compare, type Guest, reference, VARIANTS} from './equivalence.ts';

const SEED = Number(process.env.FTVM_SEED ?? 1);
const CHECKPOINTS = 12;
const SLICES = 40;
/** Some guests compute for long; the beginning is enough here. */
const LIMIT = 30_000_000n;

describe(`translator: fixture guests (seed ${SEED})`, function () {
  this.timeout(60_000);
  for (const {name, file, input, diskBytes} of readManifest().guests) {
    it(name, async () => {
      const guest: Guest = {
        name,
        config: bareConfig({ramBytes: 32 * 2 ** 20, disks: diskBytes === undefined ? [] : [{sizeBytes: diskBytes}]}),
        images: {kernel: readGuestFile(file)},
        ...(input && {typed: input}),
      };
      const random = new Random(SEED);
      const script = await reference(guest, {random, checkpoints: CHECKPOINTS, limit: LIMIT});
      assert.ok(script.end > 0n);
      for (const variant of VARIANTS)
        assert.equal(await compare(guest, script, {variant, random, slices: SLICES}), undefined);
    });
  }
});
