// Zba, Zbb, Zbs: address generation, basic bit manipulation, single-bit instructions (Bit-manipulation ISA extensions 1.0).

import type {Expr} from './expression.ts';
import {define, type Instruction, type InstructionBuilder, R, R1, SHIFT, SHIFT_W} from './instruction.ts';

type O = InstructionBuilder;

const binary = (name: string, match: number, compute: (o: O) => Expr): Instruction =>
  define(name, R, match, (o) => o.setRd(compute(o)));
const unary = (name: string, match: number, compute: (o: O) => Expr): Instruction =>
  define(name, R1, match, (o) => o.setRd(compute(o)));

/** rd = rs2 + (x << shift). */
const shiftAdd = (o: O, x: Expr, shift: number): Expr => o.add(o.shl(x, o.i64(shift)), o.rs2);
const bit = (o: O, index: Expr): Expr => o.shl(o.i64(1), index);
const wordOf = (o: O, compute: (a: Expr) => Expr): Expr => o.sext(compute(o.wrap(o.rs1)));

export const BIT_MANIPULATION: readonly Instruction[] = [
  binary('add.uw', 0x0800_003b, (o) => shiftAdd(o, o.zext32(o.rs1), 0)),
  binary('sh1add', 0x2000_2033, (o) => shiftAdd(o, o.rs1, 1)),
  binary('sh2add', 0x2000_4033, (o) => shiftAdd(o, o.rs1, 2)),
  binary('sh3add', 0x2000_6033, (o) => shiftAdd(o, o.rs1, 3)),
  binary('sh1add.uw', 0x2000_203b, (o) => shiftAdd(o, o.zext32(o.rs1), 1)),
  binary('sh2add.uw', 0x2000_403b, (o) => shiftAdd(o, o.zext32(o.rs1), 2)),
  binary('sh3add.uw', 0x2000_603b, (o) => shiftAdd(o, o.zext32(o.rs1), 3)),
  define('slli.uw', SHIFT, 0x0800_101b, (o) => o.setRd(o.shl(o.zext32(o.rs1), o.imm))),

  binary('andn', 0x4000_7033, (o) => o.and(o.rs1, o.not(o.rs2))),
  binary('orn', 0x4000_6033, (o) => o.or(o.rs1, o.not(o.rs2))),
  binary('xnor', 0x4000_4033, (o) => o.not(o.xor(o.rs1, o.rs2))),
  unary('clz', 0x6000_1013, (o) => o.op('i64.clz', o.rs1)),
  unary('ctz', 0x6010_1013, (o) => o.op('i64.ctz', o.rs1)),
  unary('cpop', 0x6020_1013, (o) => o.op('i64.popcnt', o.rs1)),
  unary('clzw', 0x6000_101b, (o) => wordOf(o, (a) => o.op('i32.clz', a))),
  unary('ctzw', 0x6010_101b, (o) => wordOf(o, (a) => o.op('i32.ctz', a))),
  unary('cpopw', 0x6020_101b, (o) => wordOf(o, (a) => o.op('i32.popcnt', a))),
  binary('max', 0x0a00_6033, (o) => o.select(o.gtS(o.rs1, o.rs2), o.rs1, o.rs2)),
  binary('maxu', 0x0a00_7033, (o) => o.select(o.gtU(o.rs1, o.rs2), o.rs1, o.rs2)),
  binary('min', 0x0a00_4033, (o) => o.select(o.ltS(o.rs1, o.rs2), o.rs1, o.rs2)),
  binary('minu', 0x0a00_5033, (o) => o.select(o.ltU(o.rs1, o.rs2), o.rs1, o.rs2)),
  unary('sext.b', 0x6040_1013, (o) => o.op('i64.extend8_s', o.rs1)),
  unary('sext.h', 0x6050_1013, (o) => o.op('i64.extend16_s', o.rs1)),
  unary('zext.h', 0x0800_403b, (o) => o.and(o.rs1, o.i64(0xffff))),
  binary('rol', 0x6000_1033, (o) => o.op('i64.rotl', o.rs1, o.rs2)),
  binary('ror', 0x6000_5033, (o) => o.op('i64.rotr', o.rs1, o.rs2)),
  define('rori', SHIFT, 0x6000_5013, (o) => o.setRd(o.op('i64.rotr', o.rs1, o.imm))),
  binary('rolw', 0x6000_103b, (o) => wordOf(o, (a) => o.op('i32.rotl', a, o.wrap(o.rs2)))),
  binary('rorw', 0x6000_503b, (o) => wordOf(o, (a) => o.op('i32.rotr', a, o.wrap(o.rs2)))),
  define('roriw', SHIFT_W, 0x6000_501b, (o) => o.setRd(wordOf(o, (a) => o.op('i32.rotr', a, o.wrap(o.imm))))),
  unary('orc.b', 0x2870_5013, (o) => {
    // A byte's bits are spread downwards and upwards inside the byte: its lowest bit is set when any bit is.
    const a = o.let(o.rs1);
    const b = o.let(o.or(a, o.and(o.shrU(a, o.i64(4)), o.i64(0x0f0f_0f0f_0f0f_0f0fn))));
    const c = o.let(o.or(b, o.and(o.shrU(b, o.i64(2)), o.i64(0x3f3f_3f3f_3f3f_3f3fn))));
    const any = o.and(o.or(c, o.shrU(c, o.i64(1))), o.i64(0x0101_0101_0101_0101n));
    return o.mul(any, o.i64(0xff));
  }),
  unary('rev8', 0x6b80_5013, (o) => {
    const swap = (x: Expr, distance: number, mask: bigint): Expr =>
      o.let(o.or(o.and(o.shrU(x, o.i64(distance)), o.i64(mask)), o.shl(o.and(x, o.i64(mask)), o.i64(distance))));
    const bytes = swap(o.let(o.rs1), 8, 0x00ff_00ff_00ff_00ffn);
    return o.op('i64.rotl', swap(bytes, 16, 0x0000_ffff_0000_ffffn), o.i64(32));
  }),

  binary('bclr', 0x4800_1033, (o) => o.and(o.rs1, o.not(bit(o, o.rs2)))),
  define('bclri', SHIFT, 0x4800_1013, (o) => o.setRd(o.and(o.rs1, o.not(bit(o, o.imm))))),
  binary('bext', 0x4800_5033, (o) => o.and(o.shrU(o.rs1, o.rs2), o.i64(1))),
  define('bexti', SHIFT, 0x4800_5013, (o) => o.setRd(o.and(o.shrU(o.rs1, o.imm), o.i64(1)))),
  binary('binv', 0x6800_1033, (o) => o.xor(o.rs1, bit(o, o.rs2))),
  define('binvi', SHIFT, 0x6800_1013, (o) => o.setRd(o.xor(o.rs1, bit(o, o.imm)))),
  binary('bset', 0x2800_1033, (o) => o.or(o.rs1, bit(o, o.rs2))),
  define('bseti', SHIFT, 0x2800_1013, (o) => o.setRd(o.or(o.rs1, bit(o, o.imm)))),
];
