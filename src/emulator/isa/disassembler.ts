// The disassembler: an instruction's bytes as assembly language, from the tables that the interpreter is made of. Names and order
// of operands are the manual's, registers have their ABI names, compressed instructions are shown as what they stand for, and
// there are no pseudo-instructions: one encoding, one text. For people only; nothing reads it back.

import {csrName} from './csr-names.ts';
import {decode, INSTRUCTIONS} from './decoder.ts';
import type {AssemblyOperand, Instruction} from './instruction.ts';
import {FLOATING_NAMES, INTEGER_NAMES} from './register-names.ts';

export type Disassembly = {
  /** `addi a0, a1, 4`; `.2byte 0x0000` or `.4byte …` for what is no instruction. */
  readonly text: string;
  readonly lengthBytes: 2 | 4;
  /** The bytes as they stand in memory, little-endian: 16 bits of a compressed instruction. */
  readonly encoding: number;
};

const ROUNDING_MODES = ['rne', 'rtz', 'rdn', 'rup', 'rmm', 'unknown', 'unknown', 'dyn'] as const;
const DYNAMIC = 7;

/** jalr has the immediate of arithmetic and the syntax of a memory operand. */
const OWN_OPERANDS: ReadonlyMap<string, readonly AssemblyOperand[]> = new Map([['jalr', ['rd', 'offset(rs1)']]]);

/** Their results are exact in every rounding mode; assemblers write mode 0 and do not show it. */
const EXACT_CONVERSIONS: ReadonlySet<string> = new Set(['fcvt.d.s', 'fcvt.d.w', 'fcvt.d.wu']);

/**
 * Disassembles the instruction whose first halfword is `half`; `word` is the 32 bits there, of which a compressed instruction uses
 * only 16. `pc` is its address, from which branch targets count.
 */
export function disassemble(half: number, word: number, pc: bigint): Disassembly {
  const decoded = decode(half, word);
  const {lengthBytes} = decoded;
  const encoding = lengthBytes === 2 ? half : word >>> 0;
  if (decoded.index < 0) {
    return {text: `.${lengthBytes}byte 0x${hexadecimal(encoding, lengthBytes * 2)}`, lengthBytes, encoding};
  }
  const instruction = INSTRUCTIONS[decoded.index];
  return {text: textOf(instruction, decoded.word, pc), lengthBytes, encoding};
}

function textOf(instruction: Instruction, word: number, pc: bigint): string {
  const {name, format} = instruction;
  if (name === 'fence') return fenceText(word);
  const operands = (OWN_OPERANDS.get(name) ?? format.operands)
    .map((operand) => operandText(operand, {instruction, word, pc}))
    .filter((text) => text !== undefined);
  const mnemonic = `${name}${orderingSuffix(instruction, word)}`;
  return operands.length === 0 ? mnemonic : `${mnemonic} ${operands.join(', ')}`;
}

/** Undefined: the operand is not written. */
function operandText(
  operand: AssemblyOperand,
  {instruction, word, pc}: {instruction: Instruction; word: number; pc: bigint},
): string | undefined {
  const immediate = instruction.format.immediate(word);
  switch (operand) {
    case 'rd':
      return INTEGER_NAMES[field(word, 7)];
    case 'rs1':
      return INTEGER_NAMES[field(word, 15)];
    case 'rs2':
      return INTEGER_NAMES[field(word, 20)];
    case 'fd':
      return FLOATING_NAMES[field(word, 7)];
    case 'fs1':
      return FLOATING_NAMES[field(word, 15)];
    case 'fs2':
      return FLOATING_NAMES[field(word, 20)];
    case 'fs3':
      return FLOATING_NAMES[field(word, 27)];
    case 'imm':
      return String(immediate);
    case 'upper':
      return `0x${(immediate >>> 12).toString(16)}`;
    case 'target':
      return `0x${BigInt.asUintN(64, pc + BigInt(immediate)).toString(16)}`;
    case 'offset(rs1)':
      return `${immediate}(${INTEGER_NAMES[field(word, 15)]})`;
    case '(rs1)':
      return `(${INTEGER_NAMES[field(word, 15)]})`;
    case 'csr':
      return csrName(word >>> 20);
    case 'uimm':
      return String(field(word, 15));
    case 'rm':
      return roundingText(instruction, immediate);
  }
}

/** The dynamic rounding mode goes without saying. */
function roundingText(instruction: Instruction, mode: number): string | undefined {
  if (mode === DYNAMIC || (mode === 0 && EXACT_CONVERSIONS.has(instruction.name))) return undefined;
  return ROUNDING_MODES[mode];
}

/** Acquire and release bits of atomics, which their formats leave free. */
function orderingSuffix({match}: Instruction, word: number): string {
  if ((match & 0x7f) !== 0x2f) return '';
  return ['', '.rl', '.aq', '.aqrl'][(word >>> 25) & 3];
}

/** Predecessor and successor sets (Unprivileged ISA, chapter 2.7). */
function fenceText(word: number): string {
  if (word >>> 20 === 0x833) return 'fence.tso';
  const set = (bits: number): string =>
    bits === 0 ? 'unknown' : [...'iorw'].filter((_, n) => (bits & (8 >> n)) !== 0).join('');
  return `fence ${set((word >>> 24) & 15)}, ${set((word >>> 20) & 15)}`;
}

function field(word: number, low: number): number {
  return (word >>> low) & 31;
}

function hexadecimal(value: number, digits: number): string {
  return value.toString(16).padStart(digits, '0');
}
