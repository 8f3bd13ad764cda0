// Decoded pages: for each page of RAM that was executed lately, its instructions in the interpreter's form. Filled slot by slot
// as instructions are reached, emptied slot by slot as they are overwritten, so that stores are seen by the next fetch.

import {decode, INSTRUCTIONS} from '../isa/decoder.ts';
import * as layout from '../layout.ts';
import {PAGE, type Ram} from '../memory.ts';
import {PAGE_BYTES} from '../paged-memory.ts';
import {operationOf} from '../wasm/operations.ts';
import {OPERATION} from '../wasm/slot.ts';
import type {Pmp} from './pmp.ts';

/** Bytes written to a page of code, 16 at least a time, before it is taken for data; twice as many each time it was. */
const DATA_BYTES = 4096;
const MOST_RELEASES = 12;
const WORDS_KNOWN = 3;
/** 16,384 instructions. */
const KNOWN_SHIFT = 18;

export class CodeCache {
  readonly #ram: Ram;
  readonly #pmp: Pmp;
  readonly #i32: Int32Array;
  readonly #bytes: Uint8Array;
  /** By page of RAM: index of its decoded page, or -1. */
  readonly #decodedPage: Int32Array;
  /** By decoded page: the page of RAM. */
  readonly #ramPage = new Int32Array(layout.DECODED_PAGES);
  /** Instructions in the interpreter's form, by a hash of their code: {code, the two words of the slot}. Programs use few of all there are. */
  readonly #known = new Int32Array(WORDS_KNOWN * 2 ** (32 - KNOWN_SHIFT));
  #used = 0;
  /** Decoded pages below `#used` that hold none now. */
  #free: number[] = [];
  /** By page of RAM: bytes written since it was decoded, and how often it was released. */
  readonly #written: Int32Array;
  readonly #releases: Uint8Array;
  /** Called when every page is forgotten. */
  onClear: () => void = () => {};

  constructor(memory: WebAssembly.Memory, ram: Ram, pmp: Pmp) {
    this.#ram = ram;
    this.#pmp = pmp;
    this.#i32 = new Int32Array(memory.buffer);
    this.#bytes = new Uint8Array(memory.buffer);
    this.#decodedPage = new Int32Array(ram.pageCount).fill(-1);
    this.#written = new Int32Array(ram.pageCount);
    this.#releases = new Uint8Array(ram.pageCount);
  }

  get full(): boolean {
    return this.#used === layout.DECODED_PAGES && this.#free.length === 0;
  }

  has(ramPage: number): boolean {
    return this.#decodedPage[ramPage] >= 0;
  }

