// RV64D: double-precision floating point (Unprivileged ISA, chapter 13), and the conversions between the precisions.

import {DOUBLE, floatingPoint} from './floating-point.ts';
import {define, FP_LOAD, FP_STORE, FP_TO_X_EXACT, FP1, type Instruction, X_TO_FP_EXACT} from './instruction.ts';

export const RV64D: readonly Instruction[] = [
  define('fld', FP_LOAD, 0x0000_3007, (o) => o.setFd(o.load('f64', o.add(o.rs1, o.imm)))),
  define('fsd', FP_STORE, 0x0000_3027, (o) => o.store('f64', o.add(o.rs1, o.imm), o.fs2)),
  ...floatingPoint(DOUBLE),
  define('fcvt.s.d', FP1, 0x4010_0053, (o) => o.setFdSingle(o.call('f32', 'f32.fromF64', o.fs1, o.rm))),
  define('fcvt.d.s', FP1, 0x4200_0053, (o) => o.setFd(o.call('f64', 'f64.fromF32', o.single1, o.rm))),
  define('fmv.x.d', FP_TO_X_EXACT, 0xe200_0053, (o) => o.setRd(o.op('i64.reinterpret_f64', o.fs1))),
  define('fmv.d.x', X_TO_FP_EXACT, 0xf200_0053, (o) => o.setFd(o.op('f64.reinterpret_i64', o.rs1))),
];
