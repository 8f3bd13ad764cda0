// What the translator puts in place of a call of the most frequent functions: WebAssembly's own operator, a check, and where the check
// fails the call. The same results as the functions, and the same flags. All checks ask one thing that lives in a local, SAFE:
// it is 0 unless results are rounded to nearest even and NX has accrued already; then it is the limit below which the magnitude
// of a result, doubled so that its sign is gone, is sure to have raised nothing else. See native.ts for why.

import type {Builder, Expr, LocalExpr, Operator} from '../expression.ts';
import {BINARY32, BINARY64, type Format, fromBits, native, patternOf, RDN, RNE, RTZ, RUP} from './format.ts';

/**
 * The result, after statements that may call the function itself; undefined where nothing stands in for the call. Arguments are used more
 * than once; a constant `rm` says the rounding mode, else it is dynamic.
 */
export type Inline = (b: Builder, ...args: Expr[]) => Expr | undefined;

/**
 * Exponent fields from 2 to exponentMax − 1 are safe, or those less by two: one limit for results that must not be tiny, and the others.
 * It is compared with the upper 32 bits of a doubled magnitude, as an i32.
 */
export const safeLimit = (f: Format): number => ((f.exponentMax - 2) * exponentUnit(f)) | 0;

/** An exponent field's last place there. */
const exponentUnit = (f: Format): number => 2 ** (f.fractionBits + 33 - f.bits);

/** By the name of the function. `fusesMultiplyAdd`: WebAssembly's relaxed_madd rounds once on this host. */
export function inlineFunctions({fusesMultiplyAdd}: {fusesMultiplyAdd: boolean}): ReadonlyMap<string, Inline> {
  return new Map([
    ...[BINARY32, BINARY64].flatMap((f): [string, Inline][] => [
      ...(['add', 'sub', 'mul', 'div'] as const).map((name): [string, Inline] => [
        `${f.name}.${name}`,
        arithmetic(f, name),
      ]),
      [`${f.name}.sqrt`, squareRoot(f)],
      ...(fusesMultiplyAdd ? [[`${f.name}.fma`, fusedMultiplyAdd(f)] as [string, Inline]] : []),
      ...(['eq', 'lt', 'le'] as const).map((name): [string, Inline] => [`${f.name}.${name}`, comparison(f, name)]),
      ...(['min', 'max'] as const).map((name): [string, Inline] => [`${f.name}.${name}`, minMax(f, name)]),
      ...INTEGERS.flatMap((integer): [string, Inline][] => [
        [`${f.name}.from${integer.name}`, fromInteger(f, integer)],
        [`${f.name}.to${integer.name}`, toInteger(f, integer)],
      ]),
    ]),
    ['f64.fromF32', widening],
    ['f32.fromF64', narrowing],
  ]);
}

const INTEGERS = [
  {name: 'I32', bits: 32, signed: true},
  {name: 'U32', bits: 32, signed: false},
  {name: 'I64', bits: 64, signed: true},
  {name: 'U64', bits: 64, signed: false},
] as const;
type Integer = (typeof INTEGERS)[number];

const isNearest = (rm: Expr): boolean => rm.kind !== 'const' || rm.value === BigInt(RNE);

/** The value, or what the call gives where the value's check fails. */
function checked(b: Builder, value: LocalExpr, isUnsafe: Expr, call: Expr): Expr {
  b.ifUnlikely(isUnsafe, () => b.set(value, call));
  return value;
}

/** `mayBeTiny`: it must be seen that it is not. */
function isUnsafe(b: Builder, f: Format, value: Expr, {mayBeTiny}: {mayBeTiny: boolean}): Expr {
  const pattern = patternOf(b, f, value);
  const magnitude = f === BINARY32 ? b.shl(pattern, b.i32(1)) : b.wrap(b.shrU(pattern, b.i64(31)));
  const above = mayBeTiny ? b.sub(magnitude, b.i32(2 * exponentUnit(f))) : magnitude;
  return b.geU(above, b.safe(f.name));
}

/** A zero that comes of `zeros` among the operands is exact. Programs have many. */
function unlessZero(b: Builder, f: Format, value: LocalExpr, {zeros, call}: {zeros: Expr; call: Expr}): Expr {
  const isExact = b.and(b.and(isZero(b, f, value), zeros), b.ne(b.safe(f.name), b.i32(0)));
  return b.choose(isExact, value, call);
}

function isZero(b: Builder, f: Format, value: Expr): Expr {
  return native(b, f, 'eq', value, fromBits(b, f, b.i64(0)));
}

function arithmetic(f: Format, name: 'add' | 'sub' | 'mul' | 'div'): Inline {
  return (b, x, y, rm) => {
    if (!isNearest(rm)) return undefined;
    const value = b.let(native(b, f, name, x, y));
    const mayBeTiny = name === 'mul' || name === 'div';
    const call = b.call(f.name, `${f.name}.${name}`, x, y, rm);
    const zeros = {mul: b.or(isZero(b, f, x), isZero(b, f, y)), div: isZero(b, f, x), add: undefined, sub: undefined}[
      name
    ];
    return checked(b, value, isUnsafe(b, f, value, {mayBeTiny}), zeros ? unlessZero(b, f, value, {zeros, call}) : call);
  };
}

