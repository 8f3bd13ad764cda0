// The two binary interchange formats of IEEE 754-2019 (table 3.5) that the guest has, as parameters: every function of this folder is
// written once and built for both. Inside a function the bits of either format are an i64; only the functions' own parameters
// and results of binary32 are i32. Nothing here may hold a guest's float in a JavaScript number.

import type {Builder, Expr, LocalExpr, Operator} from '../expression.ts';

export type Format = {
  readonly name: 'f32' | 'f64';
  /** The type of a bit pattern in parameters and results. */
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

/** The bits of a parameter as an i64. */
export function bitsOf(b: Builder, f: Format, pattern: LocalExpr): LocalExpr {
  return f.pattern === 'i32' ? b.let(b.zext(pattern)) : pattern;
}

/** i64 bits as a result of the format's pattern type. */
export function patternOf(b: Builder, f: Format, bits: Expr): Expr {
  return f.pattern === 'i32' ? b.wrap(bits) : bits;
}

/** A pattern as an operand of WebAssembly's own arithmetic. */
export function toNative(b: Builder, f: Format, pattern: Expr): Expr {
  return b.op(f.name === 'f32' ? 'f32.reinterpret_i32' : 'f64.reinterpret_i64', pattern);
}

/** The pattern of a native value. That of a NaN is arbitrary, except that it is a NaN's: it must never reach the guest. */
export function fromNative(b: Builder, f: Format, value: Expr): Expr {
  return b.op(f.name === 'f32' ? 'i32.reinterpret_f32' : 'i64.reinterpret_f64', value);
}

/** significand × 2^exponent in native arithmetic: an integer of fractionBits + 1 bits taken as from 1 to 2; a small exponent. */
export function nativeSignificand(b: Builder, f: Format, digits: Expr, exponent: Expr): Expr {
  const field = b.shl(b.add(exponent, b.i64(f.bias)), b.i64(f.fractionBits));
  return toNative(b, f, patternOf(b, f, b.or(b.and(digits, b.i64(f.fractionMask)), field)));
}

/** The stored fraction of a native number, as an i64. */
export function fractionOfNative(b: Builder, f: Format, value: Expr): Expr {
  const pattern = fromNative(b, f, value);
  return b.and(f.pattern === 'i32' ? b.zext(pattern) : pattern, b.i64(f.fractionMask));
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
