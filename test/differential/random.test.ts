// Random instruction sequences: every machine against the oracle. The seeds are fixed, so that a run can be repeated;
// FTVM_SEED=n starts elsewhere, FTVM_SEEDS=n takes n seeds of each kind instead of the default.

import assert from 'node:assert/strict';
import {skipUnless} from '../support/skip.ts';
import {generate, KINDS, type Kind} from './generate.ts';
import {judge, runSequences} from './judge.ts';
import {type GuestRunner, oracle, runners} from './runner.ts';

const FIRST_SEED = Number(process.env.FTVM_SEED ?? 1);
const SEEDS = Number(process.env.FTVM_SEEDS ?? 3);
const SEQUENCES = 200;
const LENGTH = 40;
const options = (kind: Kind) => ({kind, sequences: SEQUENCES, length: LENGTH});
const seeds = Array.from({length: SEEDS}, (_, index) => FIRST_SEED + index);
const missing = oracle.missing();

describe(`random sequences: the generator (seed ${FIRST_SEED})`, () => {
  for (const kind of KINDS) {
    it(`${kind}: the oracle runs every sequence to its end, the same twice`, async function () {
      this.timeout(120_000);
      skipUnless(this, missing === undefined, missing ?? '');
      const lines = await runSequences(generate(FIRST_SEED, options(kind)), oracle);
      assert.equal(lines.length, SEQUENCES + 3, lines.at(-1));
      assert.deepEqual(await runSequences(generate(FIRST_SEED, options(kind)), oracle), lines);
      for (const line of lines) assert.ok(!/ traps [4-9]\d\d /.test(line), `a sequence ran away: ${line}`);
    });
  }

  it('the same seed gives the same image, another seed another', () => {
    const image = (seed: number) => Buffer.from(generate(seed, {kind: 'mixed', sequences: 5, length: 20}).image);
    assert.ok(image(7).equals(image(7)));
    assert.ok(!image(7).equals(image(8)));
  });
});

for (const runner of runners.filter((candidate) => candidate !== oracle)) {
  describe(`random sequences: ${runner.name} against ${oracle.name}`, () => {
    for (const kind of KINDS) {
      for (const seed of seeds) {
        it(`${kind}, seed ${seed}: ${SEQUENCES} sequences of ${LENGTH} units`, async function () {
          this.timeout(300_000);
          skipUnless(this, missing === undefined, missing ?? '');
          const {difference} = await judge(seed, options(kind), runner);
          assert.equal(difference, undefined, difference);
        });
      }
    }
  });
}

/** A machine with a fault: in the image that it runs, one instruction is another one. */
function faulty(mask: number, match: number, flip: number): GuestRunner {
  return {
    name: 'a faulty machine',
    missing: oracle.missing,
    run(run) {
      const kernel = run.kernel.slice();
      const view = new DataView(kernel.buffer);
      for (let at = 0x4000; at + 4 <= kernel.length; at += 2) {
        const word = view.getUint32(at, true);
        if ((word & mask) >>> 0 === match >>> 0) view.setUint32(at, word ^ flip, true);
      }
      return oracle.run({...run, kernel});
    },
  };
}

describe('random sequences: canaries', () => {
  it('one flipped bit in one line of the console is found, with its sequence', async function () {
    this.timeout(120_000);
    skipUnless(this, missing === undefined, missing ?? '');
    const flipping: GuestRunner = {
      ...oracle,
      name: 'a flipped bit',
      async run(run) {
        const result = await oracle.run(run);
        const at = Buffer.from(result.console).indexOf('#17 x ') + 8;
        if (at > 8) result.console[at]! ^= 1;
        return result;
      },
    };
    const {difference} = await judge(FIRST_SEED, options('integer'), flipping);
    assert.match(difference ?? '', /sequence 17 differs/);
  });

  it('a machine that takes fmul.d for fdiv.d is found, and the instruction is named', async function () {
    this.timeout(120_000);
    skipUnless(this, missing === undefined, missing ?? '');
    const {difference} = await judge(FIRST_SEED, options('float'), faulty(0xfe00007f, 0x12000053, 0x08000000));
    assert.match(difference ?? '', /\(fmul\.d\)/);
  });

  it('a machine that takes sc.d for amoswap.d is found, and the instruction is named', async function () {
    this.timeout(120_000);
    skipUnless(this, missing === undefined, missing ?? '');
    const {difference} = await judge(FIRST_SEED, options('atomic'), faulty(0xf800707f, 0x1800302f, 0x10000000));
    assert.match(difference ?? '', /\(sc\.d\)/);
  });
});
