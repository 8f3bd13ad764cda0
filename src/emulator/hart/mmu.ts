// Address translation (Privileged ISA, chapter 4: Sv39) and the translation caches that generated code looks into.
//
// The caches cannot be observed. Only valid translations are cached, pages of page tables are watched, and changing a valid
// entry takes what follows from it out of the caches at once; so SFENCE.VMA has nothing to do, and a machine restored with cold
// caches behaves the same. Of a table of the last level it is known which addresses its entries map: one of them goes then.
// A and D bits are set by the walker (Svadu behaviour, as QEMU's virt machine). Write caches hold only pages that are dirty in
// this epoch and hold neither decoded code nor page tables, so that every other write passes Ram.written.

import * as layout from '../layout.ts';
import {PAGE, type Ram} from '../memory.ts';
import {PAGE_BYTES} from '../paged-memory.ts';
import {MSTATUS, PRIVILEGE} from '../status.ts';
import type {CodeCache} from './code-cache.ts';
import type {Access, Pmp} from './pmp.ts';
import type {Registers} from './registers.ts';

/** Negative results of a translation. */
export const FAULT = {page: -1, access: -2} as const;

const PTE = {V: 1, R: 2, W: 4, X: 8, U: 0x10, A: 0x40, D: 0x80} as const;
const LEVELS = 3;
/** Fills between two flushes: it bounds the lists of pages. */
const FILLED_LIMIT = 65_536;
/** What a watched table's level is when it serves several levels or ranges of addresses. */
const MANY = 0xff;
/** A table written in more entries at once is not looked at entry by entry. */
const ENTRIES_LIMIT = 16;
const DATA_CACHE_COUNT = 4;
const FETCH_CACHE_COUNT = 3;
/** All caches lie one behind the other: two for each data mode, then those for fetching. */
const CACHE_COUNT = 2 * DATA_CACHE_COUNT + FETCH_CACHE_COUNT;
/** Virtual pages that one entry of a table of each level maps. */
const SPANS = [1, 2 ** 9, 2 ** 18];

export class Mmu {
  readonly #registers: Registers;
  readonly #ram: Ram;
  readonly #pmp: Pmp;
  readonly #code: CodeCache;
  #filledCount = 0;
  /** Caches filled since the last flush: bit n stands for the nth in memory. */
  #filledCaches = 0;
  /** Counts flushes: what was translated before one is no longer watched. */
  flushes = 0;
  /** Counts single translations that were taken out. */
  removals = 0;
  /** By page of RAM that is watched as a table: its level + 1, and the virtual page that its first entry maps. */
  readonly #tableLevel: Uint8Array;
  readonly #tableBase: Float64Array;
  #tablePages: number[] = [];
  #cachedPages: number[] = [];

  /** RAM offset of the root table is `rootPage * 4096` less RAM_BASE; -1 when translation is off. */
  #rootPage = -1;

  constructor(registers: Registers, ram: Ram, pmp: Pmp, code: CodeCache) {
    this.#registers = registers;
    this.#ram = ram;
    this.#pmp = pmp;
    this.#code = code;
    this.#tableLevel = new Uint8Array(ram.pageCount);
    this.#tableBase = new Float64Array(ram.pageCount);
    this.#emptyAll();
  }

  /** To be called when satp changed. */
  rootChanged(): void {
    const satp = this.#registers.get('satp');
    this.#rootPage = satp >> 60n === 8n ? Number(satp & 0xfff_ffff_ffffn) : -1;
    this.flush();
  }

  /** Offset in RAM of an access that only its misalignment has kept from the data cache; or -1. */
  cached(low: number, high: number, lengthBytes: number, access: 'load' | 'store'): number {
    const {i32} = this.#registers;
    const cache = i32[layout.DATA_CACHE / 4] + (access === 'load' ? layout.TLB_READ : layout.TLB_WRITE);
    const word = (cache + ((low >>> 8) & ((layout.TLB_ENTRIES - 1) << 4))) >> 2;
    const isHit = i32[word] === (low & ~0xfff) && i32[word + 1] === high && (low & 0xfff) + lengthBytes <= PAGE_BYTES;
    return isHit ? ((i32[word + 2] + low) >>> 0) - layout.RAM : -1;
  }

