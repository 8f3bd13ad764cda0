// minimumNumber and maximumNumber (IEEE 754-2019, 9.6; RISC-V F 2.2): a number wins over a NaN, -0 is less than +0, a signalling NaN raises NV.

import type {FunctionDefinition} from '../expression.ts';
import {bitsOf, type Format, fromBits, fromPattern, native, patternOf} from './format.ts';
import {isNan, raiseIfSignaling} from './unpack.ts';

export function minMaxFunctions(f: Format): FunctionDefinition[] {
  return (['min', 'max'] as const).map((name) => ({
    name: `${f.name}.${name}`,
    params: [f.name, f.name],
    result: f.name,
    build(b, x, y) {
      const [less, greater] = name === 'min' ? [x, y] : [y, x];
      b.if(native(b, f, 'lt', x, y), () => b.return(less));
      b.if(native(b, f, 'lt', y, x), () => b.return(greater));
      // Equal operands differ at most in the sign of a zero.
      const [left, right] = [patternOf(b, f, x), patternOf(b, f, y)];
      const merged = name === 'min' ? b.or(left, right) : b.and(left, right);
      b.if(native(b, f, 'eq', x, y), () => b.return(fromPattern(b, f, merged)));
      const xBits = bitsOf(b, f, x);
      const yBits = bitsOf(b, f, y);
      raiseIfSignaling(b, f, [xBits, yBits]);
      b.if(b.eqz(isNan(b, f, xBits)), () => b.return(x));
      b.if(b.eqz(isNan(b, f, yBits)), () => b.return(y));
      b.return(fromBits(b, f, b.i64(f.nan)));
    },
  }));
}
