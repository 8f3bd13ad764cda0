// The floating-point functions against an oracle: results and flags, bit by bit, with NX accrued beforehand (the fast path) and without.
// The checked-in answers (make-vectors.ts) are always compared; with QEMU's user mode hundreds of thousands of cases are asked anew.
// FTVM_SEED repeats a run.

import assert from 'node:assert/strict';
import type {FunctionDefinition} from '../../src/emulator/isa/expression.ts';
import {SOFT_FLOAT} from '../../src/emulator/isa/softfloat/soft-float.ts';
import {skipUnless} from '../support/skip.ts';
import {type Case, encodeCases, FunctionsUnderTest, findDifference, withInexact} from './batch.ts';
import {Random, randomCases, specialCases} from './cases.ts';
import {OPERATIONS} from './operations.ts';
import {Oracle, oracleMissing} from './oracle.ts';
import {readVectors} from './vectors.ts';

const SEED = Number(process.env.FTVM_SEED ?? Math.floor(Math.random() * 2 ** 31));
const RANDOM_CASES = 8000;
/** Fused operations have the most ways to be wrong. */
const FUSED_CASES = 100_000;

/** The first difference on either path, or undefined. */
function compare(functions: FunctionsUnderTest, cases: readonly Case[], expected: Uint8Array): string | undefined {
  const records = encodeCases(cases);
  for (const accruedFlags of [0, 1]) {
    const wanted = accruedFlags === 0 ? expected : withInexact(expected);
    const difference = findDifference(cases, {
      expected: wanted,
      actual: functions.answer(cases, records, accruedFlags),
    });
    if (difference !== undefined) return `${difference} (flags beforehand: ${accruedFlags})`;
  }
  return undefined;
}

describe('floating point', () => {
  const functions = new FunctionsUnderTest();
  const vectors = readVectors();

  it(`agrees with ${vectors.cases.length} recorded answers of the oracle`, () => {
    assert.ok(vectors.cases.length > 3000, 'the recorded answers are missing');
    assert.equal(compare(functions, vectors.cases, vectors.answers), undefined);
  });

  describe(`beside the oracle, seed ${SEED}`, () => {
    let oracle: Oracle | undefined;
    before(function () {
      const missing = oracleMissing();
      skipUnless(this, missing === undefined, missing ?? '');
      oracle = new Oracle();
    });
    after(() => oracle?.[Symbol.dispose]());

    for (const operation of OPERATIONS) {
      it(operation.name, () => {
        const random = new Random(SEED + operation.number);
        const count = operation.operands.length === 3 ? FUSED_CASES : RANDOM_CASES;
        const cases = [...specialCases(operation), ...randomCases(operation, count, random)];
        assert.equal(compare(functions, cases, oracle!.answer(encodeCases(cases))), undefined);
      });
    }
  });

  describe('notices', () => {
    const replaced = (
      name: string,
      change: (original: FunctionDefinition) => FunctionDefinition[],
    ): FunctionDefinition[] =>
      SOFT_FLOAT.flatMap((definition) => (definition.name === name ? change(definition) : [definition]));
    const notice = (definitions: readonly FunctionDefinition[], expected: RegExp): void => {
      assert.match(compare(new FunctionsUnderTest(definitions), vectors.cases, vectors.answers) ?? 'nothing', expected);
    };

    for (const f of ['f32', 'f64']) {
      it(`ties of ${f} rounded away from zero`, () => {
        const original = `${f}.roundPackRight`;
        notice(
          replaced(`${f}.roundPack`, (right) => [
            {...right, name: original},
            {
              ...right,
              build(b, sign, exponent, significand, rm) {
                const wrong = b.select(rm, rm, b.i32(4));
                b.return(b.call('i64', original, sign, exponent, significand, wrong));
              },
            },
          ]),
          new RegExp(`^${f}`),
        );
      });
    }

    it('the host’s product taken where it underflows', () => {
      notice(
        replaced('f64.mul', (mul) => [
          {
            ...mul,
            build(b, x, y, rm) {
              const product = b.let(b.op('f64.mul', x, y));
              const [bits, left, right] = [product, x, y].map((value) => b.op('i64.reinterpret_f64', value));
              const number = b.ltU(b.and(bits, b.i64(2n ** 63n - 1n)), b.i64(0x7ff0_0000_0000_0000n));
              const fast = b.and(b.eqz(rm), b.and(number, b.accruedFlags()));
              const exact = b.op('f64.reinterpret_i64', b.call('i64', 'f64.mulExact', left, right, rm));
              b.return(b.choose(fast, product, exact));
            },
          },
        ]),
        /^f64\.mul.*flags 3, got.*flags 1 /,
      );
    });

    it('a fused multiplication and addition that is not', () => {
      notice(
        replaced('f64.fma', (right) => [
          {
            ...right,
            build(b, x, y, z, rm) {
              b.return(b.call('i64', 'f64.add', b.call('i64', 'f64.mul', x, y, rm), z, rm));
            },
          },
        ]),
        /^f64\.fma/,
      );
    });
  });
});
