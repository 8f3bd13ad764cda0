// Addition of bit patterns, exact and then rounded (IEEE 754-2019, 5.4.1). Subtraction is the addition of the negated operand.

import type {FunctionDefinition} from '../expression.ts';
import type {Format} from './format.ts';
import {returnRounded, zeroSum} from './round-pack.ts';
import {isNan, isSpecial, isUnordinary, isZero, returnInvalid, returnNan, signOf, unpack} from './unpack.ts';
import {shiftRightJam} from './wide.ts';

export function addFunction(f: Format): FunctionDefinition {
  return {
    name: `${f.name}.addExact`,
    params: ['i64', 'i64', 'i32'],
    result: 'i64',
    build(b, x, y, rm) {
      b.if(isUnordinary(b, f, [x, y]), () => {
        b.if(b.or(isNan(b, f, x), isNan(b, f, y)), () => returnNan(b, f, [x, y]));
        b.if(isSpecial(b, f, x), () => {
          b.if(b.eq(x, b.xor(y, b.i64(f.signMask))), () => returnInvalid(b, f));
          b.return(x);
        });
        b.if(isSpecial(b, f, y), () => b.return(y));
        b.if(isZero(b, f, x), () => {
          b.if(b.eq(b.xor(x, y), b.i64(f.signMask)), () => b.return(zeroSum(b, f, rm)));
          b.return(y);
        });
        b.return(x);
      });

      const sign = b.let(signOf(b, f, x));
      const xParts = unpack(b, f, x);
      const yParts = unpack(b, f, y);
      // One bit is left free for the carry of a sum; as many as were free below the fraction remain for the trace.
      const large = b.let(b.shrU(xParts.significand, b.i64(1)));
      const small = b.let(b.shrU(yParts.significand, b.i64(1)));
      const exponent = xParts.exponent;
      const distance = b.let(b.sub(exponent, yParts.exponent));
      b.if(
        b.geS(distance, b.i64(0)),
        () => b.set(small, shiftRightJam(b, small, distance)),
        () => {
          b.set(large, shiftRightJam(b, large, b.neg(distance)));
          b.set(exponent, yParts.exponent);
        },
      );
      b.if(
        b.eq(sign, signOf(b, f, y)),
        () => b.set(large, b.add(large, small)),
        () => {
          b.set(large, b.sub(large, small));
          b.if(b.eqz(large), () => b.return(zeroSum(b, f, rm)));
          b.if(b.ltS(large, b.i64(0)), () => {
            b.set(large, b.neg(large));
            b.set(sign, b.xor(sign, b.i64(1)));
          });
        },
      );
      returnRounded(b, f, sign, b.add(exponent, b.i64(1)), large, rm);
    },
  };
}
