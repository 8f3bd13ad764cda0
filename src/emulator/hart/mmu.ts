// Address translation (Privileged ISA, chapter 4: Sv39), by which the translation caches that generated code looks into are filled.
//
// The caches cannot be observed. Only valid translations are cached, pages of page tables are watched, and changing a valid
// entry takes what follows from it out of the caches at once; so SFENCE.VMA has nothing to do, and a machine restored with cold
// caches behaves the same.
// A and D bits are set by the walker (Svadu behaviour, as QEMU's virt machine). Write caches hold only pages that are dirty in
// this epoch and hold neither decoded code nor page tables, so that every other write passes Ram.written.

import * as layout from '../layout.ts';
import {PAGE, type Ram} from '../memory.ts';
import {PAGE_BYTES} from '../paged-memory.ts';
import {MSTATUS, PRIVILEGE} from '../status.ts';
import type {CodeCache} from './code-cache.ts';
import {LEVELS, PTE, SPANS} from './page-table-entry.ts';
import type {Access, Pmp} from './pmp.ts';
import type {Registers} from './registers.ts';
import {RAM_PAGE, ROOT, TableWatch} from './table-watch.ts';
import {TranslationCaches} from './translation-caches.ts';

/** Negative results of a translation. */
export const FAULT = {page: -1, access: -2} as const;

export class Mmu {
  readonly #registers: Registers;
  readonly #ram: Ram;
  readonly #pmp: Pmp;
  readonly #code: CodeCache;
  readonly #caches: TranslationCaches;
  readonly #tables: TableWatch;
  /** Counts flushes: what was translated before one is no longer watched. */
  flushes = 0;
  /** Counts single translations that were taken out, as far as code of the present mode may be among them. */
  removals = 0;

  /** Physical page number of the root table; -1 when translation is off. */
  #rootPage = -1;

  constructor(registers: Registers, ram: Ram, pmp: Pmp, code: CodeCache) {
    this.#registers = registers;
    this.#ram = ram;
    this.#pmp = pmp;
    this.#code = code;
    this.#caches = new TranslationCaches(registers, ram);
    this.#tables = new TableWatch(ram, this.#caches);
  }

  /** To be called when satp changed; the modes must be set anew then. */
  rootChanged(): void {
    const satp = this.#registers.get('satp');
    this.#rootPage = satp >> 60n === 8n ? Number(satp & 0xfff_ffff_ffffn) : -1;
    this.#caches.enter(this.#rootPage);
  }

