// What translated code, the interpreter and the hart agree on: the type of a translated region, and what it imports.

import type {FunctionType} from './encoder.ts';

/**
 * A translated region: (steps left, depth of calls still allowed, address of the virtual page) → (steps left, pc).
 * It runs only as far as the steps left allow; if not even one pass fits, it returns at once with as many steps left. Bit 0 of the
 * returned pc is set when the hart has intervened: then every caller returns at once, too, to the interpreter.
 */
export const REGION_TYPE: FunctionType = {params: ['i32', 'i32', 'i64'], results: ['i32', 'i64']};

/**
 * Guest calls within each other that become calls of WebAssembly; deeper ones return to the interpreter first. A frame of V8's baseline
 * code takes up to some 2 KB, and its stack is about 980 KB.
 */
export const CALL_DEPTH = 128;

/**
 * Slow paths of translated code: functions of the interpreter's module that put pc and the steps left into memory and call the hart.
 * A status that is not 0 (of `atomicSlow`: a result of -1) means: the hart has put pc and steps left into memory; leave.
 */
export const SLOW_FUNCTIONS = {
  /** (pc, left, address, kind) → status; the result is in VALUE. */
  loadSlow: {params: ['i64', 'i32', 'i64', 'i32'], results: ['i32']},
  /** (pc, left, address, value, kind) → status. */
  storeSlow: {params: ['i64', 'i32', 'i64', 'i64', 'i32'], results: ['i32']},
  /** (pc, left, address, size, write) → offset in RAM. */
  atomicSlow: {params: ['i64', 'i32', 'i64', 'i32', 'i32'], results: ['i32']},
  /** (pc, left, action, instruction) → status. */
  systemSlow: {params: ['i64', 'i32', 'i32', 'i32'], results: ['i32']},
} as const satisfies Record<string, FunctionType>;

/** What a translated entry is while its translation has been asked for: never called, never counted. */
export const ENTRY_REQUESTED = -0x7fff_ffff;

/** What the host's WebAssembly does beyond the specification's certainties; it decides which code is made, and no result. */
export type HostArithmetic = {
  /** relaxed_madd rounds once. */
  fusesMultiplyAdd: boolean;
};

/** Of a host of which nothing is known. */
export const PLAIN_ARITHMETIC: HostArithmetic = {fusesMultiplyAdd: false};