function squareRoot(f: Format): Inline {
  return (b, x, rm) => {
    if (!isNearest(rm)) return undefined;
    const value = b.let(native(b, f, 'sqrt', x));
    return checked(b, value, isUnsafe(b, f, value, {mayBeTiny: false}), b.call(f.name, `${f.name}.sqrt`, x, rm));
  };
}

function fusedMultiplyAdd(f: Format): Inline {
  const lanes = f === BINARY32 ? 'f32x4' : 'f64x2';
  return (b, x, y, z, rm) => {
    if (!isNearest(rm)) return undefined;
    const [left, right, addend] = [x, y, z].map((scalar) => b.op(`${lanes}.splat`, scalar));
    const value = b.let(b.op(`${lanes}.extract_lane 0`, b.op(`${lanes}.relaxed_madd`, left, right, addend)));
    const zeros = b.and(b.or(isZero(b, f, x), isZero(b, f, y)), isZero(b, f, z));
    const call = b.call(f.name, `${f.name}.fma`, x, y, z, rm);
    return checked(b, value, isUnsafe(b, f, value, {mayBeTiny: true}), unlessZero(b, f, value, {zeros, call}));
  };
}

/** Without a NaN comparisons raise nothing; with one no order holds. */
function comparison(f: Format, name: 'eq' | 'lt' | 'le'): Inline {
  return (b, x, y) => {
    const below = b.let(native(b, f, name === 'lt' ? 'lt' : 'le', x, y));
    const above = b.let(native(b, f, name === 'le' ? 'lt' : 'le', y, x));
    const isUnordered = b.eqz(b.or(below, above));
    const result = name === 'eq' ? b.let(b.and(below, above)) : below;
    return checked(b, result, isUnordered, b.call('i32', `${f.name}.${name}`, x, y));
  };
}

/** WebAssembly's own are the same but for NaNs. */
function minMax(f: Format, name: 'min' | 'max'): Inline {
  return (b, x, y) => {
    const value = b.let(b.op(`${f.name}.${name}`, x, y));
    return checked(b, value, native(b, f, 'ne', value, value), b.call(f.name, `${f.name}.${name}`, x, y));
  };
}

/** A conversion of 32 bits to a double is exact: only a dynamic rounding mode must be seen not to be a reserved one. */
function fromInteger(f: Format, {name, bits, signed}: Integer): Inline {
  return (b, x, rm) => {
    const isExact = f === BINARY64 && bits === 32;
    const convert = `${f.name}.convert_i${bits}_${signed ? 's' : 'u'}` as Operator;
    if (isExact && rm.kind === 'const') return b.op(convert, b.wrap(x));
    if (!isNearest(rm)) return undefined;
    const value = b.let(b.op(convert, bits === 32 ? b.wrap(x) : x));
    return checked(b, value, b.eqz(b.safe(f.name)), b.call(f.name, `${f.name}.from${name}`, x, rm));
  };
}

const ROUNDINGS: ReadonlyMap<number, Operator> = new Map([
  [RNE, 'f64.nearest'],
  [RDN, 'f64.floor'],
  [RUP, 'f64.ceil'],
]);

/**
 * Numbers whose exponent is below the integer's highest bits fit, also after they are rounded up; with NX accrued nothing else can be
 * raised. To a 64-bit unsigned integer, that leaves out the upper half.
 */
function toInteger(f: Format, {name, bits, signed}: Integer): Inline {
  return (b, x, rm) => {
    const mode = rm.kind === 'const' ? Number(rm.value) : RNE;
    const rounding = ROUNDINGS.get(mode);
    if (rounding === undefined && mode !== RTZ) return undefined;
    const wide = f === BINARY32 ? b.let(b.op('f64.promote_f32', x)) : x;
    const integer = b.op('i64.trunc_sat_f64_s', rounding === undefined ? wide : b.op(rounding, wide));
    const value = b.let(bits === 32 ? b.sext32(integer) : integer);
    // The sign of a number that must not be negative counts as more than any exponent.
    const pattern = patternOf(b, BINARY64, wide);
    const magnitude = signed ? b.shl(pattern, b.i64(1)) : pattern;
    const room = (signed ? bits - 1 : Math.min(bits, 63)) - (mode === RTZ ? 0 : 1);
    const exponent = BigInt(BINARY64.bias + room);
    const limit = exponent << BigInt(BINARY64.fractionBits + (signed ? 1 : 0));
    const isUnsafe = b.or(b.geU(magnitude, b.i64(limit)), b.eqz(b.safe(f.name)));
    return checked(b, value, isUnsafe, b.call('i64', `${f.name}.to${name}`, x, rm));
  };
}

/** Exact, but for NaNs. */
const widening: Inline = (b, x, rm) => {
  const value = b.let(b.op('f64.promote_f32', x));
  const call = b.call('f64', 'f64.fromF32', x, rm);
  return checked(b, value, isUnsafe(b, BINARY32, x, {mayBeTiny: false}), call);
};

const narrowing: Inline = (b, x, rm) => {
  if (!isNearest(rm)) return undefined;
  const value = b.let(b.op('f32.demote_f64', x));
  const call = b.call('f32', 'f32.fromF64', x, rm);
  return checked(b, value, isUnsafe(b, BINARY32, value, {mayBeTiny: true}), call);
};
