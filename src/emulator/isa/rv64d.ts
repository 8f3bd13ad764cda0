// RV64D: double-precision floating point (Unprivileged ISA, chapter 13), and the conversions between the precisions.

import {DOUBLE, floatingPoint} from './floating-point.ts';
import {define, FP_LOAD, FP_STORE, FP_TO_X_EXACT, FP1, type Instruction, X_TO_FP_EXACT} from './instruction.ts';

export const RV64D: readonly Instruction[] = [
  define('fld', FP_LOAD, 0x0000_3007, (o) => o.setFd(o.load('i64', o.add(o.rs1, o.imm)))),
  define('fsd', FP_STORE, 0x0000_3027, (o) => o.store('i64', o.add(o.rs1, o.imm), o.fs2)),
  ...floatingPoint(DOUBLE),
  define('fcvt.s.d', FP1, 0x4010_0053, (o) => o.setFdSingle(o.call('i32', 'f32.fromF64', o.fs1, o.rm))),
  define('fcvt.d.s', FP1, 0x4200_0053, (o) => {
    // Exact in every mode; yet a reserved mode is an illegal instruction.
    o.let(o.rm);
    o.setFd(o.call('i64', 'f64.fromF32', o.single(o.fs1)));
  }),
  define('fmv.x.d', FP_TO_X_EXACT, 0xe200_0053, (o) => o.setRd(o.fs1)),
  define('fmv.d.x', X_TO_FP_EXACT, 0xf200_0053, (o) => o.setFd(o.rs1)),
];
