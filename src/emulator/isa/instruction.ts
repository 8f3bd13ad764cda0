// An instruction: its encoding and its meaning, defined once. The format supplies the mask, the immediate and the operands'
// order in assembly; the meaning is a tree (expression.ts) that the interpreter and the translator lower. RISC-V Unprivileged
// ISA 20191213 and later ratified extensions; encodings as in the manual's chapter "Instruction Set Listings".

import type {
  Expr,
  GuestAccess,
  HostLoad,
  HostStore,
  OperandName,
  Statement,
  SystemAction,
  ValueType,
} from './expression.ts';
import {Builder} from './expression.ts';

export type Format = {
  /** Bits of the instruction word that identify the instruction. */
  readonly mask: number;
  /** The immediate that the word holds, sign-extended to 32 bits where the manual says so; the rounding mode for FP formats. */
  immediate(word: number): number;
  /** Operands in the order of assembly language; `offset(rs1)` stands for a memory operand. */
  readonly operands: readonly AssemblyOperand[];
};

export type AssemblyOperand =
  | 'rd'
  | 'rs1'
  | 'rs2'
  | 'fd'
  | 'fs1'
  | 'fs2'
  | 'fs3'
  | 'imm'
  | 'upper'
  | 'target'
  | 'offset(rs1)'
  | '(rs1)'
  | 'csr'
  | 'uimm'
  | 'rm';

export type Instruction = Meaning & {
  readonly name: string;
  readonly format: Format;
  /** The value of the word under the format's mask. */
  readonly match: number;
  /** What it comes down to where rs1 and rs2 are the same register. */
  readonly whenSame: Meaning | undefined;
};

/** A tree. Whoever only decodes instructions never asks for it, and does not wait until it is built. */
class Meaning {
  readonly #meaning: (o: InstructionBuilder) => void;
  #built: InstructionBuilder | undefined;

  constructor(meaning: (o: InstructionBuilder) => void) {
    this.#meaning = meaning;
  }

  get statements(): readonly Statement[] {
    return this.#builder.statements;
  }

  get localTypes(): readonly ValueType[] {
    return this.#builder.locals.map((local) => local.type);
  }

  get #builder(): InstructionBuilder {
    if (this.#built === undefined) {
      this.#built = new InstructionBuilder();
      this.#meaning(this.#built);
    }
    return this.#built;
  }
}

const none = (): number => 0;
const immediateI = (word: number): number => word >> 20;
const immediateS = (word: number): number => ((word >> 25) << 5) | ((word >>> 7) & 31);
const immediateB = (word: number): number =>
  ((word >> 31) << 12) | (((word >>> 7) & 1) << 11) | (((word >>> 25) & 63) << 5) | (((word >>> 8) & 15) << 1);
const immediateU = (word: number): number => word & ~0xfff;
const immediateJ = (word: number): number =>
  ((word >> 31) << 20) | (((word >>> 12) & 255) << 12) | (((word >>> 20) & 1) << 11) | (((word >>> 21) & 1023) << 1);
const shamt = (word: number): number => (word >>> 20) & 63;
const roundingMode = (word: number): number => (word >>> 12) & 7;
const whole = (word: number): number => word;

export const R: Format = {mask: 0xfe00_707f, immediate: none, operands: ['rd', 'rs1', 'rs2']};
/** One source register: the rs2 field is part of the encoding. */
export const R1: Format = {mask: 0xfff0_707f, immediate: none, operands: ['rd', 'rs1']};
export const I: Format = {mask: 0x0000_707f, immediate: immediateI, operands: ['rd', 'rs1', 'imm']};
export const LOAD: Format = {mask: 0x0000_707f, immediate: immediateI, operands: ['rd', 'offset(rs1)']};
export const SHIFT: Format = {mask: 0xfc00_707f, immediate: shamt, operands: ['rd', 'rs1', 'imm']};
export const SHIFT_W: Format = {mask: 0xfe00_707f, immediate: shamt, operands: ['rd', 'rs1', 'imm']};
export const S: Format = {mask: 0x0000_707f, immediate: immediateS, operands: ['rs2', 'offset(rs1)']};
export const B: Format = {mask: 0x0000_707f, immediate: immediateB, operands: ['rs1', 'rs2', 'target']};
export const U: Format = {mask: 0x0000_007f, immediate: immediateU, operands: ['rd', 'upper']};
export const J: Format = {mask: 0x0000_007f, immediate: immediateJ, operands: ['rd', 'target']};
export const FENCE: Format = {mask: 0x0000_707f, immediate: none, operands: []};
/** Atomics: the aq and rl bits are free. */
export const AMO: Format = {mask: 0xf800_707f, immediate: none, operands: ['rd', 'rs2', '(rs1)']};
export const LR: Format = {mask: 0xf9f0_707f, immediate: none, operands: ['rd', '(rs1)']};
export const CSR: Format = {mask: 0x0000_707f, immediate: whole, operands: ['rd', 'csr', 'rs1']};
export const CSR_I: Format = {mask: 0x0000_707f, immediate: whole, operands: ['rd', 'csr', 'uimm']};
/** The whole word is the encoding. */
export const FIXED: Format = {mask: 0xffff_ffff, immediate: whole, operands: []};
export const SFENCE: Format = {mask: 0xfe00_7fff, immediate: whole, operands: ['rs1', 'rs2']};
export const FP_LOAD: Format = {mask: 0x0000_707f, immediate: immediateI, operands: ['fd', 'offset(rs1)']};
export const FP_STORE: Format = {mask: 0x0000_707f, immediate: immediateS, operands: ['fs2', 'offset(rs1)']};
/** FP arithmetic with a rounding mode. */
export const FP: Format = {mask: 0xfe00_007f, immediate: roundingMode, operands: ['fd', 'fs1', 'fs2', 'rm']};
export const FP1: Format = {mask: 0xfff0_007f, immediate: roundingMode, operands: ['fd', 'fs1', 'rm']};
export const FP4: Format = {mask: 0x0600_007f, immediate: roundingMode, operands: ['fd', 'fs1', 'fs2', 'fs3', 'rm']};
/** FP without a rounding mode: the field is part of the encoding. */
export const FP_EXACT: Format = {mask: 0xfe00_707f, immediate: none, operands: ['fd', 'fs1', 'fs2']};
export const FP_COMPARE: Format = {mask: 0xfe00_707f, immediate: none, operands: ['rd', 'fs1', 'fs2']};
/** FP register to integer register, with a rounding mode, and without. */
export const FP_TO_X: Format = {mask: 0xfff0_007f, immediate: roundingMode, operands: ['rd', 'fs1', 'rm']};
export const FP_TO_X_EXACT: Format = {mask: 0xfff0_707f, immediate: none, operands: ['rd', 'fs1']};
/** Integer register to FP register. */
export const X_TO_FP: Format = {mask: 0xfff0_007f, immediate: roundingMode, operands: ['fd', 'rs1', 'rm']};
export const X_TO_FP_EXACT: Format = {mask: 0xfff0_707f, immediate: none, operands: ['fd', 'rs1']};

