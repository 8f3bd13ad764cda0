// The translation caches that generated code looks into (layout.ts), as the hart fills and empties them: a set for each of the address
// spaces used last, found by the page of its root table, so that a switch between them forgets nothing; and one for M mode.

import * as layout from '../layout.ts';
import {PAGE, type Ram} from '../memory.ts';
import {PAGE_BYTES} from '../paged-memory.ts';
import type {Registers} from './registers.ts';
import {SlowPages} from './slow-pages.ts';

/** Entries that are emptied together: a process that runs for moments fills few of a set's. */
const GROUP_SHIFT = 10;
const GROUP_BYTES = 1 << GROUP_SHIFT;
const GROUPS_PER_SET = layout.CACHE_SET_BYTES >> GROUP_SHIFT;
const CACHES_PER_SET = layout.CACHE_SET_BYTES / layout.TLB_BYTES;
/** Pages that were cached for writing since the last flush, some of them several times. */
const CACHED_LIMIT = 65_536;
/** Those of the data caches that are for writing. */
const WRITE_CACHES = [1, 3, 5];
/** In a set, behind the data caches. */
const FIRST_FETCH_CACHE = layout.FETCH_CACHES / layout.TLB_BYTES;
/** The root of a set that serves no address space; -1 stands for untranslated addresses. */
const FREE = -2;
/** Where a page is cached for writing: in more places than one. */
const SEVERAL = -1;
export const ALL_SETS = 0xff;

export class TranslationCaches {
  readonly #registers: Registers;
  readonly #ram: Ram;
  /** By set, the first being M mode's: physical page number of its root table; when it was entered last. */
  readonly #roots = new Float64Array(layout.CACHE_SETS).fill(FREE);
  readonly #entered = new Float64Array(layout.CACHE_SETS);
  /** A bit for each group of entries: all others are empty. */
  readonly #filled = new Int32Array((layout.CACHE_SETS * GROUPS_PER_SET) / 32).fill(-1);
  #entries = 0;
  /** By page of RAM that is `cached`: the word of the entry that holds it for writing, or SEVERAL. */
  readonly #cachedAt: Int32Array;
  #cachedPages: number[] = [];
  /** The set of the present address space. */
  current = 1;
  readonly slowPages: SlowPages;

  constructor(registers: Registers, ram: Ram) {
    this.#registers = registers;
    this.#ram = ram;
    this.slowPages = new SlowPages(registers);
    this.#cachedAt = new Int32Array(ram.pageCount);
    this.#empty(0);
    this.#empty(1);
  }

  get full(): boolean {
    return this.#cachedPages.length >= CACHED_LIMIT;
  }

