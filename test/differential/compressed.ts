// The compressed instructions (volume I, chapter 16): placing immediates and registers. As in encodings.ts, from the manual
// alone. Registers with a prime in the manual (x8 to x15) are given here by their full number.

/** Puts bits of `value` where the layout says: `layout` names the value's bits from the field's highest bit downwards. */
function place(value: number, layout: readonly number[], lowest: number): number {
  let word = 0;
  layout.forEach((bit, index) => {
    word |= ((value >> bit) & 1) << (lowest + layout.length - 1 - index);
  });
  return word;
}

const short = (register: number) => register & 7;

/** CI: rd, 6-bit immediate (bit 12 and bits 6 to 2). */
export function ci(word: number, rd: number, imm: number): number {
  return word | (((imm >> 5) & 1) << 12) | (rd << 7) | ((imm & 31) << 2);
}

export const C_CI = {addi: 0x0001, addiw: 0x2001, li: 0x4001, lui: 0x6001, slli: 0x0002} as const;

/** CB-format arithmetic on x8 to x15 with a 6-bit immediate. */
export function cbImmediate(word: number, rd: number, imm: number): number {
  return word | (((imm >> 5) & 1) << 12) | (short(rd) << 7) | ((imm & 31) << 2);
}

export const C_CB = {srli: 0x8001, srai: 0x8401, andi: 0x8801} as const;

/** CA: rd, rs2, both in x8 to x15. */
export function ca(word: number, rd: number, rs2: number): number {
  return word | (short(rd) << 7) | (short(rs2) << 2);
}

export const C_CA = {sub: 0x8c01, xor: 0x8c21, or: 0x8c41, and: 0x8c61, subw: 0x9c01, addw: 0x9c21} as const;

/** CR: rd or rs1, rs2, any register. */
export function cr(word: number, rd: number, rs2: number): number {
  return word | (rd << 7) | (rs2 << 2);
}

export const C_CR = {jr: 0x8002, mv: 0x8002, jalr: 0x9002, add: 0x9002} as const;

export const C_EBREAK = 0x9002;
export const C_NOP = 0x0001;

export function addi16sp(imm: number): number {
  return 0x6101 | place(imm, [9], 12) | place(imm, [4, 6, 8, 7, 5], 2);
}

export function addi4spn(rd: number, imm: number): number {
  return 0x0000 | place(imm, [5, 4, 9, 8, 7, 6, 2, 3], 5) | (short(rd) << 2);
}

/** CL and CS: the register loaded or stored, the base, the offset in bytes. Words scale by 4, doubles by 8. */
export function memory(word: number, register: number, base: number, offset: number, scale: 4 | 8): number {
  const low = scale === 4 ? place(offset, [2, 6], 5) : place(offset, [7, 6], 5);
  return word | place(offset, [5, 4, 3], 10) | (short(base) << 7) | low | (short(register) << 2);
}

export const C_MEMORY = [
  ['c.fld', 0x2000, 8, 'float'],
  ['c.lw', 0x4000, 4, 'load'],
  ['c.ld', 0x6000, 8, 'load'],
  ['c.fsd', 0xa000, 8, 'float'],
  ['c.sw', 0xc000, 4, 'store'],
  ['c.sd', 0xe000, 8, 'store'],
] as const;

export function loadSp(word: number, rd: number, offset: number, scale: 4 | 8): number {
  const low = scale === 4 ? place(offset, [4, 3, 2, 7, 6], 2) : place(offset, [4, 3, 8, 7, 6], 2);
  return word | place(offset, [5], 12) | (rd << 7) | low;
}

export const C_LOAD_SP = [
  ['c.fldsp', 0x2002, 8],
  ['c.lwsp', 0x4002, 4],
  ['c.ldsp', 0x6002, 8],
] as const;

export function storeSp(word: number, rs2: number, offset: number, scale: 4 | 8): number {
  const bits = scale === 4 ? place(offset, [5, 4, 3, 2, 7, 6], 7) : place(offset, [5, 4, 3, 8, 7, 6], 7);
  return word | bits | (rs2 << 2);
}

export const C_STORE_SP = [
  ['c.fsdsp', 0xa002, 8],
  ['c.swsp', 0xc002, 4],
  ['c.sdsp', 0xe002, 8],
] as const;

export function jump(offset: number): number {
  return 0xa001 | place(offset, [11, 4, 9, 8, 10, 6, 7, 3, 2, 1, 5], 2);
}

export const C_BRANCH = {beqz: 0xc001, bnez: 0xe001} as const;

export function branch(word: number, rs1: number, offset: number): number {
  return word | place(offset, [8, 4, 3], 10) | (short(rs1) << 7) | place(offset, [7, 6, 2, 1, 5], 2);
}

/** Reserved or illegal 16-bit words. */
export const C_ILLEGAL: readonly number[] = [
  0x0000, // defined to be illegal
  0x0004, // c.addi4spn without an immediate
  0x8000,
  0x9ffc, // quadrant 0, funct3 100
  ci(C_CI.addiw, 0, 5),
  ci(C_CI.lui, 5, 0),
  0x6101, // c.addi16sp without an immediate
  0x9c41,
  0x9c61, // the two reserved arithmetic rows
  loadSp(0x4002, 0, 8, 4),
  loadSp(0x6002, 0, 8, 8),
  cr(C_CR.jr, 0, 0),
];
