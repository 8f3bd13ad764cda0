// Where everything lies in the module's memory (byte offsets). The hart's registers come first, so that generated code reaches
// them with small constants; then the caches, which are no state; then the guest's RAM.

import {PAGE_BYTES} from './paged-memory.ts';

/** x0–x31, 8 bytes each; a 33rd takes what instructions write to x0. */
export const X = 0x000;
export const X_SINK = X + 32 * 8;
/** f0–f31, 8 bytes each. */
export const F = 0x180;
/** Program counter. Generated code keeps it only across calls that may need it. */
export const PC = 0x280;
/** u32: accrued exceptions; u32: dynamic rounding mode; u32: mstatus.FS (0 off … 3 dirty). */
export const FFLAGS = 0x288;
export const FRM = 0x28c;
export const FS = 0x290;
/** u32: LR/SC reservation (isa/expression.ts: Cell). */
export const RESERVATION = 0x294;
/** CSRs that have storage of their own, 8 bytes each; see hart/csr. */
export const CSRS = 0x300;
export const CSRS_END = 0x800;

/** i32: steps left in this slice. i32: steps taken away by a cut, to be run later. */
export const LEFT = 0x800;
export const CUT = 0x804;
/** i32: offset of the translation caches of the present mode: data, fetch. */
export const DATA_CACHE = 0x808;
export const FETCH_CACHE = 0x80c;
/** i32: offset of the set of translation caches of the present address space. */
export const SPACE = 0x824;
/** i64: a value passed between generated code and its slow paths. */
export const VALUE = 0x810;
/** i32: timer interrupts pending at the chunk's start: no chunk goes past the position where another becomes so. */
export const TIMERS = 0x820;
/** One decoded slot for an instruction that is decoded anew each time. */
export const REFETCH_SLOT = 0x818;
/** The interpreter's present page. i32: offset of its decoded form; i64: its virtual address. */
export const PAGE = 0x828;
export const PAGE_ADDRESS = 0x830;
/** i32: the value of LEFT at which the interpreter counts a visit of a place. */
export const COUNT_AT = 0x838;

/**
 * Translation caches (software TLBs): for reading, for writing and a write cache of TLB_ENTRIES entries of 16 bytes
 * {i64 tag: virtual page address, i32: offset of the page in this memory minus the low 32 bits of the virtual address, i32: unused},
 * and a fetch cache {i64 tag, i32: offset of the decoded page, i32: unused}. An empty entry's tag is -1, which no page has.
 */
export const TLB_ENTRY_BYTES = 16;
export const TLB_ENTRIES = 4096;
export const TLB_SHIFT = 16;
export const TLB_BYTES = 1 << TLB_SHIFT;
export const TLB_READ = 0;
export const TLB_WRITE = TLB_BYTES;

/**
 * A set of caches: read and write caches of the data modes, then fetch caches by privilege. Each address space that was used lately has
 * one, with caches for U, for S, and for S with SUM set. The first set is M mode's, at the place of U's.
 */
export const DATA_MODES = {U: 0, S: 1, SUM: 2, M: 0} as const;
export const dataCache = (mode: number): number => mode * 2 * TLB_BYTES;
export const FETCH_CACHES = 6 * TLB_BYTES;
export const FETCH_MODES = {U: 0, S: 1, M: 0} as const;
export const fetchCache = (mode: number): number => FETCH_CACHES + mode * TLB_BYTES;
export const CACHE_SET_BYTES = 8 * TLB_BYTES;
export const CACHE_SETS = 9;
export const CACHE_SETS_START = 0x1000;
export const cacheSet = (n: number): number => CACHE_SETS_START + n * CACHE_SET_BYTES;
const CACHES_END = cacheSet(CACHE_SETS);

/**
 * Decoded pages: a slot of 8 bytes for each halfword of a page of code {u32 instruction word of the interpreter, i32 immediate},
 * and two slots behind them, where running off the page's end is noticed. Then an i32 for each halfword, at half a slot's
 * distance: the table index of the translated code that starts there; or, not above 0, minus
 * how often the interpreter has counted the place.
 */
export const SLOT_BYTES = 8;
export const SLOTS_PER_PAGE = PAGE_BYTES / 2;
export const ENTRIES = (SLOTS_PER_PAGE + 2) * SLOT_BYTES;
export const ENTRY_BYTES = 4;
export const DECODED_PAGE_BYTES = ENTRIES + SLOTS_PER_PAGE * ENTRY_BYTES;
export const DECODED_PAGES = 8192;
export const DECODED = align(CACHES_END, 0x10000);
const DECODED_END = DECODED + DECODED_PAGES * DECODED_PAGE_BYTES;

/** The guest's RAM, from guest-physical RAM_BASE. */
export const RAM = align(DECODED_END, 0x10000);
export const RAM_BASE = 0x8000_0000;

/** Pages of 64 KiB that a memory with `ramBytes` of guest RAM takes. */
export function wasmPages(ramBytes: number): number {
  return Math.ceil((RAM + ramBytes) / 0x10000);
}

/** The largest RAM: what a 32-bit WebAssembly memory leaves, in whole 2 MiB. */
export const RAM_LIMIT_BYTES = Math.floor((2 ** 32 - RAM) / 2 ** 21) * 2 ** 21;

function align(value: number, unit: number): number {
  return Math.ceil(value / unit) * unit;
}
