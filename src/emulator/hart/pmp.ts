// Physical memory protection (Privileged ISA, section 3.7): 16 entries, granularity 4 bytes.

import {PMP_ENTRIES} from '../csr-storage.ts';
import {RAM_BASE} from '../layout.ts';
import {PAGE_BYTES} from '../paged-memory.ts';
import {PRIVILEGE} from '../status.ts';
import type {Registers} from './registers.ts';

export type Access = 'load' | 'store' | 'fetch';

const CFG = {R: 1, W: 2, X: 4, L: 0x80} as const;
const NEEDED: Record<Access, number> = {load: CFG.R, store: CFG.W, fetch: CFG.X};

/** What is known of a page of RAM: rights of S and U as in CFG, those of M three bits further up. Or that it must be asked. */
const UNKNOWN = 0xff;
const MIXED = 0xfe;
const ALL = CFG.R | CFG.W | CFG.X;
const M_SHIFT = 3;

/** An active entry: the range [start, end) in bytes, and its configuration. */
type Entry = {start: number; end: number; cfg: number};

export class Pmp {
  readonly #registers: Registers;
  #entries: Entry[] = [];
  /** By page of RAM. */
  readonly #rights: Uint8Array;

  constructor(registers: Registers, ramPages: number) {
    this.#registers = registers;
    this.#rights = new Uint8Array(ramPages).fill(UNKNOWN);
  }

  /** To be called when a PMP register changed. */
  update(): void {
    this.#entries = [];
    this.#rights.fill(UNKNOWN);
    for (let n = 0; n < PMP_ENTRIES; n += 1) {
      const cfg = this.#registers.pmpcfg(n);
      const range = this.#range(n, (cfg >> 3) & 3);
      if (range !== undefined) this.#entries.push({...range, cfg});
    }
  }

  /** Whether the whole of [address, address + lengthBytes), within one page, may be accessed so. */
  allows(address: number, lengthBytes: number, access: Access, privilege: number): boolean {
    const rights = this.#rightsOf(address);
    if (rights !== MIXED) return ((privilege === PRIVILEGE.M ? rights >> M_SHIFT : rights) & NEEDED[access]) !== 0;
    for (const {start, end, cfg} of this.#entries) {
      if (address + lengthBytes <= start || address >= end) continue;
      if (address < start || address + lengthBytes > end) return false;
      if (privilege === PRIVILEGE.M && (cfg & CFG.L) === 0) return true;
      return (cfg & NEEDED[access]) !== 0;
    }
    return privilege === PRIVILEGE.M;
  }

  /** Whether S may read the 8 bytes at this offset of a page of RAM: an entry of a page table. */
  allowsEntry(ramPage: number, offset: number): boolean {
    const rights = this.#rights[ramPage];
    if (rights < MIXED) return (rights & CFG.R) !== 0;
    return this.allows(RAM_BASE + ramPage * PAGE_BYTES + offset, 8, 'load', PRIVILEGE.S);
  }

  /** Whether one entry (or none) decides for the whole page of RAM at this address, so that a cache may hold it. */
  uniform(address: number): boolean {
    return this.#rightsOf(address) !== MIXED;
  }

  #rightsOf(address: number): number {
    const page = Math.floor((address - RAM_BASE) / PAGE_BYTES);
    // Outside RAM nothing is fast.
    const known = this.#rights[page] ?? MIXED;
    if (known !== UNKNOWN) return known;
    const rights = this.#examine(RAM_BASE + page * PAGE_BYTES);
    this.#rights[page] = rights;
    return rights;
  }

  #examine(address: number): number {
    for (const {start, end, cfg} of this.#entries) {
      if (address + PAGE_BYTES <= start || address >= end) continue;
      if (address < start || address + PAGE_BYTES > end) return MIXED;
      const rights = cfg & ALL;
      return rights | (((cfg & CFG.L) === 0 ? ALL : rights) << M_SHIFT);
    }
    return ALL << M_SHIFT;
  }

  #range(n: number, mode: number): {start: number; end: number} | undefined {
    const address = this.#registers.pmpaddr(n);
    switch (mode) {
      case 1: {
        const start = n === 0 ? 0 : Number(this.#registers.pmpaddr(n - 1)) * 4;
        const end = Number(address) * 4;
        return start < end ? {start, end} : undefined;
      }
      case 2:
        return {start: Number(address) * 4, end: Number(address) * 4 + 4};
      case 3: {
        // The trailing ones say the size: n of them stand for 2^(n+3) bytes.
        const ones = address ^ (address + 1n);
        return {start: Number(address & ~ones) * 4, end: Number((address | ones) + 1n) * 4};
      }
      default:
        return undefined;
    }
  }
}
