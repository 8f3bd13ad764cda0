// The fast path: WebAssembly's own operators round to nearest even, so in that mode their finite results are the exact ones. They
// report no flags. They are taken if NX has accrued already, or the result is provably exact, and it can have raised no other flag:
// - finite: neither OF (it would be an infinity) nor DZ nor NV, and the operands were no infinities or NaNs but in a division
//   by infinity, whose result is zero;
// - above the smallest normal number: not tiny, so no UF. Sums and square roots cannot underflow at all: a tiny sum is exact.
// All else goes the exact way. No NaN that the host's arithmetic made gets out. inline.ts has the same in short, for the translator.

import type {Builder, Expr, FunctionDefinition, LocalExpr} from '../expression.ts';
import {BINARY32, BINARY64, bitsOf, type Format, fromBits, NX, native, patternOf} from './format.ts';

type Result = {
  value: LocalExpr;
  /** The smallest magnitude that is safe. */
  lowest: bigint;
  rm: Expr;
  /** Whether the value is exact; 0 only means that this is not known. */
  isExact?: () => Expr;
};

/** The operations as they are called: the fast path, then the exact function of i64 bits. */
export function nativeFunctions(f: Format): FunctionDefinition[] {
  return [
    binary(f, 'add', (b, x, y, sum) => sumIsExact(b, f, {left: x, right: y, sum})),
    binary(f, 'sub', (b, x, y, difference) =>
      sumIsExact(b, f, {left: x, right: b.op(`${f.name}.neg`, y), sum: difference}),
    ),
    binary(f, 'mul', (b, x, y) => productIsExact(b, f, patternOf(b, f, x), patternOf(b, f, y))),
    binary(f, 'div'),
    squareRoot(f),
    f === BINARY32 ? singleFusedMultiplyAdd() : doubleFusedMultiplyAdd(),
  ];
}

function binary(
  f: Format,
  name: 'add' | 'sub' | 'mul' | 'div',
  isExact?: (b: Builder, x: LocalExpr, y: LocalExpr, value: LocalExpr) => Expr,
): FunctionDefinition {
  return {
    name: `${f.name}.${name}`,
    params: [f.name, f.name, 'i32'],
    result: f.name,
    build(b, x, y, rm) {
      const value = b.let(native(b, f, name, x, y));
      const lowest = name === 'mul' || name === 'div' ? f.hidden * 2n : 0n;
      returnIfSafe(b, f, {value, lowest, rm, ...(isExact && {isExact: () => isExact(b, x, y, value)})});
      const left = bitsOf(b, f, x);
      const right = bitsOf(b, f, y);
      // x − y is x + (−y); a NaN stays the kind of NaN it is.
      if (name === 'sub') returnExact(b, f, 'add', left, b.xor(right, b.i64(f.signMask)), rm);
      else returnExact(b, f, name, left, right, rm);
    },
  };
}

function squareRoot(f: Format): FunctionDefinition {
  return {
    name: `${f.name}.sqrt`,
    params: [f.name, 'i32'],
    result: f.name,
    build(b, x, rm) {
      returnIfSafe(b, f, {value: b.let(native(b, f, 'sqrt', x)), lowest: 0n, rm});
      returnExact(b, f, 'sqrt', bitsOf(b, f, x), rm);
    },
  };
}

function fusedMultiplyAdd(f: Format): FunctionDefinition {
  return {
    name: `${f.name}.fma`,
    params: [f.name, f.name, f.name, 'i32'],
    result: f.name,
    build(b, x, y, z, rm) {
      returnExact(b, f, 'fma', bitsOf(b, f, x), bitsOf(b, f, y), bitsOf(b, f, z), rm);
    },
  };
}

/**
 * In doubles the product of singles is exact, and the sum is rounded once. Rounding that to a single is as good as one rounding,
 * unless it lies half-way between two singles: where the true sum lies on either side, the double may lie on the tie.
 */
function singleFusedMultiplyAdd(): FunctionDefinition {
  const lostBits = BINARY64.fractionBits - BINARY32.fractionBits;
  const exact = fusedMultiplyAdd(BINARY32);
  return {
    ...exact,
    build(b, x, y, z, rm) {
      const [left, right, addend] = [x, y, z].map((single) => b.op('f64.promote_f32', single));
      const product = b.let(b.op('f64.mul', left, right));
      const sum = b.let(b.op('f64.add', product, addend));
      const lost = b.and(patternOf(b, BINARY64, sum), b.i64((1n << BigInt(lostBits)) - 1n));
      b.if(b.ne(lost, b.i64(1n << BigInt(lostBits - 1))), () => {
        const value = b.let(b.op('f32.demote_f64', sum));
        const isExact = (): Expr => {
          const narrowed = b.op('f64.eq', b.op('f64.promote_f32', value), sum);
          return b.and(narrowed, sumIsExact(b, BINARY64, {left: product, right: addend, sum}));
        };
        returnIfSafe(b, BINARY32, {value, lowest: BINARY32.hidden * 2n, rm, isExact});
      });
      exact.build(b, x, y, z, rm);
    },
  };
}