  /** Makes the set of the address space of this root the present one: its own, or that of the space left longest ago. */
  enter(root: number): void {
    let set = this.#roots.indexOf(root, 1);
    if (set < 0) {
      set = 1;
      for (let n = 2; n < layout.CACHE_SETS; n += 1) if (this.#entered[n] < this.#entered[set]) set = n;
      this.#empty(set);
      this.#roots[set] = root;
    }
    this.#entries += 1;
    this.#entered[set] = this.#entries;
    this.current = set;
    this.#registers.i32[layout.SPACE / 4] = layout.cacheSet(set);
  }

  /** Forgets an address space that is not the present one. */
  drop(root: number): void {
    const set = this.#roots.indexOf(root, 1);
    if (set < 0) return;
    this.#empty(set);
    this.#roots[set] = FREE;
    this.#entered[set] = 0;
  }

  /** The entry at this offset shall translate the page of this virtual address. */
  fill(entry: number, low: number, high: number, value: number): void {
    const {i32} = this.#registers;
    const word = entry >> 2;
    const group = (entry - layout.CACHE_SETS_START) >>> GROUP_SHIFT;
    this.#filled[group >>> 5] |= 1 << (group & 31);
    i32[word] = low & ~0xfff;
    i32[word + 1] = high;
    i32[word + 2] = value;
  }

  /** The entry at this offset will hold the page for writing. */
  noteWritable(entry: number, page: number): void {
    const word = entry >> 2;
    if ((this.#ram.flags[page] & PAGE.cached) === 0) {
      this.#cachedPages.push(page);
      this.#ram.flags[page] |= PAGE.cached;
      this.#cachedAt[page] = word;
    } else if (this.#cachedAt[page] !== word) {
      this.#cachedAt[page] = SEVERAL;
    }
  }

  /** Takes a virtual page out of every cache of a set, or of ALL_SETS. Returns whether the program counter lies in it. */
  remove(virtualPage: number, set: number): boolean {
    const first = set === ALL_SETS ? 1 : set;
    const last = set === ALL_SETS ? layout.CACHE_SETS - 1 : set;
    const {i32} = this.#registers;
    const low = (virtualPage * PAGE_BYTES) | 0;
    const high = Math.floor(virtualPage / 2 ** 20);
    this.slowPages.remove(low);
    const line = (low >>> 8) & ((layout.TLB_ENTRIES - 1) << 4);
    for (let n = first; n <= last; n += 1) {
      for (let cache = 0; cache < CACHES_PER_SET; cache += 1) {
        const entry = layout.cacheSet(n) + cache * layout.TLB_BYTES + line;
        if (!this.#isFilled((entry - layout.CACHE_SETS_START) >>> GROUP_SHIFT)) continue;
        const word = entry >> 2;
        if (i32[word] === low && i32[word + 1] === high) this.#clear(word);
      }
    }
    return (i32[layout.PC / 4] & ~0xfff) === low && i32[layout.PC / 4 + 1] === high;
  }

  /** From now on no write cache holds this page. */
  removeWrites(page: number): void {
    if ((this.#ram.flags[page] & PAGE.cached) === 0) return;
    this.#ram.flags[page] &= ~PAGE.cached;
    const {i32} = this.#registers;
    const place = (layout.RAM + page * PAGE_BYTES) | 0;
    // An empty entry's value may be anything, but then emptying it again does no harm.
    const clearIfHeld = (word: number): void => {
      if (((i32[word] + i32[word + 2]) | 0) === place) this.#clear(word);
    };
    const single = this.#cachedAt[page];
    if (single === SEVERAL) this.#eachEntry(WRITE_CACHES, clearIfHeld);
    else clearIfHeld(single);
  }

  /** The page of code is no longer decoded: nothing may point to its decoded form. */
  removeFetches(decoded: number): void {
    const {i32} = this.#registers;
    this.#eachEntry([FIRST_FETCH_CACHE, FIRST_FETCH_CACHE + 1], (word) => {
      if (i32[word + 2] === decoded) this.#clear(word);
    });
  }

  /** Forgets every translation. */
  flush(): void {
    for (let set = 0; set < layout.CACHE_SETS; set += 1) this.#empty(set);
    for (const page of this.#cachedPages) this.#ram.flags[page] &= ~PAGE.cached;
    this.#cachedPages = [];
  }

  #empty(set: number): void {
    this.slowPages.clear();
    for (let group = set * GROUPS_PER_SET; group < (set + 1) * GROUPS_PER_SET; group += 1) {
      if (!this.#isFilled(group)) continue;
      const start = layout.CACHE_SETS_START + group * GROUP_BYTES;
      this.#registers.bytes.fill(0xff, start, start + GROUP_BYTES);
    }
    this.#filled.fill(0, (set * GROUPS_PER_SET) >> 5, ((set + 1) * GROUPS_PER_SET) >> 5);
  }

  #isFilled(group: number): boolean {
    return ((this.#filled[group >>> 5] >>> (group & 31)) & 1) !== 0;
  }

  #clear(word: number): void {
    const {i32} = this.#registers;
    i32[word] = -1;
    i32[word + 1] = -1;
  }

  /** Calls with the word of each entry of those caches of all sets, but for groups that are empty. */
  #eachEntry(caches: readonly number[], visit: (word: number) => void): void {
    for (let set = 0; set < layout.CACHE_SETS; set += 1) {
      for (const cache of caches) {
        const first = (layout.cacheSet(set) + cache * layout.TLB_BYTES - layout.CACHE_SETS_START) >>> GROUP_SHIFT;
        for (let group = first; group < first + (layout.TLB_BYTES >> GROUP_SHIFT); group += 1) {
          if (!this.#isFilled(group)) continue;
          const start = (layout.CACHE_SETS_START + group * GROUP_BYTES) >> 2;
          const end = start + (GROUP_BYTES >> 2);
          for (let word = start; word < end; word += layout.TLB_ENTRY_BYTES >> 2) visit(word);
        }
      }
    }
  }
}
