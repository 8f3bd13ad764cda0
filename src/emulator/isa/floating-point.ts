// The instructions that the F and D extensions have in common, for either precision (Unprivileged ISA, chapters 12 and 13): D's differ
// in the format field and in how a register holds an operand. What they compute is in softfloat/.

import type {Expr} from './expression.ts';
import {
  define,
  type Format,
  FP,
  FP_COMPARE,
  FP_EXACT,
  FP_TO_X,
  FP_TO_X_EXACT,
  FP1,
  FP4,
  type Instruction,
  type InstructionBuilder,
  X_TO_FP,
} from './instruction.ts';

type O = InstructionBuilder;

export type Precision = {
  /** What the names of instructions end in. */
  readonly suffix: 's' | 'd';
  /** Prefix of the functions in softfloat/, and the type of values. */
  readonly type: 'f32' | 'f64';
  /** The integer type of their bits. */
  readonly pattern: 'i32' | 'i64';
  /** The format field, in place. */
  readonly formatBits: number;
  readonly signMask: bigint;
  /** The register operands. */
  sources(o: O): readonly [Expr, Expr, Expr];
  write(o: O, value: Expr): void;
};

export const SINGLE: Precision = {
  suffix: 's',
  type: 'f32',
  pattern: 'i32',
  formatBits: 0,
  signMask: 1n << 31n,
  sources: (o) => [o.single1, o.single2, o.single3],
  write: (o, value) => o.setFdSingle(value),
};

export const DOUBLE: Precision = {
  suffix: 'd',
  type: 'f64',
  pattern: 'i64',
  formatBits: 0x0200_0000,
  signMask: 1n << 63n,
  sources: (o) => [o.fs1, o.fs2, o.fs3],
  write: (o, value) => o.setFd(value),
};

/** The integer operands of conversions: their place in the rs2 field, and their names. */
const INTEGERS = [
  {field: 0, suffix: 'w', type: 'I32'},
  {field: 1, suffix: 'wu', type: 'U32'},
  {field: 2, suffix: 'l', type: 'I64'},
  {field: 3, suffix: 'lu', type: 'U64'},
] as const;

export function floatingPoint(p: Precision): Instruction[] {
  const {suffix, type, pattern, signMask} = p;
  const encoded = (
    name: string,
    format: Format,
    match: number,
    meaning: (o: O) => void,
    whenSame?: (o: O) => void,
  ): Instruction => define(name, format, match | p.formatBits, meaning, whenSame);
  const negated = (o: O, value: Expr): Expr => o.op(`${type}.neg`, value);
  const result = (o: O, name: string, ...args: Expr[]): void => p.write(o, o.call(type, `${type}.${name}`, ...args));

  const arithmetic = (name: string, match: number): Instruction =>
    encoded(`f${name}.${suffix}`, FP, match, (o) => {
      const [left, right] = p.sources(o);
      result(o, name, left, right, o.rm);
    });

  /** ±(fs1 × fs2) ± fs3: negating an operand negates exactly. */
  const fused = (name: string, match: number, signs: {product: '+' | '-'; addend: '+' | '-'}): Instruction =>
    encoded(`${name}.${suffix}`, FP4, match, (o) => {
      const [left, right, addend] = p.sources(o);
      const factor = signs.product === '+' ? left : negated(o, left);
      result(o, 'fma', factor, right, signs.addend === '+' ? addend : negated(o, addend), o.rm);
    });

  /** The magnitude of fs1 under a sign: a copy, the negative or the absolute value where fs2 is fs1. */
  const signInjection = (
    name: string,
    match: number,
    meaning: (o: O, own: Expr, other: Expr) => Expr,
    whenSame: (o: O, own: Expr) => Expr,
  ): Instruction =>
    encoded(
      `${name}.${suffix}`,
      FP_EXACT,
      match,
      (o) => {
        const [own, other] = p.sources(o);
        p.write(o, meaning(o, own, other));
      },
      (o) => p.write(o, whenSame(o, p.sources(o)[0])),
    );

  const exclusive = (o: O, own: Expr, other: Expr): Expr => {
    const bits = (value: Expr): Expr => o.op(type === 'f32' ? 'i32.reinterpret_f32' : 'i64.reinterpret_f64', value);
    const mask: Expr = {kind: 'const', type: pattern, value: signMask};
    const flipped = o.xor(bits(own), o.and(bits(other), mask));
    return o.op(type === 'f32' ? 'f32.reinterpret_i32' : 'f64.reinterpret_i64', flipped);
  };

  const minMax = (name: string, match: number): Instruction =>
    encoded(`f${name}.${suffix}`, FP_EXACT, match, (o) => {
      const [left, right] = p.sources(o);
      result(o, name, left, right);
    });

  const comparison = (name: string, match: number): Instruction =>
    encoded(`f${name}.${suffix}`, FP_COMPARE, match, (o) => {
      const [left, right] = p.sources(o);
      o.setRd(o.zext(o.call('i32', `${type}.${name}`, left, right)));
    });

  return [
    fused('fmadd', 0x0000_0043, {product: '+', addend: '+'}),
    fused('fmsub', 0x0000_0047, {product: '+', addend: '-'}),
    fused('fnmsub', 0x0000_004b, {product: '-', addend: '+'}),
    fused('fnmadd', 0x0000_004f, {product: '-', addend: '-'}),
    arithmetic('add', 0x0000_0053),
    arithmetic('sub', 0x0800_0053),
    arithmetic('mul', 0x1000_0053),
    arithmetic('div', 0x1800_0053),
    encoded(`fsqrt.${suffix}`, FP1, 0x5800_0053, (o) => result(o, 'sqrt', p.sources(o)[0], o.rm)),
    signInjection(
      'fsgnj',
      0x2000_0053,
      (o, own, other) => o.op(`${type}.copysign`, own, other),
      (_o, own) => own,
    ),
    signInjection('fsgnjn', 0x2000_1053, (o, own, other) => o.op(`${type}.copysign`, own, negated(o, other)), negated),
    signInjection('fsgnjx', 0x2000_2053, exclusive, (o, own) => o.op(`${type}.abs`, own)),
    minMax('min', 0x2800_0053),
    minMax('max', 0x2800_1053),
    comparison('le', 0xa000_0053),
    comparison('lt', 0xa000_1053),
    comparison('eq', 0xa000_2053),
    encoded(`fclass.${suffix}`, FP_TO_X_EXACT, 0xe000_1053, (o) =>
      o.setRd(o.zext(o.call('i32', `${type}.class`, p.sources(o)[0]))),
    ),
    ...INTEGERS.map((integer) =>
      encoded(`fcvt.${integer.suffix}.${suffix}`, FP_TO_X, 0xc000_0053 | (integer.field << 20), (o) =>
        o.setRd(o.call('i64', `${type}.to${integer.type}`, p.sources(o)[0], o.rm)),
      ),
    ),
    ...INTEGERS.map((integer) =>
      encoded(`fcvt.${suffix}.${integer.suffix}`, X_TO_FP, 0xd000_0053 | (integer.field << 20), (o) =>
        result(o, `from${integer.type}`, o.rs1, o.rm),
      ),
    ),
  ];
}
