// x × y + z with one rounding (IEEE 754-2019, 5.4.1): the product is exact in 128 bits, the sum exact or jammed. The negated variants are
// the caller's business: he flips the signs of operands.

import type {Builder, FunctionDefinition, LocalExpr} from '../expression.ts';
import {type Format, NV} from './format.ts';
import {returnRounded, zeroSum} from './round-pack.ts';
import {isNan, isSpecial, isUnordinary, isZero, returnInvalid, returnNan, signOf, unpack} from './unpack.ts';
import {multiplyHigh, nonzero, shiftRightJam128} from './wide.ts';

type Operands = {x: LocalExpr; y: LocalExpr; z: LocalExpr; rm: LocalExpr; productSign: LocalExpr};

export function fusedMultiplyAddFunction(f: Format): FunctionDefinition {
  return {
    name: `${f.name}.fmaExact`,
    params: ['i64', 'i64', 'i64', 'i32'],
    result: 'i64',
    build(b, x, y, z, rm) {
      const productSign = b.let(signOf(b, f, b.xor(x, y)));
      const operands: Operands = {x, y, z, rm, productSign};
      b.if(isUnordinary(b, f, [x, y, z]), () => returnSpecial(b, f, operands));
      returnSum(b, f, operands);
    },
  };
}

/** Returns the result where an operand is a NaN or an infinity, or the product is zero. */
function returnSpecial(b: Builder, f: Format, {x, y, z, rm, productSign}: Operands): void {
  const someZero = b.let(b.or(isZero(b, f, x), isZero(b, f, y)));
  const someSpecial = b.let(b.or(isSpecial(b, f, x), isSpecial(b, f, y)));
  b.if(b.or(someSpecial, isSpecial(b, f, z)), () => {
    b.if(b.or(isNan(b, f, x), isNan(b, f, y)), () => returnNan(b, f, [x, y, z]));
    // Infinity times zero is invalid, even where a quiet NaN is added (F 2.6 demands it; IEEE 754-2019, 7.2 leaves it open).
    b.if(b.and(someSpecial, someZero), () => returnInvalid(b, f));
    b.if(isNan(b, f, z), () => returnNan(b, f, [z]));
    b.if(b.eqz(someSpecial), () => b.return(z));
    const infinity = b.let(b.or(b.shl(productSign, b.i64(f.bits - 1)), b.i64(f.infinity)));
    b.if(b.eq(b.xor(infinity, z), b.i64(f.signMask)), () => b.raise(b.i32(NV)));
    b.return(b.select(b.eq(b.xor(infinity, z), b.i64(f.signMask)), b.i64(f.nan), infinity));
  });
  b.if(someZero, () => {
    const zero = b.let(b.shl(productSign, b.i64(f.bits - 1)));
    b.if(b.eq(b.xor(zero, z), b.i64(f.signMask)), () => b.return(zeroSum(b, f, rm)));
    b.return(z);
  });
}

/** Returns the rounded sum of a nonzero product and a finite number. */
function returnSum(b: Builder, f: Format, {x, y, z, rm, productSign}: Operands): void {
  const xParts = unpack(b, f, x);
  const yParts = unpack(b, f, y);
  const product = b.let(b.mul(xParts.significand, yParts.significand));
  const productHigh = b.let(multiplyHigh(b, xParts.significand, yParts.significand));
  // The product, below 4, is taken as a significand below 2, and then shifted to leave a bit for the carry of the sum.
  const exponent = b.let(b.sub(b.add(xParts.exponent, yParts.exponent), b.i64(f.bias - 2)));
  const low = b.let(b.or(b.shrU(product, b.i64(1)), b.shl(productHigh, b.i64(63))));
  const high = b.let(b.shrU(productHigh, b.i64(1)));
  const sign = b.let(productSign);

  b.if(b.eqz(isZero(b, f, z)), () => {
    const zParts = unpack(b, f, z);
    const zSign = b.let(signOf(b, f, z));
    const addendHigh = b.let(b.shrU(zParts.significand, b.i64(1)));
    const addendLow = b.let(b.i64(0));
    const distance = b.let(b.sub(exponent, b.add(zParts.exponent, b.i64(1))));
    const differ = b.let(b.ne(sign, zSign));
    // The one of the smaller exponent is shifted: let it be the addend.
    b.if(b.ltS(distance, b.i64(0)), () => {
      b.set(exponent, b.sub(exponent, distance));
      b.set(distance, b.neg(distance));
      b.set(addendLow, low);
      b.set(low, addendHigh);
      b.set(addendHigh, high);
      b.set(high, low);
      b.set(low, b.i64(0));
      b.set(sign, zSign);
    });
    shiftRightJam128(b, addendHigh, addendLow, distance);
    b.if(
      differ,
      () => {
        const borrow = b.let(b.zext(b.ltU(low, addendLow)));
        b.set(low, b.sub(low, addendLow));
        b.set(high, b.sub(b.sub(high, addendHigh), borrow));
        b.if(b.eqz(b.or(high, low)), () => b.return(zeroSum(b, f, rm)));
        b.if(b.ltS(high, b.i64(0)), () => {
          b.set(high, b.sub(b.neg(high), nonzero(b, low)));
          b.set(low, b.neg(low));
          b.set(sign, b.xor(sign, b.i64(1)));
        });
      },
      () => {
        b.set(low, b.add(low, addendLow));
        b.set(high, b.add(b.add(high, addendHigh), b.zext(b.ltU(low, addendLow))));
      },
    );
  });

  // The leading 64 bits, the rest jammed.
  b.if(b.eqz(high), () => {
    b.set(high, low);
    b.set(low, b.i64(0));
    b.set(exponent, b.sub(exponent, b.i64(64)));
  });
  const shift = b.let(b.op('i64.clz', high));
  b.if(b.ne(shift, b.i64(0)), () => {
    b.set(high, b.or(b.shl(high, shift), b.shrU(low, b.neg(shift))));
    b.set(low, b.shl(low, shift));
  });
  returnRounded(b, f, sign, b.sub(exponent, shift), b.or(high, nonzero(b, low)), rm);
}
