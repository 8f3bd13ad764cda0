// Conversions to integers (IEEE 754-2019, 5.4.1 and 5.8). What does not fit saturates and raises NV alone; a NaN goes to the largest
// integer (RISC-V unprivileged ISA, F 2.7, table 30). 32-bit results are sign-extended, unsigned ones too.

import type {Expr, FunctionDefinition} from '../expression.ts';
import {bitsOf, type Format, NV, NX, RDN, RMM, RNE, RUP} from './format.ts';
import {isNan, isZero, signOf, unpack} from './unpack.ts';

/** The magnitudes up to which a positive and a negative number fit. */
const TARGETS = [
  {name: 'I32', bits: 32, positive: (1n << 31n) - 1n, negative: 1n << 31n},
  {name: 'U32', bits: 32, positive: (1n << 32n) - 1n, negative: 0n},
  {name: 'I64', bits: 64, positive: (1n << 63n) - 1n, negative: 1n << 63n},
  {name: 'U64', bits: 64, positive: (1n << 64n) - 1n, negative: 0n},
] as const;

export function toIntegerFunctions(f: Format): FunctionDefinition[] {
  return TARGETS.map((target) => ({
    name: `${f.name}.to${target.name}`,
    params: [f.name, 'i32'],
    result: 'i64',
    build(b, value, rm) {
      const extended = (integer: Expr): Expr => (target.bits === 32 ? b.sext32(integer) : integer);
      const bits = bitsOf(b, f, value);
      b.if(isNan(b, f, bits), () => {
        b.raise(b.i32(NV));
        b.return(extended(b.i64(target.positive)));
      });
      b.if(isZero(b, f, bits), () => b.return(b.i64(0)));
      const sign = b.let(signOf(b, f, bits));
      const {exponent, significand} = unpack(b, f, bits);
      const limit = b.select(b.wrap(sign), b.i64(target.negative), b.i64(target.positive));
      const power = b.sub(exponent, b.i64(f.bias));
      b.return(extended(b.call('i64', TO_INTEGER.name, sign, power, significand, limit, rm)));
    },
  }));
}

/** (sign, power of two, significand from 1 to 2, largest magnitude that fits, rm) → integer. */
export const TO_INTEGER: FunctionDefinition = {
  name: 'float.toInteger',
  params: ['i64', 'i64', 'i64', 'i64', 'i32'],
  result: 'i64',
  build(b, sign, power, significand, limit, rm) {
    const signed = (magnitude: Expr): Expr => b.sub(b.xor(magnitude, b.neg(sign)), b.neg(sign));
    const integer = b.let(b.i64(0));
    // What lies behind the binary point, its first bit highest.
    const rest = b.let(b.i64(1));
    b.if(b.gtS(power, b.i64(63)), () => saturate());
    b.if(b.eq(power, b.i64(63)), () => {
      b.set(integer, significand);
      b.set(rest, b.i64(0));
    });
    b.if(b.ltU(power, b.i64(63)), () => {
      b.set(integer, b.shrU(significand, b.sub(b.i64(63), power)));
      b.set(rest, b.shl(significand, b.add(power, b.i64(1))));
    });
    b.if(b.eq(power, b.i64(-1)), () => b.set(rest, significand));
    b.if(roundsAway(), () => b.set(integer, b.add(integer, b.i64(1))));
    b.if(b.gtU(integer, limit), () => saturate());
    b.if(b.ne(rest, b.i64(0)), () => b.raise(b.i32(NX)));
    b.return(signed(integer));

    function saturate(): void {
      b.raise(b.i32(NV));
      b.return(signed(limit));
    }

    function roundsAway(): Expr {
      const half = b.i64(1n << 63n);
      const outward = b.select(b.wrap(sign), b.i32(RDN), b.i32(RUP));
      // An odd integer's tie is made more than a half; the sum cannot wrap, as no format's significand has all 64 bits.
      const nearestEven = b.gtU(b.add(rest, b.and(integer, b.i64(1))), half);
      const directed = b.and(b.ne(rest, b.i64(0)), b.eq(rm, outward));
      const other = b.choose(b.eq(rm, b.i32(RMM)), b.geU(rest, half), directed);
      return b.choose(b.eq(rm, b.i32(RNE)), nearestEven, other);
    }
  },
};
