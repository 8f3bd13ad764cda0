// RV64F: single-precision floating point (Unprivileged ISA, chapter 12). Singles are NaN-boxed in the 64-bit registers; moves, loads and
// stores take the low half as it is.

import {floatingPoint, SINGLE} from './floating-point.ts';
import {define, FP_LOAD, FP_STORE, FP_TO_X_EXACT, type Instruction, X_TO_FP_EXACT} from './instruction.ts';

export const RV64F: readonly Instruction[] = [
  define('flw', FP_LOAD, 0x0000_2007, (o) => o.setFdSingle(o.load('f32', o.add(o.rs1, o.imm)))),
  define('fsw', FP_STORE, 0x0000_2027, (o) => o.store('f32', o.add(o.rs1, o.imm), o.low2)),
  ...floatingPoint(SINGLE),
  define('fmv.x.w', FP_TO_X_EXACT, 0xe000_0053, (o) => o.setRd(o.sext(o.op('i32.reinterpret_f32', o.low1)))),
  define('fmv.w.x', X_TO_FP_EXACT, 0xf000_0053, (o) => o.setFdSingle(o.op('f32.reinterpret_i32', o.wrap(o.rs1)))),
];
