// Pages that generated code reaches through no cache of its own: devices, and, for stores, decoded code and page tables, because all of that must be
// seen. Where the last of them are is kept here: a kernel that fills tables, patches its code, or talks to a device comes back to them, and need
// not be led through the page tables each time.

import * as layout from '../layout.ts';
import type {Registers} from './registers.ts';

/** By the page's number, for loads and for stores. */
const LINES = 8;
/** No data cache lies there. */
const NOWHERE = -1;

export class SlowPages {
  readonly #registers: Registers;
  /** By line: the virtual page, the data cache that would hold it, the page's physical address. */
  readonly #low = new Int32Array(2 * LINES);
  readonly #high = new Int32Array(2 * LINES);
  readonly #cache = new Int32Array(2 * LINES).fill(NOWHERE);
  readonly #page = new Float64Array(2 * LINES);

  constructor(registers: Registers) {
    this.#registers = registers;
  }

  /** Such accesses to this virtual page are permitted, and go to this physical address. */
  note(low: number, high: number, access: 'load' | 'store', address: number): void {
    const line = lineOf(low, access);
    this.#low[line] = low & ~0xfff;
    this.#high[line] = high;
    this.#cache[line] = this.#registers.i32[layout.DATA_CACHE / 4];
    this.#page[line] = address - (low & 0xfff);
  }

  /** Physical address of the access, if its page was noted in the present mode and address space; or -1. */
  find(low: number, high: number, access: 'load' | 'store'): number {
    const line = lineOf(low, access);
    const isHit =
      this.#low[line] === (low & ~0xfff) &&
      this.#high[line] === high &&
      this.#cache[line] === this.#registers.i32[layout.DATA_CACHE / 4];
    return isHit ? this.#page[line] + (low & 0xfff) : -1;
  }

  /** Forgets the virtual page with this address. */
  remove(low: number): void {
    this.#cache[lineOf(low, 'load')] = NOWHERE;
    this.#cache[lineOf(low, 'store')] = NOWHERE;
  }

  clear(): void {
    this.#cache.fill(NOWHERE);
  }
}

function lineOf(low: number, access: 'load' | 'store'): number {
  return ((low >>> 12) & (LINES - 1)) + (access === 'load' ? 0 : LINES);
}
