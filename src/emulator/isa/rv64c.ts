// The C extension (Unprivileged ISA, chapter 16): every 16-bit instruction stands for one 32-bit instruction, and is expanded
// into it before decoding. RV64GC: C.FLWSP and its kin are RV32 only.

/** Names of the instructions that halfwords stand for. */
export const COMPRESSED: readonly string[] = [
  ...['lui', 'addi', 'addiw', 'andi', 'slli', 'srli', 'srai'],
  ...['add', 'sub', 'and', 'or', 'xor', 'addw', 'subw'],
  ...['lw', 'ld', 'fld', 'sw', 'sd', 'fsd'],
  ...['jal', 'jalr', 'beq', 'bne', 'ebreak'],
];

/** The word that does not decode to anything: what an illegal halfword expands to. */
const ILLEGAL = 0;

/** Expands a halfword whose low two bits are not 11; 0 when it is illegal or reserved. */
export function expandCompressed(half: number): number {
  const funct3 = half >>> 13;
  switch (half & 3) {
    case 0:
      return quadrant0(half, funct3);
    case 1:
      return quadrant1(half, funct3);
    default:
      return quadrant2(half, funct3);
  }
}

/** Bits high…low of the halfword, moved to start at `to`. */
const field = (half: number, high: number, low: number, to = 0): number =>
  ((half >>> low) & ((1 << (high - low + 1)) - 1)) << to;
const signExtend = (value: number, bits: number): number => (value << (32 - bits)) >> (32 - bits);

const wordI = (opcode: number, funct3: number, rd: number, rs1: number, imm: number): number =>
  ((imm << 20) | (rs1 << 15) | (funct3 << 12) | (rd << 7) | opcode) >>> 0;
const wordS = (opcode: number, funct3: number, rs1: number, rs2: number, imm: number): number =>
  ((((imm >> 5) & 127) << 25) | (rs2 << 20) | (rs1 << 15) | (funct3 << 12) | ((imm & 31) << 7) | opcode) >>> 0;
const wordR = (opcode: number, funct3: number, funct7: number, rd: number, rs1: number, rs2: number): number =>
  ((funct7 << 25) | (rs2 << 20) | (rs1 << 15) | (funct3 << 12) | (rd << 7) | opcode) >>> 0;
const wordB = (funct3: number, rs1: number, imm: number): number =>
  ((((imm >> 12) & 1) << 31) |
    (((imm >> 5) & 63) << 25) |
    (rs1 << 15) |
    (funct3 << 12) |
    (((imm >> 1) & 15) << 8) |
    (((imm >> 11) & 1) << 7) |
    0x63) >>>
  0;
const wordJ = (imm: number): number =>
  ((((imm >> 20) & 1) << 31) |
    (((imm >> 1) & 1023) << 21) |
    (((imm >> 11) & 1) << 20) |
    (((imm >> 12) & 255) << 12) |
    0x6f) >>>
  0;

const OP_IMM = 0x13;
const OP_IMM_32 = 0x1b;
const OP = 0x33;
const OP_32 = 0x3b;
const LOAD = 0x03;
const LOAD_FP = 0x07;
const STORE = 0x23;
const STORE_FP = 0x27;
const JALR = 0x67;
const LUI = 0x37;
const EBREAK = 0x0010_0073;

/** The sixteen-bit form's popular registers x8–x15. */
const popular = (half: number, low: number): number => 8 + field(half, low + 2, low);

function quadrant0(half: number, funct3: number): number {
  const rd = popular(half, 2);
  const rs1 = popular(half, 7);
  const offsetD = field(half, 12, 10, 3) | field(half, 6, 5, 6);
  const offsetW = field(half, 12, 10, 3) | field(half, 6, 6, 2) | field(half, 5, 5, 6);
  switch (funct3) {
    case 0: {
      const imm = field(half, 12, 11, 4) | field(half, 10, 7, 6) | field(half, 6, 6, 2) | field(half, 5, 5, 3);
      return imm === 0 ? ILLEGAL : wordI(OP_IMM, 0, rd, 2, imm);
    }
    case 1:
      return wordI(LOAD_FP, 3, rd, rs1, offsetD);
    case 2:
      return wordI(LOAD, 2, rd, rs1, offsetW);
    case 3:
      return wordI(LOAD, 3, rd, rs1, offsetD);
    case 5:
      return wordS(STORE_FP, 3, rs1, rd, offsetD);
    case 6:
      return wordS(STORE, 2, rs1, rd, offsetW);
    case 7:
      return wordS(STORE, 3, rs1, rd, offsetD);
    default:
      return ILLEGAL;
  }
}