/** Defines an instruction; `match` is its word with all operands zero. */
export function define(
  name: string,
  format: Format,
  match: number,
  meaning: (o: InstructionBuilder) => void,
  whenSame?: (o: InstructionBuilder) => void,
): Instruction {
  const same = whenSame && new Meaning(whenSame);
  return Object.assign(new Meaning(meaning), {name, format, match: match >>> 0, whenSame: same});
}

/** They are the same for all instructions. */
const OPERANDS = {
  rs1: operand('rs1'),
  rs2: operand('rs2'),
  imm: operand('imm'),
  pc: operand('pc'),
  nextPc: operand('nextPc'),
  fs1: operand('fs1'),
  fs2: operand('fs2'),
  fs3: operand('fs3'),
  single1: operand('single1'),
  single2: operand('single2'),
  single3: operand('single3'),
  low1: operand('low1'),
  low2: operand('low2'),
  rm: operand('rm'),
};

/** The language of the instruction tables. A result may be set only after every operand was used: rd may be rs1. */
export class InstructionBuilder extends Builder {
  readonly rs1 = OPERANDS.rs1;
  readonly rs2 = OPERANDS.rs2;
  readonly imm = OPERANDS.imm;
  readonly pc = OPERANDS.pc;
  readonly nextPc = OPERANDS.nextPc;
  /** FP registers, all 64 bits. */
  readonly fs1 = OPERANDS.fs1;
  readonly fs2 = OPERANDS.fs2;
  readonly fs3 = OPERANDS.fs3;
  /** The singles in them. */
  readonly single1 = OPERANDS.single1;
  readonly single2 = OPERANDS.single2;
  readonly single3 = OPERANDS.single3;
  /** Their low halves as they are. */
  readonly low1 = OPERANDS.low1;
  readonly low2 = OPERANDS.low2;
  readonly rm = OPERANDS.rm;

  setRd(value: Expr): void {
    this.emit({kind: 'setRd', value});
  }

  /** All 64 bits of an FP register. */
  setFd(value: Expr): void {
    this.emit({kind: 'setFd', value});
  }

  /** A single-precision result, NaN-boxed (F chapter, "NaN Boxing of Narrower Values"). */
  setFdSingle(value: Expr): void {
    this.emit({kind: 'setFdSingle', value});
  }

  /** To pc + imm. */
  branchIf(condition: Expr): void {
    this.emit({kind: 'branch', condition});
  }

  jump(target: Expr): void {
    this.emit({kind: 'jump', target});
  }

  load(access: GuestAccess, address: Expr): Expr {
    return {kind: 'guestLoad', type: access === 'f32' || access === 'f64' ? access : 'i64', access, address};
  }

  store(access: GuestAccess, address: Expr, value: Expr): void {
    this.emit({kind: 'guestStore', access, address, value});
  }

  /** Offset in RAM of an aligned word or doubleword: misaligned, unmapped or unsuitable addresses trap. */
  atomicAddress(sizeBytes: 4 | 8, intent: 'read' | 'write', address: Expr): Expr {
    return {kind: 'atomicAddress', type: 'i32', sizeBytes, intent, address};
  }

  ramLoad(access: HostLoad, address: Expr): Expr {
    return {kind: 'ramLoad', type: access.startsWith('i32') ? 'i32' : 'i64', access, address};
  }

  ramStore(access: HostStore, address: Expr, value: Expr): void {
    this.emit({kind: 'ramStore', access, address, value});
  }

  system(action: SystemAction): void {
    this.emit({kind: 'system', action});
  }
}

function operand(name: OperandName): Expr {
  return {kind: 'operand', type: operandType(name), operand: name};
}

function operandType(name: OperandName): ValueType {
  if (name === 'rm') return 'i32';
  if (name.startsWith('fs')) return 'f64';
  return name.startsWith('single') || name.startsWith('low') ? 'f32' : 'i64';
}
