// Which registers an instruction reads and writes, taken from its tree, as sets of 32 bits.

import type {OperandName} from '../isa/expression.ts';
import type {Step} from './region.ts';
import {traitsOf} from './traits.ts';

/** Bit n stands for register n. x0 is never in a set. */
export type RegisterSets = {readsX: number; readsF: number; writesX: number; writesF: number};

export function registersOf({instruction, word}: Step): RegisterSets {
  const traits = traitsOf(instruction);
  const bit = (name: OperandName, shift: number): number =>
    traits.operands.has(name) ? 1 << ((word >>> shift) & 31) : 0;
  const floatBit = (index: 1 | 2 | 3, shift: number): number =>
    bit(`fs${index}`, shift) | bit(`single${index}`, shift) | (index < 3 ? bit(`low${index as 1 | 2}`, shift) : 0);
  const rd = 1 << ((word >>> 7) & 31);
  return {
    readsX: (bit('rs1', 15) | bit('rs2', 20)) & ~1,
    readsF: floatBit(1, 15) | floatBit(2, 20) | floatBit(3, 27),
    writesX: (traits.writesInteger || traits.isCsr ? rd : 0) & ~1,
    writesF: traits.writesFloat ? rd : 0,
  };
}
