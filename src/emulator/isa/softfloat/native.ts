// The fast path: WebAssembly's own operators round to nearest even, so in that mode their finite results are the exact ones.
// They report no flags. Once NX has accrued nothing is lost, if the result shows that it can have raised no other:
// - finite: neither OF (it would be an infinity) nor DZ nor NV, and the operands were no infinities or NaNs but in a division
//   by infinity, whose result is zero;
// - above the smallest normal number: not tiny, so no UF. Sums and square roots cannot underflow at all: a tiny sum is exact.
// All else goes the exact way. No NaN that the host's arithmetic made gets out.

import type {Builder, Expr, FunctionDefinition} from '../expression.ts';
import {bitsOf, type Format, fromNative, NX, native, patternOf, toNative} from './format.ts';

/** Exact functions of i64 bits and rm, with a fast path before them. */
export function nativeFunctions(f: Format): FunctionDefinition[] {
  const {pattern} = f;
  const binary = (name: 'add' | 'sub' | 'mul' | 'div'): FunctionDefinition => ({
    name: `${f.name}.${name}`,
    params: [pattern, pattern, 'i32'],
    result: pattern,
    build(b, x, y, rm) {
      const value = native(b, f, name, toNative(b, f, x), toNative(b, f, y));
      const lowest = name === 'mul' || name === 'div' ? f.hidden * 2n : 0n;
      returnIfPlain(b, f, fromNative(b, f, value), lowest, rm);
      const bits = [bitsOf(b, f, x), bitsOf(b, f, y)] as const;
      // x − y is x + (−y); a NaN stays the kind of NaN it is.
      const right = name === 'sub' ? b.xor(bits[1], b.i64(f.signMask)) : bits[1];
      const exact = name === 'sub' ? 'add' : name;
      b.return(patternOf(b, f, b.call('i64', `${f.name}.${exact}Exact`, bits[0], right, rm)));
    },
  });
  return [
    binary('add'),
    binary('sub'),
    binary('mul'),
    binary('div'),
    {
      name: `${f.name}.sqrt`,
      params: [pattern, 'i32'],
      result: pattern,
      build(b, x, rm) {
        returnIfPlain(b, f, fromNative(b, f, native(b, f, 'sqrt', toNative(b, f, x))), 0n, rm);
        b.return(patternOf(b, f, b.call('i64', `${f.name}.sqrtExact`, bitsOf(b, f, x), rm)));
      },
    },
  ];
}

/** Returns the pattern if its magnitude is finite and at least `lowest`, in RNE with NX accrued. */
function returnIfPlain(b: Builder, f: Format, result: Expr, lowest: bigint, rm: Expr): void {
  const pattern = b.let(result);
  const like = (value: bigint): Expr => b.constant(pattern, value);
  const magnitude = b.and(pattern, like(f.signMask - 1n));
  const above = lowest === 0n ? magnitude : b.sub(magnitude, like(lowest));
  const plain = b.ltU(above, like(f.infinity - lowest));
  // rm is 0 for RNE, so that one comparison asks for both.
  const silent = b.eq(b.or(b.and(b.accruedFlags(), b.i32(NX)), b.shl(rm, b.i32(1))), b.i32(NX));
  b.if(b.and(plain, silent), () => b.return(pattern));
}
