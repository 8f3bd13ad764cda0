// What the interpreter and the hart agree on: the decoded slot's word, the codes of actions and accesses, and the slow paths that
// generated code calls. Decoding (hart/code-cache.ts) writes what the generated interpreter reads.

import type {GuestAccess, SystemAction} from '../isa/expression.ts';

/**
 * The interpreter word, the low half of a decoded slot; the immediate is the high half (a branch's is relative to the next
 * instruction, a system instruction's is the instruction itself, that of `translated` is the index of its function in the table).
 * | bits | 0–9 | 10–15 | 16–20 | 21–25 | 26–30 |
 * | | operation | rd (32: x0 as a destination) | rs1 | rs2 | rs3 |
 */
export const OPERATION = {
  undecoded: 0,
  pageEnd: 1,
  refetch: 2,
  illegal: 3,
  translated: 4,
  firstInstruction: 5,
} as const;
export const OPERATION_MASK = 0x3ff;

/** Codes of system actions, in the first argument of the `system` import. */
export const SYSTEM_ACTIONS: readonly SystemAction[] = [
  'csr',
  'ecall',
  'ebreak',
  'mret',
  'sret',
  'wfi',
  'sfence.vma',
  'illegal',
];

/** Kinds of guest accesses, as numbers for the slow paths: size in bytes, with SIGNED for sign extension. */
export const SIGNED = 16;
export const ACCESS_KINDS: Record<GuestAccess, number> = {
  i8: SIGNED + 1,
  u8: 1,
  i16: SIGNED + 2,
  u16: 2,
  i32: SIGNED + 4,
  u32: 4,
  i64: 8,
  f32: 4,
  f64: 8,
};

/** The slow paths. A status of 1 means: the hart has changed pc or the mode; go on from PC. Addresses are split in halves. */
export type SlowPaths = {
  /** Makes the fetch cache hold the page of PC, or takes the trap. */
  fetch(): void;
  /** Decodes the slot at this offset, on the present page. */
  decode(slot: number): void;
  /** Decodes the instruction at PC into REFETCH_SLOT: one that ends on the next page, or that PMP must be asked about each time. */
  refetch(): number;
  /** Loads into VALUE. */
  load(low: number, high: number, kind: number): number;
  /** Stores from VALUE. */
  store(low: number, high: number, kind: number): number;
  /** Offset in RAM, or -1 after a trap. `write`: 1 for store-conditionals and atomic operations. */
  atomic(low: number, high: number, sizeBytes: number, write: number): number;
  system(action: number, bits: number): number;
  /** An interrupt may be due after a change of what is enabled: ends the slice then. Returns 1 if it has. */
  interruptsChanged(): number;
  /** mstatus.MXR has changed. Returns 1. */
  mxrChanged(): number;

  // With the translator only: as called by translated code, where whatever changes more than registers and RAM is a status of 1.
  loadTranslated(low: number, high: number, kind: number): number;
  storeTranslated(low: number, high: number, kind: number): number;
  atomicTranslated(low: number, high: number, sizeBytes: number, write: number): number;
  systemTranslated(action: number, bits: number): number;
};
