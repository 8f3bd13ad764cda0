// Rounds an exact, or jammed, nonzero result to a format and raises the exceptions that rounding can raise (IEEE 754-2019, 4.3
// and 7.4 to 7.6). RISC-V detects tininess after rounding (F 2.2): as if the exponent had no lower limit.

import type {Builder, Expr, FunctionDefinition, LocalExpr} from '../expression.ts';
import {type Format, NX, OF, RDN, RMM, RTZ, UF} from './format.ts';
import {shiftRightJam} from './wide.ts';

/** (sign, exponent, significand, rm) → bits; what they mean: unpack.ts, only that the significand need not be normalised. */
export function roundPackFunction(f: Format): FunctionDefinition {
  // Bits of the significand below the format's last one.
  const guardBits = 63 - f.fractionBits;
  const guardMask = (1n << BigInt(guardBits)) - 1n;
  const half = 1n << BigInt(guardBits - 1);
  return {
    name: `${f.name}.roundPack`,
    params: ['i64', 'i64', 'i64', 'i32'],
    result: 'i64',
    build(b, sign, exponent, significand, rm) {
      const shift = b.let(b.op('i64.clz', significand));
      b.set(significand, b.shl(significand, shift));
      b.set(exponent, b.sub(exponent, shift));

      // What is added below the last bit, so that its carry is the rounding.
      const increment = b.let(b.i64(half));
      b.if(rm, () => {
        const away = b.select(b.eq(b.zext(b.eq(rm, b.i32(RDN))), sign), b.i64(guardMask), b.i64(0));
        const directed = b.choose(b.eq(rm, b.i32(RTZ)), b.i64(0), away);
        b.set(increment, b.choose(b.eq(rm, b.i32(RMM)), b.i64(half), directed));
      });

      const underflow = b.let(b.i32(0));
      b.if(b.ltS(exponent, b.i64(1)), () => {
        const carries = b.ltU(b.add(significand, increment), significand);
        b.set(underflow, b.select(b.choose(b.eqz(exponent), carries, b.i32(0)), b.i32(0), b.i32(UF)));
        b.set(significand, shiftRightJam(b, significand, b.sub(b.i64(1), exponent)));
        b.set(exponent, b.i64(1));
      });

      const rest = b.let(b.and(significand, b.i64(guardMask)));
      const carry = b.shrU(b.add(rest, increment), b.i64(guardBits));
      const rounded = b.let(b.add(b.shrU(significand, b.i64(guardBits)), carry));
      // A tie that was rounded up to an odd number belongs to the even one below.
      b.if(b.eqz(b.or(b.zext(rm), b.xor(rest, b.i64(half)))), () => b.set(rounded, b.and(rounded, b.i64(-2))));
      // The hidden bit, or a carry out of the fraction, counts the exponent field up.
      const bits = b.let(b.add(b.shl(b.sub(exponent, b.i64(1)), b.i64(f.fractionBits)), rounded));
      const signBit = b.let(b.shl(sign, b.i64(f.bits - 1)));
      b.if(b.or(b.geS(exponent, b.i64(f.exponentMax)), b.geU(bits, b.i64(f.infinity))), () => {
        b.raise(b.i32(OF | NX));
        // The modes that round away from zero give infinity, the others the largest finite number.
        b.return(b.or(signBit, b.sub(b.i64(f.infinity), b.zext(b.eqz(increment)))));
      });
      b.if(b.ne(rest, b.i64(0)), () => b.raise(b.or(underflow, b.i32(NX))));
      b.return(b.or(signBit, bits));
    },
  };
}

/** Returns a rounded result from a function whose result is i64 bits. */
export function returnRounded(b: Builder, f: Format, sign: Expr, exponent: Expr, significand: Expr, rm: Expr): void {
  b.return(b.call('i64', `${f.name}.roundPack`, sign, exponent, significand, rm));
}

/** The sign of an exact zero sum of numbers that were not both that zero: minus only when rounding down (IEEE 754-2019, 6.3). */
export function zeroSum(b: Builder, f: Format, rm: Expr): Expr {
  return b.select(b.eq(rm, b.i32(RDN)), b.i64(f.signMask), b.i64(0));
}

/** The significand of a number next to the `digits` (fractionBits + 1 of them) nearest to it: above, at or below, as `remainder` is. */
export function nextTo(b: Builder, f: Format, digits: Expr, remainder: LocalExpr): Expr {
  const significand = b.shl(digits, b.i64(63 - f.fractionBits));
  const above = b.zext(b.gtS(remainder, b.i64(0)));
  const below = b.shrU(remainder, b.i64(63));
  return b.sub(b.add(significand, above), below);
}
