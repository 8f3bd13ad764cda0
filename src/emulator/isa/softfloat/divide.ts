// Division of bit patterns (IEEE 754-2019, 5.4.1). The quotient of the significands comes from WebAssembly's own division, where it is
// far from every limit and correctly rounded to nearest; the sign of the exact integer remainder then tells on which side of
// it the true quotient lies. No quotient of two significands lies half-way between two others, so this settles every mode.

import type {FunctionDefinition} from '../expression.ts';
import {DZ, type Format, fractionOfNative, native, nativeSignificand} from './format.ts';
import {nextTo, returnRounded} from './round-pack.ts';
import {isNan, isSpecial, isUnordinary, isZero, returnInvalid, returnNan, signOf, unpack} from './unpack.ts';

export function divideFunction(f: Format): FunctionDefinition {
  return {
    name: `${f.name}.divExact`,
    params: ['i64', 'i64', 'i32'],
    result: 'i64',
    build(b, x, y, rm) {
      const sign = b.let(signOf(b, f, b.xor(x, y)));
      b.if(isUnordinary(b, f, [x, y]), () => {
        b.if(b.or(isNan(b, f, x), isNan(b, f, y)), () => returnNan(b, f, [x, y]));
        const signBit = b.let(b.shl(sign, b.i64(f.bits - 1)));
        b.if(isSpecial(b, f, x), () => {
          b.if(isSpecial(b, f, y), () => returnInvalid(b, f));
          b.return(b.or(signBit, b.i64(f.infinity)));
        });
        b.if(isSpecial(b, f, y), () => b.return(signBit));
        b.if(isZero(b, f, y), () => {
          b.if(isZero(b, f, x), () => returnInvalid(b, f));
          b.raise(b.i32(DZ));
          b.return(b.or(signBit, b.i64(f.infinity)));
        });
        b.return(signBit);
      });

      const xParts = unpack(b, f, x);
      const yParts = unpack(b, f, y);
      // The dividend counts as twice its significand where that is below the divisor: the quotient is from 1 to 2.
      const twice = b.let(b.zext(b.ltU(xParts.significand, yParts.significand)));
      const exponent = b.sub(b.add(b.sub(xParts.exponent, yParts.exponent), b.i64(f.bias)), twice);
      const dividend = b.let(b.shrU(xParts.significand, b.i64(63 - f.fractionBits)));
      const divisor = b.let(b.shrU(yParts.significand, b.i64(63 - f.fractionBits)));
      const numerator = nativeSignificand(b, f, dividend, twice);
      const quotient = native(b, f, 'div', numerator, nativeSignificand(b, f, divisor, b.i64(0)));
      const digits = b.let(b.or(fractionOfNative(b, f, quotient), b.i64(f.hidden)));
      // At most half the divisor: its sign survives the wrapping of the two products.
      const scaled = b.shl(dividend, b.add(twice, b.i64(f.fractionBits)));
      const remainder = b.let(b.sub(scaled, b.mul(digits, divisor)));
      returnRounded(b, f, sign, exponent, nextTo(b, f, digits, remainder), rm);
    },
  };
}
