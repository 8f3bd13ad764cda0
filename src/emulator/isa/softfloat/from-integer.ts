// Conversions from integers (IEEE 754-2019, 5.4.1). Zero gives +0. 32-bit ones use the low half of their argument.

import type {Expr, FunctionDefinition} from '../expression.ts';
import {type Format, fromBits} from './format.ts';

const SOURCES = [
  {name: 'I32', bits: 32, signed: true},
  {name: 'U32', bits: 32, signed: false},
  {name: 'I64', bits: 64, signed: true},
  {name: 'U64', bits: 64, signed: false},
] as const;

export function fromIntegerFunctions(f: Format): FunctionDefinition[] {
  return SOURCES.map((source) => ({
    name: `${f.name}.from${source.name}`,
    params: ['i64', 'i32'],
    result: f.name,
    build(b, value, rm) {
      if (source.bits === 32) b.set(value, source.signed ? b.sext32(value) : b.zext32(value));
      // Integers of no more bits than the significand has are exact, in every mode.
      const limit = f.hidden * 2n;
      const [shifted, range]: [Expr, bigint] = source.signed
        ? [b.add(value, b.i64(limit)), limit * 2n]
        : [value, limit];
      const convert = f.name === 'f32' ? 'f32.convert_i64_s' : 'f64.convert_i64_s';
      b.if(b.eqz(b.gtU(shifted, b.i64(range))), () => b.return(b.op(convert, value)));

      const sign = b.let(source.signed ? b.shrU(value, b.i64(63)) : b.i64(0));
      const magnitude = source.signed ? b.sub(b.xor(value, b.neg(sign)), b.neg(sign)) : value;
      const exponent = b.i64(f.bias + 63);
      b.return(fromBits(b, f, b.call('i64', `${f.name}.roundPack`, sign, exponent, magnitude, rm)));
    },
  }));
}
