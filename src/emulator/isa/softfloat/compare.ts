// Comparisons (IEEE 754-2019, 5.11): equality is quiet, the ordered ones signal any NaN. -0 equals +0. WebAssembly's own are right for all
// operands, and give 0 where there is a NaN; only the flags are left to do.

import type {FunctionDefinition} from '../expression.ts';
import {bitsOf, type Format, NV, native} from './format.ts';
import {raiseIfSignaling} from './unpack.ts';

export function compareFunctions(f: Format): FunctionDefinition[] {
  return (['eq', 'lt', 'le'] as const).map((name) => ({
    name: `${f.name}.${name}`,
    params: [f.name, f.name],
    result: 'i32',
    build(b, x, y) {
      b.if(native(b, f, name, x, y), () => b.return(b.i32(1)));
      b.if(b.or(native(b, f, 'ne', x, x), native(b, f, 'ne', y, y)), () => {
        if (name === 'eq') raiseIfSignaling(b, f, [bitsOf(b, f, x), bitsOf(b, f, y)]);
        else b.raise(b.i32(NV));
      });
      b.return(b.i32(0));
    },
  }));
}