function quadrant1(half: number, funct3: number): number {
  const rd = field(half, 11, 7);
  const imm = signExtend(field(half, 12, 12, 5) | field(half, 6, 2), 6);
  switch (funct3) {
    case 0:
      return wordI(OP_IMM, 0, rd, rd, imm);
    case 1:
      return rd === 0 ? ILLEGAL : wordI(OP_IMM_32, 0, rd, rd, imm);
    case 2:
      return wordI(OP_IMM, 0, rd, 0, imm);
    case 3:
      return addi16spOrLui(half, rd, imm);
    case 4:
      return arithmetic(half, imm);
    case 5: {
      const offset =
        field(half, 12, 12, 11) |
        field(half, 11, 11, 4) |
        field(half, 10, 9, 8) |
        field(half, 8, 8, 10) |
        field(half, 7, 7, 6) |
        field(half, 6, 6, 7) |
        field(half, 5, 3, 1) |
        field(half, 2, 2, 5);
      return wordJ(signExtend(offset, 12));
    }
    default: {
      const offset =
        field(half, 12, 12, 8) |
        field(half, 11, 10, 3) |
        field(half, 6, 5, 6) |
        field(half, 4, 3, 1) |
        field(half, 2, 2, 5);
      return wordB(funct3 - 6, popular(half, 7), signExtend(offset, 9));
    }
  }
}

function addi16spOrLui(half: number, rd: number, imm: number): number {
  if (rd === 2) {
    const amount = signExtend(
      field(half, 12, 12, 9) |
        field(half, 6, 6, 4) |
        field(half, 5, 5, 6) |
        field(half, 4, 3, 7) |
        field(half, 2, 2, 5),
      10,
    );
    return amount === 0 ? ILLEGAL : wordI(OP_IMM, 0, 2, 2, amount);
  }
  return imm === 0 ? ILLEGAL : ((imm << 12) | (rd << 7) | LUI) >>> 0;
}

function arithmetic(half: number, imm: number): number {
  const rd = popular(half, 7);
  const rs2 = popular(half, 2);
  const shamt = imm & 63;
  switch (field(half, 11, 10)) {
    case 0:
      return wordI(OP_IMM, 5, rd, rd, shamt);
    case 1:
      return wordI(OP_IMM, 5, rd, rd, shamt | 0x400);
    case 2:
      return wordI(OP_IMM, 7, rd, rd, imm);
    default: {
      const operation = field(half, 6, 5);
      if (field(half, 12, 12) === 0) return wordR(OP, [0, 4, 6, 7][operation], operation === 0 ? 0x20 : 0, rd, rd, rs2);
      return operation > 1 ? ILLEGAL : wordR(OP_32, 0, operation === 0 ? 0x20 : 0, rd, rd, rs2);
    }
  }
}

function quadrant2(half: number, funct3: number): number {
  const rd = field(half, 11, 7);
  const rs2 = field(half, 6, 2);
  const loadD = field(half, 12, 12, 5) | field(half, 6, 5, 3) | field(half, 4, 2, 6);
  const storeD = field(half, 12, 10, 3) | field(half, 9, 7, 6);
  switch (funct3) {
    case 0:
      return wordI(OP_IMM, 1, rd, rd, field(half, 12, 12, 5) | rs2);
    case 1:
      return wordI(LOAD_FP, 3, rd, 2, loadD);
    case 2:
      return rd === 0
        ? ILLEGAL
        : wordI(LOAD, 2, rd, 2, field(half, 12, 12, 5) | field(half, 6, 4, 2) | field(half, 3, 2, 6));
    case 3:
      return rd === 0 ? ILLEGAL : wordI(LOAD, 3, rd, 2, loadD);
    case 4:
      return jumpOrMove(half, rd, rs2);
    case 5:
      return wordS(STORE_FP, 3, 2, rs2, storeD);
    case 6:
      return wordS(STORE, 2, 2, rs2, field(half, 12, 9, 2) | field(half, 8, 7, 6));
    default:
      return wordS(STORE, 3, 2, rs2, storeD);
  }
}

function jumpOrMove(half: number, rd: number, rs2: number): number {
  if (field(half, 12, 12) === 0) {
    if (rs2 !== 0) return wordR(OP, 0, 0, rd, 0, rs2);
    return rd === 0 ? ILLEGAL : wordI(JALR, 0, 0, rd, 0);
  }
  if (rs2 !== 0) return wordR(OP, 0, 0, rd, rd, rs2);
  return rd === 0 ? EBREAK : wordI(JALR, 0, 1, rd, 0);
}