/**
 * The product rounded, then the sum rounded, is next to the true result if not equal to it. By how much it misses is an integer d in
 * units of the exact product's last place, computed modulo 2^64, where only small numbers need be seen. With the result's last
 * place worth 2^k units, k ≤ 62, the two roundings make |d| ≤ 2^61 + 2^60: it does not wrap. The result is right if d is less
 * than half a place, and exact if d is zero. Powers of two have a nearer neighbour below; they, ties, subnormal operands and
 * addends that reach below the product go the exact way.
 */
function doubleFusedMultiplyAdd(): FunctionDefinition {
  const f = BINARY64;
  const exact = fusedMultiplyAdd(f);
  const lastExponentPlace = 62n;
  return {
    ...exact,
    build(b, left, right, addend, rm) {
      const fieldOf = (bits: Expr): LocalExpr =>
        b.let(b.and(b.shrU(bits, b.i64(f.fractionBits)), b.i64(f.exponentMax)));
      const digitsOf = (bits: Expr): Expr => b.or(b.and(bits, b.i64(f.fractionMask)), b.i64(f.hidden));
      const signed = (magnitude: Expr, bits: Expr): Expr => {
        const sign = b.let(b.shrS(bits, b.i64(f.bits - 1)));
        return b.sub(b.xor(magnitude, sign), sign);
      };
      const sum = b.let(b.op('f64.add', b.op('f64.mul', left, right), addend));
      const [x, y, z, result] = [left, right, addend, sum].map((value) => bitsOf(b, f, value));
      const [xField, yField, zField, resultField] = [x, y, z, result].map(fieldOf);
      // Of the last place of the product, as a field of a number with that last place.
      const unit = b.let(b.sub(b.add(xField, yField), b.i64(f.bias + f.fractionBits)));
      const place = b.let(b.sub(resultField, unit));
      const normal = b.and(b.and(b.ne(xField, b.i64(0)), b.ne(yField, b.i64(0))), b.ne(zField, b.i64(0)));
      const safe = b.ltU(b.sub(resultField, b.i64(2)), b.i64(f.exponentMax - 2));
      const near = b.and(b.ltU(place, b.i64(lastExponentPlace + 1n)), b.ltU(b.sub(zField, unit), b.i64(64)));
      b.if(b.and(b.and(normal, safe), b.and(near, b.eqz(rm))), () => {
        const missing = b.let(signed(b.mul(digitsOf(x), digitsOf(y)), b.xor(x, y)));
        b.set(missing, b.add(missing, signed(b.shl(digitsOf(z), b.sub(zField, unit)), z)));
        b.set(missing, b.sub(missing, signed(b.shl(digitsOf(result), place), result)));
        b.if(b.eqz(missing), () => b.return(sum));
        const halves = b.shl(signed(missing, missing), b.i64(1));
        const nearest = b.ltU(halves, b.shl(b.i64(1), place));
        const powerOfTwo = b.eqz(b.and(result, b.i64(f.fractionMask)));
        const inexact = b.and(b.accruedFlags(), b.i32(NX));
        b.if(b.and(b.and(nearest, b.eqz(powerOfTwo)), inexact), () => b.return(sum));
      });
      returnExact(b, f, 'fma', x, y, z, rm);
    },
  };
}

function returnExact(b: Builder, f: Format, name: string, ...args: Expr[]): void {
  b.return(fromBits(b, f, b.call('i64', `${f.name}.${name}Exact`, ...args)));
}

/** Returns the value if its magnitude is finite and at least `lowest`, in RNE, with NX accrued or where it is exact. */
export function returnIfSafe(b: Builder, f: Format, {value, lowest, rm, isExact}: Result): void {
  const pattern = b.let(patternOf(b, f, value));
  const like = (constant: bigint): Expr => b.constant(pattern, constant);
  const magnitude = b.and(pattern, like(f.signMask - 1n));
  const above = lowest === 0n ? magnitude : b.sub(magnitude, like(lowest));
  b.if(b.and(b.ltU(above, like(f.infinity - lowest)), b.eqz(rm)), () => {
    b.if(b.and(b.accruedFlags(), b.i32(NX)), () => b.return(value));
    if (isExact !== undefined) b.if(isExact(), () => b.return(value));
  });
}

/** The rounding error of a sum, which is itself exact (Knuth, TAOCP 4.2.2, theorem B), is zero. Where a step overflows it is a NaN. */
function sumIsExact(b: Builder, f: Format, {left, right, sum}: {left: Expr; right: Expr; sum: LocalExpr}): Expr {
  const a = b.let(left);
  const c = b.let(right);
  // What the sum took of either operand, and what it left.
  const rightPart = b.let(native(b, f, 'sub', sum, a));
  const leftPart = native(b, f, 'sub', sum, rightPart);
  const error = native(b, f, 'add', native(b, f, 'sub', a, leftPart), native(b, f, 'sub', c, rightPart));
  const pattern = patternOf(b, f, error);
  return b.eqz(b.shl(pattern, b.constant(pattern, 1)));
}

/** The factors' significands end in so many zeros that all bits of the product that can be set fit. */
function productIsExact(b: Builder, f: Format, x: Expr, y: Expr): Expr {
  const zeros = (bits: Expr): Expr => b.op(`${f.pattern}.ctz`, b.or(bits, b.constant(bits, f.hidden)));
  return b.geU(b.add(zeros(x), zeros(y)), b.constant(x, f.fractionBits + 1));
}