  /** Offset in the module's memory of the page's decoded form; there must be room for a new one. */
  pageOffset(ramPage: number): number {
    if (this.#decodedPage[ramPage] < 0) this.#add(ramPage);
    return layout.DECODED + this.#decodedPage[ramPage] * layout.DECODED_PAGE_BYTES;
  }

  /** The page of RAM whose decoded form holds this offset. */
  ramPageOf(offset: number): number {
    return this.#ramPage[Math.floor((offset - layout.DECODED) / layout.DECODED_PAGE_BYTES)];
  }

  /** Forgets every page: fetch caches must not point here any more. */
  clear(): void {
    for (let index = 0; index < this.#used; index += 1) {
      const ramPage = this.#ramPage[index];
      if (ramPage < 0) continue;
      this.#decodedPage[ramPage] = -1;
      this.#ram.flags[ramPage] &= ~PAGE.code;
    }
    this.#used = 0;
    this.#free = [];
    this.onClear();
  }

  /** Fills the slot at this offset of the module's memory from RAM. */
  fill(slot: number): void {
    const offset = this.#ramOffset(slot);
    const half = this.#ram.view.getUint16(offset, true);
    const long = (half & 3) === 3;
    const straddles = long && offset % PAGE_BYTES === PAGE_BYTES - 2;
    if (straddles || !this.#pmp.uniform(layout.RAM_BASE + offset - (offset % PAGE_BYTES))) {
      this.#i32[slot >> 2] = OPERATION.refetch;
    } else {
      this.encode(slot, half, long ? this.#ram.view.getUint16(offset + 2, true) : 0);
    }
  }

  /** The slot stands for this function of the table, which begins with the slot's instruction. */
  fillTranslated(slot: number, index: number): void {
    this.#i32[slot >> 2] = OPERATION.translated;
    this.#i32[(slot >> 2) + 1] = index;
  }

  /** Where in RAM the instruction of this slot is. */
  #ramOffset(slot: number): number {
    const decodedPage = Math.floor((slot - layout.DECODED) / layout.DECODED_PAGE_BYTES);
    const halfword = (slot - layout.DECODED - decodedPage * layout.DECODED_PAGE_BYTES) / layout.SLOT_BYTES;
    return this.#ramPage[decodedPage] * PAGE_BYTES + halfword * 2;
  }

  /** Writes the interpreter's form of the instruction of the halfwords `half` and, if it is 4 bytes long, `next`. */
  encode(slot: number, half: number, next: number): void {
    const code = half | (next << 16);
    const at = WORDS_KNOWN * (Math.imul(code, 0x9e37_79b1) >>> KNOWN_SHIFT);
    if (this.#known[at] !== code || this.#known[at + 1] === 0) this.#learn(at, code);
    this.#i32[slot >> 2] = this.#known[at + 1];
    this.#i32[(slot >> 2) + 1] = this.#known[at + 2];
  }

  #learn(at: number, code: number): void {
    const {index, word, lengthBytes} = decode(code & 0xffff, code);
    this.#known[at] = code;
    if (index < 0) {
      this.#known[at + 1] = OPERATION.illegal;
      this.#known[at + 2] = word;
      return;
    }
    const {format} = INSTRUCTIONS[index];
    const rd = (word >>> 7) & 31;
    const destination = rd === 0 && format.operands[0] === 'rd' ? 32 : rd;
    const sources = (((word >>> 15) & 31) << 16) | (((word >>> 20) & 31) << 21) | ((word >>> 27) << 26);
    this.#known[at + 1] = operationOf(index, lengthBytes) | (destination << 10) | sources;
    this.#known[at + 2] = format.immediate(word) - (format.operands.includes('target') ? lengthBytes : 0);
  }

  /** Empties the slots of [start, end) of RAM, within one page, and the one before it, whose instruction may reach into it. */
  overwritten(ramPage: number, start: number, end: number): void {
    const base = this.pageOffset(ramPage) - layout.SLOT_BYTES * ramPage * layout.SLOTS_PER_PAGE;
    const first = Math.max((start >>> 1) - 1, ramPage * layout.SLOTS_PER_PAGE);
    const last = (end - 1) >>> 1;
    this.#written[ramPage] += Math.max(16, end - start);
    this.#bytes.fill(0, base + first * layout.SLOT_BYTES, base + (last + 1) * layout.SLOT_BYTES);
  }

  /** Whether so much was written to this page of code that it may be data by now. */
  isWrittenOften(ramPage: number): boolean {
    return this.#written[ramPage] >= DATA_BYTES << this.#releases[ramPage];
  }

  /** Forgets one page: fetch caches must not point to it any more. */
  release(ramPage: number): void {
    const index = this.#decodedPage[ramPage];
    this.#decodedPage[ramPage] = -1;
    this.#ramPage[index] = -1;
    this.#free.push(index);
    this.#ram.flags[ramPage] &= ~PAGE.code;
    this.#releases[ramPage] = Math.min(this.#releases[ramPage] + 1, MOST_RELEASES);
  }

  #add(ramPage: number): void {
    const index = this.#free.pop() ?? this.#used;
    if (index === this.#used) this.#used += 1;
    this.#written[ramPage] = 0;
    this.#decodedPage[ramPage] = index;
    this.#ramPage[index] = ramPage;
    this.#ram.flags[ramPage] |= PAGE.code;
    const offset = layout.DECODED + index * layout.DECODED_PAGE_BYTES;
    const end = offset + layout.SLOTS_PER_PAGE * layout.SLOT_BYTES;
    this.#bytes.fill(0, offset, end);
    this.#bytes.fill(0, offset + layout.ENTRIES, offset + layout.DECODED_PAGE_BYTES);
    for (const sentinel of [end, end + layout.SLOT_BYTES]) this.#i32[sentinel >> 2] = OPERATION.pageEnd;
  }
}
