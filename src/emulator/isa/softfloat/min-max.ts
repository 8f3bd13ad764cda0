// minimumNumber and maximumNumber (IEEE 754-2019, 9.6; RISC-V F 2.2): a number wins over a NaN, -0 is less than +0, a signalling NaN raises NV.

import type {FunctionDefinition} from '../expression.ts';
import {bitsOf, type Format, native, patternOf, toNative} from './format.ts';
import {isNan, raiseIfSignaling} from './unpack.ts';

export function minMaxFunctions(f: Format): FunctionDefinition[] {
  return (['min', 'max'] as const).map((name) => ({
    name: `${f.name}.${name}`,
    params: [f.pattern, f.pattern],
    result: f.pattern,
    build(b, x, y) {
      const [less, greater] = name === 'min' ? [x, y] : [y, x];
      const left = b.let(toNative(b, f, x));
      const right = b.let(toNative(b, f, y));
      b.if(native(b, f, 'lt', left, right), () => b.return(less));
      b.if(native(b, f, 'lt', right, left), () => b.return(greater));
      // Equal operands differ at most in the sign of a zero.
      b.if(native(b, f, 'eq', left, right), () => b.return(name === 'min' ? b.or(x, y) : b.and(x, y)));
      const xBits = bitsOf(b, f, x);
      const yBits = bitsOf(b, f, y);
      raiseIfSignaling(b, f, [xBits, yBits]);
      b.if(b.eqz(isNan(b, f, xBits)), () => b.return(x));
      b.if(b.eqz(isNan(b, f, yBits)), () => b.return(y));
      b.return(patternOf(b, f, b.i64(f.nan)));
    },
  }));
}
