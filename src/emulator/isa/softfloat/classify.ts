// The class of a datum as one bit of ten (RISC-V unprivileged ISA, F 2.9): negative infinity, normal, subnormal, zero; positive zero,
// subnormal, normal, infinity; signalling NaN, quiet NaN.

import type {FunctionDefinition} from '../expression.ts';
import {bitsOf, type Format} from './format.ts';
import {isSignalingNan, magnitudeOf, signOf} from './unpack.ts';

export function classifyFunction(f: Format): FunctionDefinition {
  return {
    name: `${f.name}.class`,
    params: [f.name],
    result: 'i32',
    build(b, value) {
      const bits = bitsOf(b, f, value);
      const magnitude = b.let(magnitudeOf(b, f, bits));
      b.if(b.gtU(magnitude, b.i64(f.infinity)), () =>
        b.return(b.select(isSignalingNan(b, f, bits), b.i32(1 << 8), b.i32(1 << 9))),
      );
      // How far from zero: 0 zero, 1 subnormal, 2 normal, 3 infinity.
      const nonzero = b.ne(magnitude, b.i64(0));
      const normal = b.geU(magnitude, b.i64(f.hidden));
      const infinite = b.eq(magnitude, b.i64(f.infinity));
      const distance = b.let(b.add(b.add(nonzero, normal), infinite));
      const index = b.select(b.wrap(signOf(b, f, bits)), b.sub(b.i32(3), distance), b.add(b.i32(4), distance));
      b.return(b.shl(b.i32(1), index));
    },
  };
}
