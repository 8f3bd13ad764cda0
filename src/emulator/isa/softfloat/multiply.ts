// Multiplication of bit patterns, exact and then rounded (IEEE 754-2019, 5.4.1).

import type {FunctionDefinition} from '../expression.ts';
import type {Format} from './format.ts';
import {returnRounded} from './round-pack.ts';
import {isNan, isSpecial, isUnordinary, isZero, returnInvalid, returnNan, signOf, unpack} from './unpack.ts';
import {multiplyHigh, nonzero} from './wide.ts';

export function multiplyFunction(f: Format): FunctionDefinition {
  return {
    name: `${f.name}.mulExact`,
    params: ['i64', 'i64', 'i32'],
    result: 'i64',
    build(b, x, y, rm) {
      const sign = b.let(signOf(b, f, b.xor(x, y)));
      b.if(isUnordinary(b, f, [x, y]), () => {
        b.if(b.or(isNan(b, f, x), isNan(b, f, y)), () => returnNan(b, f, [x, y]));
        const signBit = b.let(b.shl(sign, b.i64(f.bits - 1)));
        const someZero = b.let(b.or(isZero(b, f, x), isZero(b, f, y)));
        b.if(b.or(isSpecial(b, f, x), isSpecial(b, f, y)), () => {
          b.if(someZero, () => returnInvalid(b, f));
          b.return(b.or(signBit, b.i64(f.infinity)));
        });
        b.return(signBit);
      });

      const xParts = unpack(b, f, x);
      const yParts = unpack(b, f, y);
      const low = nonzero(b, b.mul(xParts.significand, yParts.significand));
      const product = b.or(multiplyHigh(b, xParts.significand, yParts.significand), low);
      // The product of two significands from 1 to 2 is taken as a significand below 2 by counting the exponent up.
      const exponent = b.sub(b.add(xParts.exponent, yParts.exponent), b.i64(f.bias - 1));
      returnRounded(b, f, sign, exponent, product, rm);
    },
  };
}
