// Address translation (Privileged ISA, chapter 4: Sv39) and the translation caches that generated code looks into.
//
// The caches cannot be observed. Only valid translations are cached, pages of page tables are watched, and changing a valid
// entry empties the caches at once; so SFENCE.VMA has nothing to do, and a machine restored with cold caches behaves the same.
// A and D bits are set by the walker (Svadu behaviour, as QEMU's virt machine). Write caches hold only pages that are dirty in
// this epoch and hold neither decoded code nor page tables, so that every other write passes Ram.written.

import * as layout from '../layout.ts';
import {PAGE, type Ram} from '../memory.ts';
import {PAGE_BYTES} from '../paged-memory.ts';
import type {CodeCache} from './code-cache.ts';
import type {Access, Pmp} from './pmp.ts';
import {PRIVILEGE, type Registers} from './registers.ts';
import {MSTATUS} from './status.ts';

/** Negative results of a translation. */
export const FAULT = {page: -1, access: -2} as const;

const PTE = {V: 1, R: 2, W: 4, X: 8, U: 0x10, A: 0x40, D: 0x80} as const;
const LEVELS = 3;
/** A full flush is cheaper than a list longer than this. */
const FILLED_LIMIT = 8192;

export class Mmu {
  readonly #registers: Registers;
  readonly #ram: Ram;
  readonly #pmp: Pmp;
  readonly #code: CodeCache;
  /** Offsets of the cache entries filled since the last flush. */
  readonly #filled = new Int32Array(FILLED_LIMIT);
  #filledCount = 0;
  #tablePages: number[] = [];
  #cachedPages: number[] = [];

  // The present mode, from mstatus, satp and the privilege mode; see modeChanged.
  #privilege = 3;
  #dataPrivilege = 3;
  #sum = false;
  #mxr = false;
  /** RAM offset of the root table is `rootPage * 4096` less RAM_BASE; -1 when translation is off. */
  #rootPage = -1;

  constructor(registers: Registers, ram: Ram, pmp: Pmp, code: CodeCache) {
    this.#registers = registers;
    this.#ram = ram;
    this.#pmp = pmp;
    this.#code = code;
    this.#emptyAll();
  }

