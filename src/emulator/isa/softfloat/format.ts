// The two binary interchange formats of IEEE 754-2019 (table 3.5) that the guest has, as parameters: every function of this folder is
// written once and built for both. Functions that instructions call take and give values of the format's own WebAssembly type, which are
// moved bit by bit; the exact ones work on the bits of either format as an i64. Nothing here may hold a guest's float in a
// JavaScript number.

import type {Builder, Expr, LocalExpr, Operator} from '../expression.ts';

export type Format = {
  /** Also WebAssembly's type of its values. */
  readonly name: 'f32' | 'f64';
  /** The integer type of as many bits. */
  readonly pattern: 'i32' | 'i64';
  readonly bits: number;
  /** Stored bits of the significand: without the hidden one. */
  readonly fractionBits: number;
  readonly bias: number;
  /** The exponent field of infinities and NaNs. */
  readonly exponentMax: number;
  readonly hidden: bigint;
  readonly fractionMask: bigint;
  readonly signMask: bigint;
  readonly infinity: bigint;
  /** The only NaN that an operation returns (RISC-V unprivileged ISA, F 2.3). */
  readonly nan: bigint;
};

export const BINARY32 = format('f32', 32, 23);
export const BINARY64 = format('f64', 64, 52);

/** Rounding modes (frm, table 26 of the unprivileged ISA). */
export const RNE = 0;
export const RTZ = 1;
export const RDN = 2;
export const RUP = 3;
export const RMM = 4;

/** Accrued exception flags (fflags). */
export const NV = 16;
export const DZ = 8;
export const OF = 4;
export const UF = 2;
export const NX = 1;

/** The bits of a value as an i64. */
export function bitsOf(b: Builder, f: Format, value: Expr): LocalExpr {
  const pattern = patternOf(b, f, value);
  return b.let(f.pattern === 'i32' ? b.zext(pattern) : pattern);
}

/** The value with these bits, an i64. */
export function fromBits(b: Builder, f: Format, bits: Expr): Expr {
  return fromPattern(b, f, f.pattern === 'i32' ? b.wrap(bits) : bits);
}

export function fromPattern(b: Builder, f: Format, pattern: Expr): Expr {
  return b.op(f.name === 'f32' ? 'f32.reinterpret_i32' : 'f64.reinterpret_i64', pattern);
}

/** The bits of a value in the integer type of its size. A NaN that the host's arithmetic made has arbitrary ones, and must never reach the guest. */
export function patternOf(b: Builder, f: Format, value: Expr): Expr {
  return b.op(f.name === 'f32' ? 'i32.reinterpret_f32' : 'i64.reinterpret_f64', value);
}

/** significand × 2^exponent in native arithmetic: an integer of fractionBits + 1 bits taken as from 1 to 2; a small exponent. */
export function nativeSignificand(b: Builder, f: Format, digits: Expr, exponent: Expr): Expr {
  const field = b.shl(b.add(exponent, b.i64(f.bias)), b.i64(f.fractionBits));
  return fromBits(b, f, b.or(b.and(digits, b.i64(f.fractionMask)), field));
}

/** The stored fraction of a native number, as an i64. */
export function fractionOfNative(b: Builder, f: Format, value: Expr): Expr {
  return b.and(bitsOf(b, f, value), b.i64(f.fractionMask));
}

export function native(
  b: Builder,
  f: Format,
  operation: 'add' | 'sub' | 'mul' | 'div' | 'sqrt' | 'eq' | 'ne' | 'lt' | 'le',
  ...args: Expr[]
): Expr {
  return b.op(`${f.name}.${operation}` as Operator, ...args);
}

function format(name: 'f32' | 'f64', bits: 32 | 64, fractionBits: number): Format {
  const exponentMax = 2 ** (bits - 1 - fractionBits) - 1;
  const hidden = 1n << BigInt(fractionBits);
  const infinity = BigInt(exponentMax) << BigInt(fractionBits);
  return {
    name,
    pattern: bits === 32 ? 'i32' : 'i64',
    bits,
    fractionBits,
    bias: (exponentMax - 1) / 2,
    exponentMax,
    hidden,
    fractionMask: hidden - 1n,
    signMask: 1n << BigInt(bits - 1),
    infinity,
    nan: infinity | (hidden >> 1n),
  };
}
