// Words that must trap: reserved encodings, instructions of extensions that the machine does not have, registers that do not
// exist, and ecall and ebreak. Random words count as illegal when no row of encodings.ts matches them.

import {C_ILLEGAL} from './compressed.ts';
import * as encodings from './encodings.ts';
import type {Random} from './random.ts';
import {fixed, type Unit, wide} from './units.ts';

const KNOWN: readonly (readonly [name: string, word: number])[] = [
  ['all ones', 0xffffffff],
  ['slliw with 32', 0x0205151b],
  ['branch funct3 2', 0x00b52463],
  ['branch funct3 3', 0x00b53463],
  ['load funct3 7', 0x00057503],
  ['store funct3 4', 0x00b54023],
  ['store funct3 7', 0x00b57023],
  ['flh', 0x00051507],
  ['load-fp funct3 4', 0x00054507],
  ['fsh', 0x00b51027],
  ['fld funct3 0', 0x00050507],
  ['amo funct3 0', 0x00b5052f],
  ['amo funct3 4', 0x00b5452f],
  ['amo funct5 5', 0x28b5252f],
  ['lr with rs2', 0x10b5252f],
  ['fadd.h', 0x04b50553],
  ['fadd.q', 0x06b50553],
  ['fmadd.h', 0x64b50543],
  ['fsqrt.s with rs2', 0x58150553],
  ['fclass.s funct3 2', 0xe0052553],
  ['fmv.x.w with rs2', 0xe0150553],
  ['fmv.w.x funct3 1', 0xf0051553],
  ['fsgnj.s funct3 3', 0x20b53553],
  ['fmin.s funct3 2', 0x28b52553],
  ['feq.s funct3 3', 0xa0b53553],
  ['fcvt.w.s with rs2 4', 0xc0457553],
  ['fcvt.s.w with rs2 5', 0xd0557553],
  ['fcvt.s.d from s', 0x40057553],
  ['fcvt.d.s from d', 0x42157553],
  ['fadd.s rm 5', 0x00b55553],
  ['fadd.d rm 6', 0x02b56553],
  ['fcvt.d.w rm 5', 0xd2055553],
  ['fcvt.d.s rm 6', 0x42056553],
  ['clmul', 0x0ab51533],
  ['clmulr', 0x0ab52533],
  ['clmulh', 0x0ab53533],
  ['pack', 0x08b54533],
  ['packh', 0x08b57533],
  ['packw', 0x08b5453b],
  ['xperm8', 0x28b54533],
  ['zip', 0x08f51513],
  ['brev8', 0x68755513],
  ['rev8 of RV32', 0x69855513],
  ['sha256sum0', 0x10051513],
  ['op funct7 2', 0x04b50533],
  ['op-32 funct3 2', 0x00b5253b],
  ['op-imm slli funct6 1', 0x04151513],
  ['op-imm srli funct6 2', 0x08155513],
  ['jalr funct3 1', 0x00051567],
  ['op-v', 0x00b50557],
  ['custom-0', 0x00b5050b],
  ['custom-1', 0x00b5052b],
  ['custom-2', 0x00b5055b],
  ['custom-3', 0x00b5057b],
  ['opcode 0x6b', 0x00b5056b],
  ['read of csr 0x5c0', 0x5c002573],
  ['read of csr 0x7c0', 0x7c002573],
  ['read of hstatus', 0x60002573],
  ['read of vsstatus', 0x20002573],
  ['read of vstart', 0x00802573],
  ['read of dcsr', 0x7b002573],
  ['read of csr 0xcc0', 0xcc002573],
  ['write of mvendorid', 0xf1151573],
  ['write of mhartid', 0xf1451573],
  ['system funct3 4', 0x30054573],
  ['hfence.vvma', 0x22000073],
  ['hlv.b', 0x60054573],
  ['dret', 0x7b200073],
  ['uret', 0x00200073],
  ['ecall with rd', 0x000000f3],
];

const TRAPS: readonly (readonly [name: string, word: number])[] = [
  ['ecall', 0x00000073],
  ['ebreak', 0x00100073],
];

/** Which bits of a word are fixed, by table. */
const MASKS: readonly (readonly [rows: readonly (readonly [string, number, ...unknown[]])[], mask: number])[] = [
  [encodings.REGISTER, 0xfe00707f],
  [encodings.UNARY, 0xfff0707f],
  [encodings.IMMEDIATE, 0x707f],
  [encodings.SHIFT6, 0xfc00707f],
  [encodings.SHIFT5, 0xfe00707f],
  [encodings.UPPER, 0x7f],
  [encodings.BRANCH, 0x707f],
  [encodings.LOAD, 0x707f],
  [encodings.STORE, 0x707f],
  [encodings.FLOAT_LOAD, 0x707f],
  [encodings.FLOAT_STORE, 0x707f],
  [encodings.ATOMIC, 0xf800707f],
  [encodings.LOAD_RESERVED, 0xf9f0707f],
  [encodings.STORE_CONDITIONAL, 0xf800707f],
];

const FLOAT_MASKS: Record<encodings.FloatForm, number> = {
  'f=f,f,rm': 0xfe00007f,
  'f=f,f': 0xfe00707f,
  'f=f,rm': 0xfff0007f,
  'f=f,f,f,rm': 0x0600007f,
  'x=f,f': 0xfe00707f,
  'x=f': 0xfff0707f,
  'x=f,rm': 0xfff0007f,
  'f=x': 0xfff0707f,
  'f=x,rm': 0xfff0007f,
};

/** jal, jalr, fences and the system instructions are for their own units; Zicond may be there. */
function isKept(word: number): boolean {
  const opcode = word & 0x7f;
  if (opcode === 0x6f || opcode === 0x0f || opcode === 0x73) return false;
  if (opcode === 0x67 && (word & 0x7000) === 0) return false;
  if ((word & 0xfe00507f) >>> 0 === 0x0e005033) return false;
  for (const [rows, mask] of MASKS) {
    for (const [, match] of rows) if ((word & mask) >>> 0 === match >>> 0) return false;
  }
  for (const [, match, form] of encodings.FLOAT) {
    if ((word & FLOAT_MASKS[form]) >>> 0 === match >>> 0) return false;
  }
  return true;
}

const OPCODES = [0x03, 0x07, 0x13, 0x1b, 0x23, 0x27, 0x2f, 0x33, 0x3b, 0x43, 0x47, 0x53, 0x53, 0x53, 0x63, 0x67];

function randomWord(random: Random): number {
  for (;;) {
    const opcode = random.chance(0.85) ? random.pick(OPCODES) : (random.below(32) << 2) | 3;
    // Little is reserved where most bits are free: clearing bits of the fixed fields finds it sooner.
    const word = ((random.u32() & 0xffffff80) | opcode) >>> 0;
    if (isKept(word)) return word;
  }
}

export function illegalUnit(random: Random): Unit {
  const kind = random.below(10);
  if (kind < 2) return fixed({name: 'illegal', word: random.pick(C_ILLEGAL), bytes: 2});
  if (kind < 6) return fixed(wide(...random.pick(KNOWN)));
  if (kind === 6)
    return random.chance(0.3) ? fixed({name: 'c.ebreak', word: 0x9002, bytes: 2}) : fixed(wide(...random.pick(TRAPS)));
  return fixed(wide('illegal', randomWord(random)));
}
