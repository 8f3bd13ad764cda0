// Which pages of RAM the walker has read as page tables, and what follows when one is written: the translations that came from a
// changed entry leave the caches at once. Of a table it is known which level it is of, which addresses it maps, which entry leads to
// it and which address space it serves, as long as each is one; so that what a kernel does all the time costs little: filling
// entries (nothing was cached), changing a page's rights (one translation goes), tearing down tables that it has emptied (nothing is
// left to go). For everything else there is the flush.

import * as layout from '../layout.ts';
import {PAGE, type Ram} from '../memory.ts';
import {PAGE_BYTES} from '../paged-memory.ts';
import {PRIVILEGE} from '../status.ts';
import {ENTRIES_PER_TABLE, LEVELS, PTE, SPANS} from './page-table-entry.ts';
import {ALL_SETS, type TranslationCaches} from './translation-caches.ts';

/** The level of a table that serves several, or several ranges of addresses. */
const MANY = 0xff;
/** The entry that leads to a table, if it is not one; and to a root, which satp does. */
const NO_SINGLE_PARENT = -1;
export const ROOT = -2;
/** Physical page number of RAM's first page. */
export const RAM_PAGE = layout.RAM_BASE / PAGE_BYTES;
/** A table written in more entries at once is not looked at entry by entry. */
const ENTRIES_LIMIT = 16;
/** Pages that were watched since the last flush, some of them several times. */
const PAGES_LIMIT = 65_536;

/**
 * What a write to tables means for who runs: nothing; that code of the present mode may be mapped otherwise; that the page that runs
 * may be; that every translation has to be forgotten.
 */
export type Effect = 'none' | 'code' | 'own' | 'flush';

export class TableWatch {
  readonly #ram: Ram;
  readonly #caches: TranslationCaches;
  /** By page of RAM that is watched: its level + 1 or MANY; the virtual page that its first entry maps; offset of the entry that leads
   *  to it; the set of caches that it was read for. */
  readonly #level: Uint8Array;
  readonly #base: Float64Array;
  readonly #parent: Int32Array;
  readonly #set: Uint8Array;
  #pages: number[] = [];

  constructor(ram: Ram, caches: TranslationCaches) {
    this.#ram = ram;
    this.#caches = caches;
    this.#level = new Uint8Array(ram.pageCount);
    this.#base = new Float64Array(ram.pageCount);
    this.#parent = new Int32Array(ram.pageCount);
    this.#set = new Uint8Array(ram.pageCount);
  }

  /** The list of pages must not grow for ever: a flush empties it. */
  get full(): boolean {
    return this.#pages.length >= PAGES_LIMIT;
  }

  /** From now on writes to this page are seen: a table of this level, which maps this virtual page among others. */
  add(page: number, level: number, virtualPage: number, parent: number): void {
    const reach = SPANS[level] * ENTRIES_PER_TABLE;
    const set = this.#caches.current;
    const isWatched = (this.#ram.flags[page] & PAGE.table) !== 0;
    // Most walks go where the last ones went.
    if (isWatched && this.#level[page] === level + 1 && this.#parent[page] === parent && this.#set[page] === set) {
      const distance = virtualPage - this.#base[page];
      if (level === LEVELS - 1 || (distance >= 0 && distance < reach)) return;
    }
    // A root maps both halves of the addresses, those below zero by its upper entries.
    const base = level === LEVELS - 1 ? 0 : Math.floor(virtualPage / reach) * reach;
    if (isWatched) {
      if (this.#level[page] !== level + 1 || this.#base[page] !== base) this.#level[page] = MANY;
      if (this.#parent[page] !== parent) this.#parent[page] = NO_SINGLE_PARENT;
      if (this.#set[page] !== set) this.#set[page] = ALL_SETS;
      return;
    }
    this.#caches.removeWrites(page);
    this.#ram.flags[page] |= PAGE.table;
    this.#pages.push(page);
    this.#level[page] = level + 1;
    this.#base[page] = base;
    this.#parent[page] = parent;
    this.#set[page] = set;
  }

  /**
   * [start, end) of RAM, within a watched page, is about to change. `root` is the physical page number of the present root table, or
   * negative. A flush is the caller's to do.
   */
  written(start: number, end: number, present: {root: number; privilege: number}): Effect {
    const first = start - (start % PTE.bytes);
    const page = start >>> 12;
    let effect = 'none' as Effect;
    for (let offset = first; offset < end; offset += PTE.bytes) {
      const entry = this.#ram.bytes[offset];
      if ((entry & PTE.V) === 0) continue;
      const level = this.#level[page] - 1;
      if (level >= LEVELS || end - first > ENTRIES_LIMIT * PTE.bytes) return 'flush';
      if ((entry & (PTE.R | PTE.X)) !== 0) {
        // What was never used is in no cache.
        if ((entry & PTE.A) === 0) continue;
        if (level > 0) return 'flush';
        const isOwn = this.#caches.remove(this.#base[page] + ((offset & 0xfff) >>> 3), this.#set[page]);
        const mode = (entry & PTE.U) !== 0 ? PRIVILEGE.U : PRIVILEGE.S;
        if ((entry & PTE.X) !== 0 && mode === present.privilege) effect = isOwn || effect === 'own' ? 'own' : 'code';
      } else if (!this.#unlink(offset, level)) {
        const root = page + RAM_PAGE;
        if (this.#parent[page] !== ROOT || root === present.root) return 'flush';
        // Nobody is in this address space: it is forgotten as a whole.
        this.#caches.drop(root);
        this.#release(page);
        return effect;
      }
    }
    return effect;
  }

  /** No translation is cached any more. */
  clear(): void {
    for (const page of this.#pages) this.#release(page);
    this.#pages = [];
  }

  /** The entry at this offset no longer leads to its table. Returns false when something may be cached that came that way. */
  #unlink(offset: number, level: number): boolean {
    const {view, flags} = this.#ram;
    const low = view.getUint32(offset, true) >>> 10;
    const child = low + (view.getUint32(offset + 4, true) & 0x3f_ffff) * 2 ** 22 - RAM_PAGE;
    if (child < 0 || child >= flags.length || (flags[child] & PAGE.table) === 0) return true;
    if (this.#level[child] !== level) return false;
    // The translations of an entry are gone with the entry.
    for (let at = child * PAGE_BYTES; at < (child + 1) * PAGE_BYTES; at += PTE.bytes)
      if ((this.#ram.bytes[at] & PTE.V) !== 0) return false;
    if (this.#parent[child] === offset) this.#release(child);
    return true;
  }

  #release(page: number): void {
    this.#ram.flags[page] &= ~PAGE.table;
    this.#level[page] = 0;
  }
}
