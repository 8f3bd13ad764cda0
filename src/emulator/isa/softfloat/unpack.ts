// Takes bit patterns apart, and answers what kind of datum they are. A finite nonzero number is handled as
// (sign, exponent, significand): the value is significand / 2^63 × 2^(exponent − bias), with bit 63 of the significand set, so
// that subnormal numbers need no care of their own.

import type {Builder, Expr, LocalExpr} from '../expression.ts';
import {type Format, NV} from './format.ts';

export type Unpacked = {exponent: LocalExpr; significand: LocalExpr};

/** 0 or 1, an i64. */
export function signOf(b: Builder, f: Format, bits: Expr): Expr {
  return b.shrU(bits, b.i64(f.bits - 1));
}

export function magnitudeOf(b: Builder, f: Format, bits: Expr): Expr {
  return b.and(bits, b.i64(f.signMask - 1n));
}

export function isNan(b: Builder, f: Format, bits: Expr): Expr {
  return b.gtU(magnitudeOf(b, f, bits), b.i64(f.infinity));
}

/** Signalling: a NaN whose quiet bit, the fraction's highest, is clear. With the quiet bit flipped these are the largest magnitudes. */
export function isSignalingNan(b: Builder, f: Format, bits: Expr): Expr {
  return b.gtU(b.xor(magnitudeOf(b, f, bits), b.i64(f.hidden >> 1n)), b.i64(f.nan));
}

export function isInfinite(b: Builder, f: Format, bits: Expr): Expr {
  return b.eq(magnitudeOf(b, f, bits), b.i64(f.infinity));
}

export function isZero(b: Builder, f: Format, bits: Expr): Expr {
  return b.eqz(magnitudeOf(b, f, bits));
}

/** The exponent field in place is all ones: an infinity or a NaN. */
export function isSpecial(b: Builder, f: Format, bits: Expr): Expr {
  return b.geU(magnitudeOf(b, f, bits), b.i64(f.infinity));
}

/** Some operand is a zero, an infinity or a NaN. */
export function isUnordinary(b: Builder, f: Format, operands: readonly LocalExpr[]): Expr {
  return operands
    .map((bits) => b.geU(b.sub(magnitudeOf(b, f, bits), b.i64(1)), b.i64(f.infinity - 1n)))
    .reduce((x, y) => b.or(x, y));
}

/** A finite nonzero number, normalised. */
export function unpack(b: Builder, f: Format, bits: LocalExpr): Unpacked {
  const exponent = b.let(b.and(b.shrU(bits, b.i64(f.fractionBits)), b.i64(f.exponentMax)));
  const significand = b.let(b.shl(bits, b.i64(63 - f.fractionBits)));
  b.if(
    b.eqz(exponent),
    () => {
      b.set(significand, b.shl(significand, b.i64(1)));
      b.set(exponent, b.neg(b.op('i64.clz', significand)));
      b.set(significand, b.shl(significand, b.neg(exponent)));
    },
    () => b.set(significand, b.or(significand, b.i64(1n << 63n))),
  );
  return {exponent, significand};
}

/** Raises NV if any of the operands is a signalling NaN. */
export function raiseIfSignaling(b: Builder, f: Format, operands: readonly LocalExpr[]): void {
  const signaling = operands.map((bits) => isSignalingNan(b, f, bits)).reduce((x, y) => b.or(x, y));
  b.if(signaling, () => b.raise(b.i32(NV)));
}

/** Returns the canonical NaN from an operation one of whose operands is a NaN. */
export function returnNan(b: Builder, f: Format, operands: readonly LocalExpr[]): void {
  raiseIfSignaling(b, f, operands);
  b.return(b.i64(f.nan));
}

/** Returns the canonical NaN from an invalid operation. */
export function returnInvalid(b: Builder, f: Format): void {
  b.raise(b.i32(NV));
  b.return(b.i64(f.nan));
}
