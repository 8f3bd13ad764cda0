// The interpreter's operations for instructions. One that also comes in two bytes (C extension) has an operation for each length: where the next
// instruction is, is then known with what this one does, and need not be guessed by the host's CPU a second time.

import {INSTRUCTIONS} from '../isa/decoder.ts';
import type {Instruction} from '../isa/instruction.ts';
import {COMPRESSED} from '../isa/rv64c.ts';
import {OPERATION} from './slot.ts';

export type InstructionOperation = {operation: number; instruction: Instruction; lengthBytes: 2 | 4};

const LONG = INSTRUCTIONS.map((instruction) => ({instruction, lengthBytes: 4 as const}));
const SHORT = INSTRUCTIONS.filter(({name}) => COMPRESSED.includes(name)).map((instruction) => {
  return {instruction, lengthBytes: 2 as const};
});

export const INSTRUCTION_OPERATIONS: readonly InstructionOperation[] = [...LONG, ...SHORT].map((form, n) => {
  return {...form, operation: OPERATION.firstInstruction + n};
});

/** As INSTRUCTIONS; 0 for an instruction that has no short form. */
const SHORT_OPERATIONS: readonly number[] = INSTRUCTIONS.map((instruction) => {
  const n = SHORT.findIndex((form) => form.instruction === instruction);
  return n < 0 ? 0 : OPERATION.firstInstruction + LONG.length + n;
});

/** `index` into INSTRUCTIONS. */
export function operationOf(index: number, lengthBytes: 2 | 4): number {
  return lengthBytes === 4 ? OPERATION.firstInstruction + index : SHORT_OPERATIONS[index];
}
