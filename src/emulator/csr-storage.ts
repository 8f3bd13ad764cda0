// Where the CSRs that have storage of their own lie in the module's memory: the hart's views and generated code both reach them there.

import * as layout from './layout.ts';

/** CSRs with 8 bytes of storage each, in the order of their offsets. */
export const STORED = [
  'mstatus',
  'medeleg',
  'mideleg',
  'mie',
  'mip',
  'mtvec',
  'mcounteren',
  'menvcfg',
  'mcountinhibit',
  'mscratch',
  'mepc',
  'mcause',
  'mtval',
  'stvec',
  'scounteren',
  'senvcfg',
  'sscratch',
  'sepc',
  'scause',
  'stval',
  'stimecmp',
  'satp',
  'privilege',
  'waiting',
  /** Added to the position to give mcycle; and to it less the trapped steps to give minstret. While inhibited: the value itself. */
  'cycleOffset',
  'instretOffset',
  /** Steps that trapped: they are no retired instructions. */
  'trappedSteps',
  'pmpcfg0',
  'pmpcfg2',
  /** Interrupt lines from outside the hart, at their bits of mip: MEIP and SEIP from the PLIC, MSIP from the CLINT. */
  'lines',
] as const;

export type StoredCsr = (typeof STORED)[number];
export const PMP_ENTRIES = 16;

/** A plain object: V8 makes constants of its fields. */
const OFFSETS = Object.fromEntries(STORED.map((name, index) => [name, layout.CSRS + 8 * index])) as Record<
  StoredCsr,
  number
>;
export const PMP_ADDRESSES = layout.CSRS + 8 * STORED.length;

/** Offset in bytes. */
export function offsetOf(name: StoredCsr): number {
  return OFFSETS[name];
}
