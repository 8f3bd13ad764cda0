// Conversions between the two formats (IEEE 754-2019, 5.4.2): widening is exact, narrowing rounds.

import type {FunctionDefinition} from '../expression.ts';
import {BINARY32, BINARY64, bitsOf, fromNative, toNative} from './format.ts';
import {returnIfSafe} from './native.ts';
import {isNan, isSpecial, isZero, raiseIfSignaling, signOf, unpack} from './unpack.ts';

export const BETWEEN_FORMATS: readonly FunctionDefinition[] = [
  {
    name: 'f64.fromF32',
    params: ['i32'],
    result: 'i64',
    build(b, pattern) {
      const value = b.let(toNative(b, BINARY32, pattern));
      b.if(b.op('f32.eq', value, value), () => b.return(fromNative(b, BINARY64, b.op('f64.promote_f32', value))));
      raiseIfSignaling(b, BINARY32, [bitsOf(b, BINARY32, pattern)]);
      b.return(b.i64(BINARY64.nan));
    },
  },
  {
    name: 'f32.fromF64',
    params: ['i64', 'i32'],
    result: 'i32',
    build(b, x, rm) {
      // A number that survives the way there and back is exact in the narrow format, in every mode and without flags.
      const value = b.let(toNative(b, BINARY64, x));
      const narrow = b.let(b.op('f32.demote_f64', value));
      b.if(b.op('f64.eq', b.op('f64.promote_f32', narrow), value), () => b.return(fromNative(b, BINARY32, narrow)));
      returnIfSafe(b, BINARY32, {value: narrow, lowest: BINARY32.hidden * 2n, rm});
      b.return(b.wrap(b.call('i64', 'f32.fromF64Exact', x, rm)));
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
