// The M extension: integer multiplication and division (Unprivileged ISA, chapter 7). Division never traps: by zero it gives
// all ones and the dividend, on overflow the dividend and zero (table 7.1).

import type {Expr, Operator} from './expression.ts';
import {define, type Instruction, type InstructionBuilder, R} from './instruction.ts';

type O = InstructionBuilder;

/** The high 64 bits of the unsigned product, from four 32-bit products. */
function multiplyHighUnsigned(o: O, a: Expr, b: Expr): Expr {
  const low = (x: Expr): Expr => o.zext32(x);
  const high = (x: Expr): Expr => o.shrU(x, o.i64(32));
  const middle = o.let(o.add(o.mul(high(a), low(b)), high(o.mul(low(a), low(b)))));
  const carry = high(o.add(o.mul(low(a), high(b)), low(middle)));
  return o.add(o.add(o.mul(high(a), high(b)), high(middle)), carry);
}

/** What the unsigned high product has too much when `a` is negative. */
const signCorrection = (o: O, a: Expr, b: Expr): Expr => o.and(o.shrS(a, o.i64(63)), b);

type Division = {operator: Operator; word: boolean; signed: boolean; kind: 'quotient' | 'remainder'};

/** Word operands are widened first: then the signed overflow of 32 bits cannot overflow 64. */
function divide(o: O, {operator, word, signed, kind}: Division): void {
  const widen = (x: Expr): Expr => (!word ? x : signed ? o.sext32(x) : o.zext32(x));
  const a = o.let(widen(o.rs1));
  const b = o.let(widen(o.rs2));
  const plain = o.op(operator, a, b);
  const overflow = kind === 'quotient' ? o.neg(a) : o.i64(0);
  const whole = signed && !word ? o.choose(o.eq(b, o.i64(-1)), overflow, plain) : plain;
  const result = o.choose(o.eqz(b), kind === 'quotient' ? o.i64(-1) : a, whole);
  o.setRd(word ? o.sext32(result) : result);
}

const division = (name: string, match: number, options: Division): Instruction =>
  define(name, R, match, (o) => divide(o, options));

export const RV64M: readonly Instruction[] = [
  define('mul', R, 0x0200_0033, (o) => o.setRd(o.mul(o.rs1, o.rs2))),
  define('mulh', R, 0x0200_1033, (o) => {
    const a = o.let(o.rs1);
    const b = o.let(o.rs2);
    o.setRd(o.sub(o.sub(multiplyHighUnsigned(o, a, b), signCorrection(o, a, b)), signCorrection(o, b, a)));
  }),
  define('mulhsu', R, 0x0200_2033, (o) => {
    const a = o.let(o.rs1);
    const b = o.let(o.rs2);
    o.setRd(o.sub(multiplyHighUnsigned(o, a, b), signCorrection(o, a, b)));
  }),
  define('mulhu', R, 0x0200_3033, (o) => o.setRd(multiplyHighUnsigned(o, o.let(o.rs1), o.let(o.rs2)))),
  division('div', 0x0200_4033, {operator: 'i64.div_s', word: false, signed: true, kind: 'quotient'}),
  division('divu', 0x0200_5033, {operator: 'i64.div_u', word: false, signed: false, kind: 'quotient'}),
  division('rem', 0x0200_6033, {operator: 'i64.rem_s', word: false, signed: true, kind: 'remainder'}),
  division('remu', 0x0200_7033, {operator: 'i64.rem_u', word: false, signed: false, kind: 'remainder'}),
  define('mulw', R, 0x0200_003b, (o) => o.setRd(o.sext32(o.mul(o.rs1, o.rs2)))),
  division('divw', 0x0200_403b, {operator: 'i64.div_s', word: true, signed: true, kind: 'quotient'}),
  division('divuw', 0x0200_503b, {operator: 'i64.div_u', word: true, signed: false, kind: 'quotient'}),
  division('remw', 0x0200_603b, {operator: 'i64.rem_s', word: true, signed: true, kind: 'remainder'}),
  division('remuw', 0x0200_703b, {operator: 'i64.rem_u', word: true, signed: false, kind: 'remainder'}),
];
