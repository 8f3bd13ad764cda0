// Integer arithmetic on more than 64 bits, and right shifts that keep a trace of what they lose: the lowest bit of the
// result is set if any bit shifted out was ("jamming"), which is all that rounding needs to know of them.

import type {Builder, Expr, FunctionDefinition, LocalExpr} from '../expression.ts';

const LOW_HALF = 0xffff_ffffn;

export const WIDE: readonly FunctionDefinition[] = [
  {
    // The high 64 bits of an unsigned product.
    name: 'wide.multiplyHigh',
    params: ['i64', 'i64'],
    result: 'i64',
    build(b, x, y) {
      const half = b.i64(32);
      const xLow = b.let(b.and(x, b.i64(LOW_HALF)));
      const xHigh = b.let(b.shrU(x, half));
      const yLow = b.let(b.and(y, b.i64(LOW_HALF)));
      const yHigh = b.let(b.shrU(y, half));
      const middle = b.let(b.add(b.mul(xHigh, yLow), b.shrU(b.mul(xLow, yLow), half)));
      const carry = b.let(b.add(b.mul(xLow, yHigh), b.and(middle, b.i64(LOW_HALF))));
      b.return(b.add(b.add(b.mul(xHigh, yHigh), b.shrU(middle, half)), b.shrU(carry, half)));
    },
  },
  {
    // x >> count, jammed; any count from 0.
    name: 'wide.shiftRightJam',
    params: ['i64', 'i64'],
    result: 'i64',
    build(b, x, count) {
      b.if(b.geU(count, b.i64(64)), () => b.return(nonzero(b, x)));
      // The lost bits, as the high bits of a word; with a count of 0 they are x itself, and none is lost.
      const lost = b.let(b.shl(x, b.neg(count)));
      b.if(b.eqz(count), () => b.return(x));
      b.return(b.or(b.shrU(x, count), nonzero(b, lost)));
    },
  },
];

export function multiplyHigh(b: Builder, x: Expr, y: Expr): Expr {
  return b.call('i64', 'wide.multiplyHigh', x, y);
}

export function shiftRightJam(b: Builder, x: Expr, count: Expr): Expr {
  return b.call('i64', 'wide.shiftRightJam', x, count);
}

/** 1 if any bit is set, as an i64. */
export function nonzero(b: Builder, x: Expr): Expr {
  return b.zext(b.ne(x, b.i64(0)));
}

/** A 128-bit number shifted right in place, jammed; any count from 0, which is used up. */
export function shiftRightJam128(b: Builder, high: LocalExpr, low: LocalExpr, count: LocalExpr): void {
  b.if(b.geU(count, b.i64(64)), () => {
    b.set(low, b.or(high, nonzero(b, low)));
    b.set(high, b.i64(0));
    b.set(count, b.sub(count, b.i64(64)));
    b.set(low, shiftRightJam(b, low, count));
    b.set(count, b.i64(0));
  });
  b.if(b.ne(count, b.i64(0)), () => {
    const lost = b.let(nonzero(b, b.shl(low, b.neg(count))));
    b.set(low, b.or(b.or(b.shrU(low, count), b.shl(high, b.neg(count))), lost));
    b.set(high, b.shrU(high, count));
  });
}