  /** Physical address of a data access of `lengthBytes` within one page, or a FAULT. */
  data(low: number, high: number, lengthBytes: number, access: 'load' | 'store'): number {
    const privilege = this.#dataPrivilege;
    const known = this.slow(low, high, access);
    const address = known >= 0 ? known : this.#translate(low, high, access, privilege);
    if (address < 0) return address;
    if (!this.#pmp.allows(address, lengthBytes, access, privilege)) return FAULT.access;
    if (known >= 0) return address;
    if (this.#ram.contains(address, lengthBytes)) this.#fillData(low, high, address, access);
    else this.#caches.slowPages.note(low, high, access, address);
    return address;
  }

  /** Physical address of an access to a page that generated code cannot reach, if it is known; or -1. */
  slow(low: number, high: number, access: 'load' | 'store'): number {
    const address = this.#caches.slowPages.find(low, high, access);
    // What was code or a table may be an ordinary page by now.
    const isOrdinary = this.#ram.contains(address, 1) && !this.#mustSee((address - layout.RAM_BASE) >>> 12);
    return isOrdinary ? -1 : address;
  }

  /** Offset in the module's memory of the decoded page that holds this address, or a FAULT. Fills the fetch cache. */
  fetch(low: number, high: number): number {
    const {i32} = this.#registers;
    const entry = i32[layout.FETCH_CACHE / 4] + ((low >>> 8) & ((layout.TLB_ENTRIES - 1) << 4));
    if (i32[entry >> 2] === (low & ~0xfff) && i32[(entry >> 2) + 1] === high) return i32[(entry >> 2) + 2];
    if (this.#full) this.flush();
    const address = this.#translate(low, high, 'fetch', this.#privilege);
    if (address < 0) return address;
    if (!this.#ram.contains(address, 2) || !this.#pmp.allows(address, 2, 'fetch', this.#privilege)) return FAULT.access;
    const page = (address - layout.RAM_BASE) >>> 12;
    if (!this.#code.has(page)) {
      this.#caches.removeWrites(page);
      if (this.#code.full) {
        this.flush();
        this.#code.clear();
        this.#code.pageOffset(page);
        return this.fetch(low, high);
      }
    }
    const decoded = this.#code.pageOffset(page);
    this.#caches.fill(entry, low, high, decoded);
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
    this.#caches.flush();
    this.#tables.clear();
    this.flushes += 1;
  }

  /**
   * [start, end) of RAM, within a watched page, is about to change. Returns whether the page of the program counter may be another
   * one then: its translation was dropped, or every one was.
   */
  tableWritten(start: number, end: number): boolean {
    const effect = this.#tables.written(start, end, {root: this.#rootPage, privilege: this.#privilege});
    if (effect === 'flush') this.flush();
    else if (effect !== 'none') this.removals += 1;
    return effect === 'flush' || effect === 'own';
  }

  /** Decoded pages before and behind the page that the interpreter is on, if the present fetch cache has them. */
  neighbours(): {before: number | undefined; behind: number | undefined} {
    const {i32} = this.#registers;
    const virtualPage = i32[layout.PAGE_ADDRESS / 4] >>> 12;
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
    this.#caches.removeFetches(decoded);
    this.removals += 1;
  }

  get #full(): boolean {
    return this.#caches.full || this.#tables.full;
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
    let parent = ROOT;
    for (let level = LEVELS - 1; level >= 0; level -= 1) {
      const index = level === 2 ? ((low >>> 30) | (high << 2)) & 511 : (low >>> (12 + 9 * level)) & 511;
      const table = page - RAM_PAGE;
      if (table < 0 || table >= this.#ram.pageCount || !this.#pmp.allowsEntry(table, index * 8)) return FAULT.access;
      const offset = table * PAGE_BYTES + index * 8;
      this.#tables.add(table, level, virtualPage, parent);
      parent = offset;
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
      const span = SPANS[level];
      if (page % span !== 0) return FAULT.page;
      const wanted = access === 'store' ? PTE.A | PTE.D : PTE.A;
      if ((pteLow & wanted) !== wanted) {
        if (!this.#pmp.allows(layout.RAM_BASE + offset, 8, 'store', PRIVILEGE.S)) return FAULT.access;
        this.#ram.markDirty(table);
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

  #fillData(low: number, high: number, address: number, access: 'load' | 'store'): void {
    const offset = address - layout.RAM_BASE;
    const page = offset >>> 12;
    if (!this.#pmp.uniform(layout.RAM_BASE + page * PAGE_BYTES)) return;
    // A flush between walk and fill would take the watch from the tables that were walked.
    if (this.#full) {
      this.flush();
      return;
    }
    const entry = this.#registers.i32[layout.DATA_CACHE / 4] + ((low >>> 8) & ((layout.TLB_ENTRIES - 1) << 4));
    const value = layout.RAM + page * PAGE_BYTES - (low & ~0xfff);
    // What may be written may be read: page tables and PMP reserve the contrary.
    this.#caches.fill(entry + layout.TLB_READ, low, high, value);
    if (access === 'load') return;
    if (this.#mustSee(page)) {
      this.#caches.slowPages.note(low, high, access, address);
      return;
    }
    this.#ram.markDirty(page);
    this.#caches.noteWritable(entry + layout.TLB_WRITE, page);
    this.#caches.fill(entry + layout.TLB_WRITE, low, high, value);
  }

  /** Whether stores to this page of RAM must be seen. */
  #mustSee(page: number): boolean {
    return (this.#ram.flags[page] & (PAGE.code | PAGE.table)) !== 0;
  }
}
