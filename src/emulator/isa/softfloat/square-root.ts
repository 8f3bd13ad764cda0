// Square root of bit patterns (IEEE 754-2019, 5.4.1): the nearest root from WebAssembly's own operator, and the exact remainder's sign
// for its side, as in division. No root lies half-way between two numbers, and none can overflow or underflow.

import type {FunctionDefinition} from '../expression.ts';
import {type Format, fractionOfNative, native, nativeSignificand} from './format.ts';
import {nextTo, returnRounded} from './round-pack.ts';
import {isNan, isZero, returnInvalid, returnNan, signOf, unpack} from './unpack.ts';

export function squareRootFunction(f: Format): FunctionDefinition {
  return {
    name: `${f.name}.sqrtExact`,
    params: ['i64', 'i32'],
    result: 'i64',
    build(b, x, rm) {
      b.if(isNan(b, f, x), () => returnNan(b, f, [x]));
      b.if(isZero(b, f, x), () => b.return(x));
      b.if(b.wrap(signOf(b, f, x)), () => returnInvalid(b, f));
      b.if(b.eq(x, b.i64(f.infinity)), () => b.return(x));

      const {exponent, significand} = unpack(b, f, x);
      b.set(exponent, b.sub(exponent, b.i64(f.bias)));
      // An odd power of two goes to the radicand, which is then from 1 to 4, and its root from 1 to 2.
      const odd = b.let(b.and(exponent, b.i64(1)));
      const radicand = b.let(b.shrU(significand, b.i64(63 - f.fractionBits)));
      const root = native(b, f, 'sqrt', nativeSignificand(b, f, radicand, odd));
      const digits = b.let(b.or(fractionOfNative(b, f, root), b.i64(f.hidden)));
      // At most the root itself: its sign survives the wrapping of the two products.
      const scaled = b.shl(radicand, b.add(odd, b.i64(f.fractionBits)));
      const remainder = b.let(b.sub(scaled, b.mul(digits, digits)));
      const halved = b.add(b.shrS(exponent, b.i64(1)), b.i64(f.bias));
      returnRounded(b, f, b.i64(0), halved, nextTo(b, f, digits, remainder), rm);
    },
  };
}