  /** Physical address of a data access of `lengthBytes` within one page, or a FAULT. */
  data(low: number, high: number, lengthBytes: number, access: 'load' | 'store'): number {
    const privilege = this.#dataPrivilege;
    const address = this.#translate(low, high, access, privilege);
    if (address < 0) return address;
    if (!this.#pmp.allows(address, lengthBytes, access, privilege)) return FAULT.access;
    if (this.#ram.contains(address, lengthBytes)) this.#fillData(low, high, address, access);
    return address;
  }

  /** Offset in the module's memory of the decoded page that holds this address, or a FAULT. Fills the fetch cache. */
  fetch(low: number, high: number): number {
    const {i32} = this.#registers;
    const entry = i32[layout.FETCH_CACHE / 4] + ((low >>> 8) & ((layout.TLB_ENTRIES - 1) << 4));
    if (i32[entry >> 2] === (low & ~0xfff) && i32[(entry >> 2) + 1] === high) return i32[(entry >> 2) + 2];
    if (this.#filledCount === FILLED_LIMIT) this.flush();
    const address = this.#translate(low, high, 'fetch', this.#privilege);
    if (address < 0) return address;
    if (!this.#ram.contains(address, 2) || !this.#pmp.allows(address, 2, 'fetch', this.#privilege)) return FAULT.access;
    const page = (address - layout.RAM_BASE) >>> 12;
    if (!this.#code.has(page)) {
      this.#removeWrites(page);
      if (this.#code.full) {
        this.flush();
        this.#code.clear();
        this.#code.pageOffset(page);
        return this.fetch(low, high);
      }
    }
    const decoded = this.#code.pageOffset(page);
    this.#fill(entry, low, high, decoded);
    return decoded;
  }

  /** The halfword of code at this address, or a FAULT. */
  fetchHalfword(low: number, high: number): number {
    const decoded = this.fetch(low, high);
    if (decoded < 0) return decoded;
    const offset = this.#code.ramPageOf(decoded) * PAGE_BYTES + (low & 0xfff);
    if (!this.#pmp.allows(layout.RAM_BASE + offset, 2, 'fetch', this.#privilege)) return FAULT.access;
    return this.#ram.view.getUint16(offset, true);
  }

  /** Forgets every translation. */
  flush(): void {
    for (let cache = 0; cache < CACHE_COUNT; cache += 1) {
      if (((this.#filledCaches >>> cache) & 1) === 0) continue;
      const start = layout.DATA_CACHES + cache * layout.TLB_BYTES;
      this.#registers.bytes.fill(0xff, start, start + layout.TLB_BYTES);
    }
    this.#filledCaches = 0;
    this.#filledCount = 0;
    this.flushes += 1;
    for (const page of this.#tablePages) {
      this.#ram.flags[page] &= ~PAGE.table;
      this.#tableLevel[page] = 0;
    }
    for (const page of this.#cachedPages) this.#ram.flags[page] &= ~PAGE.cached;
    this.#tablePages = [];
    this.#cachedPages = [];
  }

  /**
   * [start, end) of RAM, within a watched page, is about to change. Returns whether the page of the program counter may be another
   * one then: its translation was dropped, or every one was.
   */
  tableWritten(start: number, end: number): boolean {
    const page = start >>> 12;
    const first = start - (start % 8);
    let isOwn = false;
    for (let offset = first; offset < end; offset += 8) {
      if ((this.#ram.bytes[offset] & PTE.V) === 0) continue;
      if (this.#tableLevel[page] !== 1 || end - first > ENTRIES_LIMIT * 8) {
        this.flush();
        return true;
      }
      if (this.#remove(this.#tableBase[page] + ((offset & 0xfff) >>> 3))) isOwn = true;
    }
    return isOwn;
  }

  /** Decoded pages before and behind the virtual page whose number's low 32 bits these are, if the present fetch cache has them. */
  neighbours(virtualPage: number): {before: number | undefined; behind: number | undefined} {
    const {i32} = this.#registers;
    const own = i32[layout.FETCH_CACHE / 4] + ((virtualPage & (layout.TLB_ENTRIES - 1)) << 4);
    const low = i32[own >> 2];
    const high = i32[(own >> 2) + 1];
    const find = (distance: number): number | undefined => {
      const line = i32[layout.FETCH_CACHE / 4] + (((virtualPage + distance) & (layout.TLB_ENTRIES - 1)) << 4);
      const nextLow = (low + distance * PAGE_BYTES) | 0;
      const isHit = i32[line >> 2] === nextLow && i32[(line >> 2) + 1] === high;
      return isHit ? i32[(line >> 2) + 2] : undefined;
    };
    return {before: find(-1), behind: find(1)};
  }

  /** Whether the program counter may lie in the page whose decoded form this is. */
  mayExecute(decoded: number): boolean {
    const {i32} = this.#registers;
    const low = i32[layout.PC / 4] & ~0xfff;
    const word = (i32[layout.FETCH_CACHE / 4] + ((low >>> 8) & ((layout.TLB_ENTRIES - 1) << 4))) >> 2;
    return i32[word] !== low || i32[word + 1] !== i32[layout.PC / 4 + 1] || i32[word + 2] === decoded;
  }

  /** The page of code is no longer decoded: nothing may point to its decoded form. */
  removeFetches(decoded: number): void {
    const {i32} = this.#registers;
    const end = (layout.fetchCache(FETCH_CACHE_COUNT - 1) + layout.TLB_BYTES) >> 2;
    for (let word = layout.FETCH_CACHES >> 2; word < end; word += layout.TLB_ENTRY_BYTES >> 2) {
      if (i32[word + 2] !== decoded) continue;
      i32[word] = -1;
      i32[word + 1] = -1;
    }
    this.removals += 1;
  }

  get #privilege(): number {
    return this.#registers.low('privilege');
  }

  /** The mode that data accesses are made in. */
  get #dataPrivilege(): number {
    const status = this.#registers.low('mstatus');
    return (status & MSTATUS.MPRV) !== 0 ? (status >>> MSTATUS.MPP_SHIFT) & 3 : this.#privilege;
  }

  #translate(low: number, high: number, access: Access, privilege: number): number {
    if (privilege === PRIVILEGE.M || this.#rootPage < 0) {
      // Physical addresses have 56 bits; beyond 2^32 there is nothing.
      return high === 0 ? low >>> 0 : FAULT.access;
    }
    const extension = high >> 6;
    if (extension !== 0 && extension !== -1) return FAULT.page;
    const virtualPage = high * 2 ** 20 + (low >>> 12);
    let page = this.#rootPage;
    for (let level = LEVELS - 1; level >= 0; level -= 1) {
      const index = level === 2 ? ((low >>> 30) | (high << 2)) & 511 : (low >>> (12 + 9 * level)) & 511;
      const address = page * PAGE_BYTES + index * 8;
      if (!this.#ram.contains(address, 8) || !this.#pmp.allows(address, 8, 'load', PRIVILEGE.S)) return FAULT.access;
      const offset = address - layout.RAM_BASE;
      this.#watchTable(offset >>> 12, level, virtualPage);
      const pteLow = this.#ram.view.getInt32(offset, true);
      const pteHigh = this.#ram.view.getInt32(offset + 4, true);
      // Bits 63–54 are reserved without Svnapot and Svpbmt.
      if ((pteLow & PTE.V) === 0 || (pteLow & (PTE.R | PTE.W)) === PTE.W || pteHigh >>> 22 !== 0) return FAULT.page;
      page = (pteLow >>> 10) + (pteHigh & 0x3f_ffff) * 2 ** 22;
      if ((pteLow & (PTE.R | PTE.X)) === 0) {
        if ((pteLow & (PTE.A | PTE.D | PTE.U)) !== 0) return FAULT.page;
        continue;
      }
      if (!this.#permits(pteLow, access, privilege)) return FAULT.page;
      const span = 2 ** (9 * level);
      if (page % span !== 0) return FAULT.page;
      const wanted = access === 'store' ? PTE.A | PTE.D : PTE.A;
      if ((pteLow & wanted) !== wanted) {
        if (!this.#pmp.allows(address, 8, 'store', PRIVILEGE.S)) return FAULT.access;
        this.#ram.markDirty(offset >>> 12);
        this.#ram.view.setInt32(offset, pteLow | wanted, true);
      }
      return (page + ((low >>> 12) & (span - 1))) * PAGE_BYTES + (low & 0xfff);
    }
    return FAULT.page;
  }

  #permits(pte: number, access: Access, privilege: number): boolean {
    const status = this.#registers.low('mstatus');
    if (privilege === PRIVILEGE.U) {
      if ((pte & PTE.U) === 0) return false;
    } else if ((pte & PTE.U) !== 0 && (access === 'fetch' || (status & MSTATUS.SUM) === 0)) {
      return false;
    }
    switch (access) {
      case 'fetch':
        return (pte & PTE.X) !== 0;
      case 'store':
        return (pte & PTE.W) !== 0;
      case 'load':
        return (pte & PTE.R) !== 0 || ((status & MSTATUS.MXR) !== 0 && (pte & PTE.X) !== 0);
    }
  }

  /** From now on writes to this page are seen; it is a table of this level, and maps this virtual page among others. */
  #watchTable(page: number, level: number, virtualPage: number): void {
    const reach = SPANS[level] * 512;
    const base = Math.floor(virtualPage / reach) * reach;
    if ((this.#ram.flags[page] & PAGE.table) !== 0) {
      if (this.#tableLevel[page] !== level + 1 || this.#tableBase[page] !== base) this.#tableLevel[page] = MANY;
      return;
    }
    this.#removeWrites(page);
    this.#ram.flags[page] |= PAGE.table;
    this.#tablePages.push(page);
    this.#tableLevel[page] = level + 1;
    this.#tableBase[page] = base;
  }

  /** Takes a virtual page out of every cache. Returns whether the program counter lies in it. */
  #remove(virtualPage: number): boolean {
    const {i32} = this.#registers;
    const low = (virtualPage * PAGE_BYTES) | 0;
    const high = Math.floor(virtualPage / 2 ** 20);
    const line = (low >>> 8) & ((layout.TLB_ENTRIES - 1) << 4);
    for (let cache = 0; cache < CACHE_COUNT; cache += 1) {
      const word = (layout.DATA_CACHES + cache * layout.TLB_BYTES + line) >> 2;
      if (i32[word] !== low || i32[word + 1] !== high) continue;
      i32[word] = -1;
      i32[word + 1] = -1;
    }
    this.removals += 1;
    return (i32[layout.PC / 4] & ~0xfff) === low && i32[layout.PC / 4 + 1] === high;
  }

  /** From now on no write cache holds this page. */
  #removeWrites(page: number): void {
    if ((this.#ram.flags[page] & PAGE.cached) === 0) return;
    const {i32} = this.#registers;
    const place = (layout.RAM + page * PAGE_BYTES) | 0;
    for (let mode = 0; mode < DATA_CACHE_COUNT; mode += 1) {
      const start = (layout.dataCache(mode) + layout.TLB_WRITE) >> 2;
      const end = start + (layout.TLB_BYTES >> 2);
      for (let word = start; word < end; word += layout.TLB_ENTRY_BYTES >> 2) {
        // An empty entry's value may be anything, but then emptying it again does no harm.
        if (((i32[word] + i32[word + 2]) | 0) !== place) continue;
        i32[word] = -1;
        i32[word + 1] = -1;
      }
    }
    this.#ram.flags[page] &= ~PAGE.cached;
  }

  #fillData(low: number, high: number, address: number, access: 'load' | 'store'): void {
    const offset = address - layout.RAM_BASE;
    const page = offset >>> 12;
    if (!this.#pmp.uniform(layout.RAM_BASE + page * PAGE_BYTES)) return;
    // A flush between walk and fill would take the watch from the tables that were walked.
    if (this.#filledCount === FILLED_LIMIT) {
      this.flush();
      return;
    }
    if (access === 'store') {
      if ((this.#ram.flags[page] & (PAGE.code | PAGE.table)) !== 0) return;
      this.#ram.markDirty(page);
      if ((this.#ram.flags[page] & PAGE.cached) === 0) this.#cachedPages.push(page);
      this.#ram.flags[page] |= PAGE.cached;
    }
    const cache = this.#registers.i32[layout.DATA_CACHE / 4] + (access === 'load' ? layout.TLB_READ : layout.TLB_WRITE);
    const entry = cache + ((low >>> 8) & ((layout.TLB_ENTRIES - 1) << 4));
    this.#fill(entry, low, high, layout.RAM + page * PAGE_BYTES - (low & ~0xfff));
  }

  #fill(entry: number, low: number, high: number, value: number): void {
    const {i32} = this.#registers;
    const word = entry >> 2;
    this.#filledCount += 1;
    this.#filledCaches |= 1 << Math.floor((entry - layout.DATA_CACHES) / layout.TLB_BYTES);
    i32[word] = low & ~0xfff;
    i32[word + 1] = high;
    i32[word + 2] = value;
  }

  #emptyAll(): void {
    const end = layout.fetchCache(FETCH_CACHE_COUNT - 1) + layout.TLB_BYTES;
    this.#registers.bytes.fill(0xff, layout.DATA_CACHES, end);
  }
}
