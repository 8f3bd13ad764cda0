// Decodes instruction words: finds the table's instruction whose encoding matches.

import {BIT_MANIPULATION} from './bit-manipulation.ts';
import type {Instruction} from './instruction.ts';
import {RV64A} from './rv64a.ts';
import {expandCompressed} from './rv64c.ts';
import {RV64D} from './rv64d.ts';
import {RV64F} from './rv64f.ts';
import {RV64I} from './rv64i.ts';
import {RV64M} from './rv64m.ts';
import {SYSTEM} from './system.ts';

/** Every instruction of the machine. */
export const INSTRUCTIONS: readonly Instruction[] = [
  ...RV64I,
  ...RV64M,
  ...RV64A,
  ...BIT_MANIPULATION,
  ...RV64F,
  ...RV64D,
  ...SYSTEM,
];

export type Decoded = {
  /** Index into INSTRUCTIONS, or -1 for an illegal instruction. */
  index: number;
  /** The 32-bit word; a compressed instruction's expansion. */
  word: number;
  lengthBytes: 2 | 4;
};

/** As INSTRUCTIONS, where every instruction that runs for the first time is looked for. */
const MASKS = Int32Array.from(INSTRUCTIONS, ({format}) => format.mask);
const MATCHES = Int32Array.from(INSTRUCTIONS, ({match}) => match);

/** By opcode and funct3. */
const BUCKETS: readonly number[][] = Array.from({length: 32 * 8}, () => []);
for (const [index, {format, match}] of INSTRUCTIONS.entries()) {
  for (let funct3 = 0; funct3 < 8; funct3 += 1) {
    if (((match ^ (funct3 << 12)) & format.mask & 0x7000) === 0)
      BUCKETS[bucketOf((match & 0x7f) | (funct3 << 12))].push(index);
  }
}

/** Decodes the instruction that starts with `half`; `word` is the 32 bits there, of which a compressed one uses only 16. */
export function decode(half: number, word: number): Decoded {
  const compressed = (half & 3) !== 3;
  const full = compressed ? expandCompressed(half) : word >>> 0;
  const lengthBytes = compressed ? 2 : 4;
  if ((full & 3) !== 3) return {index: -1, word: half, lengthBytes};
  for (const index of BUCKETS[bucketOf(full)]) {
    if (((full ^ MATCHES[index]) & MASKS[index]) === 0) return {index, word: full, lengthBytes};
  }
  return {index: -1, word: full, lengthBytes};
}

function bucketOf(word: number): number {
  return ((word >>> 2) & 31) * 8 + ((word >>> 12) & 7);
}