  /** To be called when mstatus or the privilege mode changed. */
  modeChanged(): void {
    const {i32} = this.#registers;
    const status = this.#registers.low('mstatus');
    this.#privilege = this.#registers.low('privilege');
    this.#dataPrivilege = (status & MSTATUS.MPRV) !== 0 ? (status >>> MSTATUS.MPP_SHIFT) & 3 : this.#privilege;
    this.#sum = (status & MSTATUS.SUM) !== 0;
    const mxr = (status & MSTATUS.MXR) !== 0;
    if (mxr !== this.#mxr) this.flush();
    this.#mxr = mxr;
    i32[layout.DATA_CACHE / 4] = layout.dataCache(this.#dataMode());
    i32[layout.FETCH_CACHE / 4] = layout.fetchCache(
      this.#privilege === PRIVILEGE.M
        ? layout.FETCH_MODES.M
        : this.#privilege === PRIVILEGE.S
          ? layout.FETCH_MODES.S
          : layout.FETCH_MODES.U,
    );
  }

  /** To be called when satp changed. */
  rootChanged(): void {
    const satp = this.#registers.get('satp');
    this.#rootPage = satp >> 60n === 8n ? Number(satp & 0xfff_ffff_ffffn) : -1;
    this.flush();
  }

  /** Physical address of a data access of `lengthBytes` within one page, or a FAULT. */
  data(low: number, high: number, lengthBytes: number, access: 'load' | 'store'): number {
    const address = this.#translate(low, high, access, this.#dataPrivilege);
    if (address < 0) return address;
    if (!this.#pmp.allows(address, lengthBytes, access, this.#dataPrivilege)) return FAULT.access;
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
    if (!this.#code.has(page) && (this.#code.full || (this.#ram.flags[page] & PAGE.cached) !== 0)) {
      this.flush();
      if (this.#code.full) this.#code.clear();
      this.#code.pageOffset(page);
      return this.fetch(low, high);
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
    const {i32} = this.#registers;
    for (let index = 0; index < this.#filledCount; index += 1) {
      const word = this.#filled[index] >> 2;
      i32[word] = -1;
      i32[word + 1] = -1;
    }
    this.#filledCount = 0;
    for (const page of this.#tablePages) this.#ram.flags[page] &= ~PAGE.table;
    for (const page of this.#cachedPages) this.#ram.flags[page] &= ~PAGE.cached;
    this.#tablePages = [];
    this.#cachedPages = [];
  }

  /** Whether [start, end) of RAM holds a valid page-table entry, were it a table: then what was cached may be outdated. */
  holdsValidEntry(start: number, end: number): boolean {
    for (let offset = start - (start % 8); offset < end; offset += 8)
      if ((this.#ram.bytes[offset] & PTE.V) !== 0) return true;
    return false;
  }

  #dataMode(): number {
    const {U, S, SUM, M} = layout.DATA_MODES;
    if (this.#dataPrivilege === PRIVILEGE.M) return M;
    if (this.#dataPrivilege === PRIVILEGE.U) return U;
    return this.#sum ? SUM : S;
  }

  #translate(low: number, high: number, access: Access, privilege: number): number {
    if (privilege === PRIVILEGE.M || this.#rootPage < 0) {
      // Physical addresses have 56 bits; beyond 2^32 there is nothing.
      return high === 0 ? low >>> 0 : FAULT.access;
    }
    const extension = high >> 6;
    if (extension !== 0 && extension !== -1) return FAULT.page;
    let page = this.#rootPage;
    for (let level = LEVELS - 1; level >= 0; level -= 1) {
      const index = level === 2 ? ((low >>> 30) | (high << 2)) & 511 : (low >>> (12 + 9 * level)) & 511;
      const address = page * PAGE_BYTES + index * 8;
      if (!this.#ram.contains(address, 8) || !this.#pmp.allows(address, 8, 'load', PRIVILEGE.S)) return FAULT.access;
      const offset = address - layout.RAM_BASE;
      // The flush took the watch from the tables above: walk again.
      if (this.#watchTable(offset >>> 12)) return this.#translate(low, high, access, privilege);
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
    if (privilege === PRIVILEGE.U) {
      if ((pte & PTE.U) === 0) return false;
    } else if ((pte & PTE.U) !== 0 && (access === 'fetch' || !this.#sum)) {
      return false;
    }
    switch (access) {
      case 'fetch':
        return (pte & PTE.X) !== 0;
      case 'store':
        return (pte & PTE.W) !== 0;
      case 'load':
        return (pte & PTE.R) !== 0 || (this.#mxr && (pte & PTE.X) !== 0);
    }
  }

  /** From now on writes to this page are seen. Returns whether that needed a flush. */
  #watchTable(page: number): boolean {
    const flags = this.#ram.flags[page];
    if ((flags & PAGE.table) !== 0) return false;
    const cached = (flags & PAGE.cached) !== 0;
    if (cached) this.flush();
    this.#ram.flags[page] |= PAGE.table;
    this.#tablePages.push(page);
    return cached;
  }

  #fillData(low: number, high: number, address: number, access: 'load' | 'store'): void {
    const offset = address - layout.RAM_BASE;
    const page = offset >>> 12;
    if (!this.#pmp.uniform(layout.RAM_BASE + page * PAGE_BYTES, PAGE_BYTES)) return;
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
    this.#filled[this.#filledCount] = entry;
    this.#filledCount += 1;
    i32[word] = low & ~0xfff;
    i32[word + 1] = high;
    i32[word + 2] = value;
  }

  #emptyAll(): void {
    const end = layout.fetchCache(layout.FETCH_MODES.M) + layout.TLB_BYTES;
    this.#registers.bytes.fill(0xff, layout.DATA_CACHES, end);
  }
}
