// Conversions between the two formats (IEEE 754-2019, 5.4.2): widening is exact, narrowing rounds.

import type {FunctionDefinition} from '../expression.ts';
import {BINARY32, BINARY64, bitsOf, fromBits} from './format.ts';
import {returnIfSafe} from './native.ts';
import {isNan, isSpecial, isZero, raiseIfSignaling, signOf, unpack} from './unpack.ts';

export const BETWEEN_FORMATS: readonly FunctionDefinition[] = [
  {
    name: 'f64.fromF32',
    // The rounding mode says nothing here.
    params: ['f32', 'i32'],
    result: 'f64',
    build(b, value) {
      b.if(b.op('f32.eq', value, value), () => b.return(b.op('f64.promote_f32', value)));
      raiseIfSignaling(b, BINARY32, [bitsOf(b, BINARY32, value)]);
      b.return(fromBits(b, BINARY64, b.i64(BINARY64.nan)));
    },
  },
  {
    name: 'f32.fromF64',
    params: ['f64', 'i32'],
    result: 'f32',
    build(b, value, rm) {
      // A number that survives the way there and back is exact in the narrow format, in every mode and without flags.
      const narrow = b.let(b.op('f32.demote_f64', value));
      b.if(b.op('f64.eq', b.op('f64.promote_f32', narrow), value), () => b.return(narrow));
      returnIfSafe(b, BINARY32, {value: narrow, lowest: BINARY32.hidden * 2n, rm});
      b.return(fromBits(b, BINARY32, b.call('i64', 'f32.fromF64Exact', bitsOf(b, BINARY64, value), rm)));
    },
  },
  {
    name: 'f32.fromF64Exact',
    params: ['i64', 'i32'],
    result: 'i64',
    build(b, x, rm) {
      b.if(isNan(b, BINARY64, x), () => {
        raiseIfSignaling(b, BINARY64, [x]);
        b.return(b.i64(BINARY32.nan));
      });
      const sign = b.let(signOf(b, BINARY64, x));
      b.if(b.or(isSpecial(b, BINARY64, x), isZero(b, BINARY64, x)), () => {
        const infinity = b.select(isZero(b, BINARY64, x), b.i64(0), b.i64(BINARY32.infinity));
        b.return(b.or(b.shl(sign, b.i64(BINARY32.bits - 1)), infinity));
      });
      const {exponent, significand} = unpack(b, BINARY64, x);
      const rebased = b.sub(exponent, b.i64(BINARY64.bias - BINARY32.bias));
      b.return(b.call('i64', 'f32.roundPack', sign, rebased, significand, rm));
    },
  },
];
