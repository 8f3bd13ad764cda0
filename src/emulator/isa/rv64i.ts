// RV64I base integer instructions (Unprivileged ISA, chapters 2 and 5), Zifencei.

import type {Expr, GuestAccess} from './expression.ts';
import {
  B,
  define,
  FENCE,
  I,
  type Instruction,
  type InstructionBuilder,
  J,
  LOAD,
  R,
  S,
  SHIFT,
  SHIFT_W,
  U,
} from './instruction.ts';

type O = InstructionBuilder;

const load = (name: string, match: number, access: GuestAccess): Instruction =>
  define(name, LOAD, match, (o) => o.setRd(o.load(access, o.add(o.rs1, o.imm))));

const store = (name: string, match: number, access: GuestAccess): Instruction =>
  define(name, S, match, (o) => o.store(access, o.add(o.rs1, o.imm), o.rs2));

const branch = (name: string, match: number, compare: (o: O) => Expr): Instruction =>
  define(name, B, match, (o) => o.branchIf(compare(o)));

/** A 32-bit operation on the low halves, sign-extended. */
const word = (o: O, compute: (a: Expr, b: Expr) => Expr, b: Expr): void =>
  o.setRd(o.sext(compute(o.wrap(o.rs1), o.wrap(b))));

export const RV64I: readonly Instruction[] = [
  define('lui', U, 0x0000_0037, (o) => o.setRd(o.imm)),
  define('auipc', U, 0x0000_0017, (o) => o.setRd(o.add(o.pc, o.imm))),
  define('jal', J, 0x0000_006f, (o) => {
    o.setRd(o.nextPc);
    o.branchIf(o.i32(1));
  }),
  define('jalr', I, 0x0000_0067, (o) => {
    const target = o.let(o.and(o.add(o.rs1, o.imm), o.i64(-2)));
    o.setRd(o.nextPc);
    o.jump(target);
  }),

  branch('beq', 0x0000_0063, (o) => o.eq(o.rs1, o.rs2)),
  branch('bne', 0x0000_1063, (o) => o.ne(o.rs1, o.rs2)),
  branch('blt', 0x0000_4063, (o) => o.ltS(o.rs1, o.rs2)),
  branch('bge', 0x0000_5063, (o) => o.geS(o.rs1, o.rs2)),
  branch('bltu', 0x0000_6063, (o) => o.ltU(o.rs1, o.rs2)),
  branch('bgeu', 0x0000_7063, (o) => o.geU(o.rs1, o.rs2)),

  load('lb', 0x0000_0003, 'i8'),
  load('lh', 0x0000_1003, 'i16'),
  load('lw', 0x0000_2003, 'i32'),
  load('ld', 0x0000_3003, 'i64'),
  load('lbu', 0x0000_4003, 'u8'),
  load('lhu', 0x0000_5003, 'u16'),
  load('lwu', 0x0000_6003, 'u32'),
  store('sb', 0x0000_0023, 'i8'),
  store('sh', 0x0000_1023, 'i16'),
  store('sw', 0x0000_2023, 'i32'),
  store('sd', 0x0000_3023, 'i64'),

  define('addi', I, 0x0000_0013, (o) => o.setRd(o.add(o.rs1, o.imm))),
  define('slti', I, 0x0000_2013, (o) => o.setRd(o.zext(o.ltS(o.rs1, o.imm)))),
  define('sltiu', I, 0x0000_3013, (o) => o.setRd(o.zext(o.ltU(o.rs1, o.imm)))),
  define('xori', I, 0x0000_4013, (o) => o.setRd(o.xor(o.rs1, o.imm))),
  define('ori', I, 0x0000_6013, (o) => o.setRd(o.or(o.rs1, o.imm))),
  define('andi', I, 0x0000_7013, (o) => o.setRd(o.and(o.rs1, o.imm))),
  define('slli', SHIFT, 0x0000_1013, (o) => o.setRd(o.shl(o.rs1, o.imm))),
  define('srli', SHIFT, 0x0000_5013, (o) => o.setRd(o.shrU(o.rs1, o.imm))),
  define('srai', SHIFT, 0x4000_5013, (o) => o.setRd(o.shrS(o.rs1, o.imm))),

  define('add', R, 0x0000_0033, (o) => o.setRd(o.add(o.rs1, o.rs2))),
  define('sub', R, 0x4000_0033, (o) => o.setRd(o.sub(o.rs1, o.rs2))),
  define('sll', R, 0x0000_1033, (o) => o.setRd(o.shl(o.rs1, o.rs2))),
  define('slt', R, 0x0000_2033, (o) => o.setRd(o.zext(o.ltS(o.rs1, o.rs2)))),
  define('sltu', R, 0x0000_3033, (o) => o.setRd(o.zext(o.ltU(o.rs1, o.rs2)))),
  define('xor', R, 0x0000_4033, (o) => o.setRd(o.xor(o.rs1, o.rs2))),
  define('srl', R, 0x0000_5033, (o) => o.setRd(o.shrU(o.rs1, o.rs2))),
  define('sra', R, 0x4000_5033, (o) => o.setRd(o.shrS(o.rs1, o.rs2))),
  define('or', R, 0x0000_6033, (o) => o.setRd(o.or(o.rs1, o.rs2))),
  define('and', R, 0x0000_7033, (o) => o.setRd(o.and(o.rs1, o.rs2))),

  define('addiw', I, 0x0000_001b, (o) => o.setRd(o.sext32(o.add(o.rs1, o.imm)))),
  define('slliw', SHIFT_W, 0x0000_101b, (o) => word(o, (a, b) => o.shl(a, b), o.imm)),
  define('srliw', SHIFT_W, 0x0000_501b, (o) => word(o, (a, b) => o.shrU(a, b), o.imm)),
  define('sraiw', SHIFT_W, 0x4000_501b, (o) => word(o, (a, b) => o.shrS(a, b), o.imm)),
  define('addw', R, 0x0000_003b, (o) => o.setRd(o.sext32(o.add(o.rs1, o.rs2)))),
  define('subw', R, 0x4000_003b, (o) => o.setRd(o.sext32(o.sub(o.rs1, o.rs2)))),
  define('sllw', R, 0x0000_103b, (o) => word(o, (a, b) => o.shl(a, b), o.rs2)),
  define('srlw', R, 0x0000_503b, (o) => word(o, (a, b) => o.shrU(a, b), o.rs2)),
  define('sraw', R, 0x4000_503b, (o) => word(o, (a, b) => o.shrS(a, b), o.rs2)),

  // One hart, and stores reach decoded code at once: fences have nothing to order.
  define('fence', FENCE, 0x0000_000f, () => {}),
  define('fence.i', FENCE, 0x0000_100f, () => {}),
];
