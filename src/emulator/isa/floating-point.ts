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
  /** Prefix of the functions in softfloat/, and the type of their patterns. */
  readonly functions: 'f32' | 'f64';
  readonly pattern: 'i32' | 'i64';
  /** The format field, in place. */
  readonly formatBits: number;
  readonly signMask: bigint;
  read(o: O, register: Expr): Expr;
  write(o: O, value: Expr): void;
};

export const SINGLE: Precision = {
  suffix: 's',
  functions: 'f32',
  pattern: 'i32',
  formatBits: 0,
  signMask: 1n << 31n,
  read: (o, register) => o.single(register),
  write: (o, value) => o.setFdSingle(value),
};

export const DOUBLE: Precision = {
  suffix: 'd',
  functions: 'f64',
  pattern: 'i64',
  formatBits: 0x0200_0000,
  signMask: 1n << 63n,
  read: (_o, register) => register,
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
  const {suffix, functions, pattern, signMask} = p;
  const encoded = (name: string, format: Format, match: number, meaning: (o: O) => void): Instruction =>
    define(name, format, match | p.formatBits, meaning);
  const negated = (o: O, value: Expr): Expr => o.xor(value, o.constant(value, signMask));
  const result = (o: O, name: string, ...args: Expr[]): void =>
    p.write(o, o.call(pattern, `${functions}.${name}`, ...args));

  const arithmetic = (name: string, match: number): Instruction =>
    encoded(`f${name}.${suffix}`, FP, match, (o) => result(o, name, p.read(o, o.fs1), p.read(o, o.fs2), o.rm));

  /** ±(fs1 × fs2) ± fs3: negating an operand negates exactly. */
  const fused = (name: string, match: number, signs: {product: '+' | '-'; addend: '+' | '-'}): Instruction =>
    encoded(`${name}.${suffix}`, FP4, match, (o) => {
      const factor = p.read(o, o.fs1);
      const addend = p.read(o, o.fs3);
      const left = signs.product === '+' ? factor : negated(o, factor);
      result(o, 'fma', left, p.read(o, o.fs2), signs.addend === '+' ? addend : negated(o, addend), o.rm);
    });

  /** The magnitude of fs1 under a sign. */
  const signInjection = (name: string, match: number, sign: (o: O, own: Expr, other: Expr) => Expr): Instruction =>
    encoded(`${name}.${suffix}`, FP_EXACT, match, (o) => {
      const own = o.let(p.read(o, o.fs1));
      const other = o.let(p.read(o, o.fs2));
      const magnitude = o.and(own, o.constant(own, signMask - 1n));
      p.write(o, o.or(magnitude, o.and(sign(o, own, other), o.constant(own, signMask))));
    });

  const minMax = (name: string, match: number): Instruction =>
    encoded(`f${name}.${suffix}`, FP_EXACT, match, (o) => result(o, name, p.read(o, o.fs1), p.read(o, o.fs2)));

  const comparison = (name: string, match: number): Instruction =>
    encoded(`f${name}.${suffix}`, FP_COMPARE, match, (o) =>
      o.setRd(o.zext(o.call('i32', `${functions}.${name}`, p.read(o, o.fs1), p.read(o, o.fs2)))),
    );

  return [
    fused('fmadd', 0x0000_0043, {product: '+', addend: '+'}),
    fused('fmsub', 0x0000_0047, {product: '+', addend: '-'}),
    fused('fnmsub', 0x0000_004b, {product: '-', addend: '+'}),
    fused('fnmadd', 0x0000_004f, {product: '-', addend: '-'}),
    arithmetic('add', 0x0000_0053),
    arithmetic('sub', 0x0800_0053),
    arithmetic('mul', 0x1000_0053),
    arithmetic('div', 0x1800_0053),
    encoded(`fsqrt.${suffix}`, FP1, 0x5800_0053, (o) => result(o, 'sqrt', p.read(o, o.fs1), o.rm)),
    signInjection('fsgnj', 0x2000_0053, (_o, _own, other) => other),
    signInjection('fsgnjn', 0x2000_1053, (o, _own, other) => o.not(other)),
    signInjection('fsgnjx', 0x2000_2053, (o, own, other) => o.xor(own, other)),
    minMax('min', 0x2800_0053),
    minMax('max', 0x2800_1053),
    comparison('le', 0xa000_0053),
    comparison('lt', 0xa000_1053),
    comparison('eq', 0xa000_2053),
    encoded(`fclass.${suffix}`, FP_TO_X_EXACT, 0xe000_1053, (o) =>
      o.setRd(o.zext(o.call('i32', `${functions}.class`, p.read(o, o.fs1)))),
    ),
    ...INTEGERS.map((integer) =>
      encoded(`fcvt.${integer.suffix}.${suffix}`, FP_TO_X, 0xc000_0053 | (integer.field << 20), (o) =>
        o.setRd(o.call('i64', `${functions}.to${integer.type}`, p.read(o, o.fs1), o.rm)),
      ),
    ),
    ...INTEGERS.map((integer) =>
      encoded(`fcvt.${suffix}.${integer.suffix}`, X_TO_FP, 0xd000_0053 | (integer.field << 20), (o) =>
        result(o, `from${integer.type}`, o.rs1, o.rm),
      ),
    ),
  ];
}
