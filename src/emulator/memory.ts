// The guest's RAM inside the module's memory, as seen from outside the hart: by devices (bus masters), the loader, snapshots
// and digests. Every write from here, and every first write of an epoch from the hart, passes `written`, which keeps decoded
// code, translation caches and the LR/SC reservation true to what memory holds.

import {assert} from '../errors.ts';
import type {GuestMemory} from './devices/device.ts';
import {RAM, RAM_BASE} from './layout.ts';
import {PAGE_BYTES, type PagedMemory} from './paged-memory.ts';

/** What is known of a page. `cached`: a write translation cache may hold it, so that writes are not seen. `written`: at any time. */
export const PAGE = {dirty: 1, code: 2, table: 4, cached: 8, written: 16} as const;

/** What must happen when RAM changes behind the caches' back. Offsets are in RAM; [start, end) lies within one page. */
export type RamObserver = {
  codeWritten(page: number, start: number, end: number): void;
  tableWritten(start: number, end: number): void;
  /** A device or the loader has written: a reservation there is lost. */
  deviceWritten(offset: number, lengthBytes: number): void;
  /** Pages shall be seen again when they are written. */
  epochEnded(): void;
};

export class Ram implements GuestMemory, PagedMemory {
  readonly name = 'ram';
  readonly pageCount: number;
  readonly bytes: Uint8Array;
  readonly view: DataView;
  /** Per page, a set of PAGE bits. */
  readonly flags: Uint8Array;
  observer: RamObserver | undefined;
  #dirty: number[] = [];

  constructor(memory: WebAssembly.Memory, ramBytes: number) {
    assert(ramBytes % PAGE_BYTES === 0, 'RAM is not whole pages');
    this.bytes = new Uint8Array(memory.buffer, RAM, ramBytes);
    this.view = new DataView(memory.buffer, RAM, ramBytes);
    this.pageCount = ramBytes / PAGE_BYTES;
    this.flags = new Uint8Array(this.pageCount);
  }

  // Guest memory

  contains(address: number, lengthBytes: number): boolean {
    const offset = address - RAM_BASE;
    return offset >= 0 && lengthBytes >= 0 && offset + lengthBytes <= this.bytes.length;
  }

  read(address: number, lengthBytes: number): Uint8Array {
    assert(this.contains(address, lengthBytes), 'read outside RAM');
    return this.bytes.slice(address - RAM_BASE, address - RAM_BASE + lengthBytes);
  }

  write(address: number, bytes: Uint8Array): void {
    assert(this.contains(address, bytes.length), 'write outside RAM');
    if (bytes.length === 0) return;
    this.#deviceWrites(address, bytes.length);
    this.bytes.set(bytes, address - RAM_BASE);
  }

  readU16(address: number): number {
    return this.view.getUint16(address - RAM_BASE, true);
  }

  readU32(address: number): number {
    return this.view.getUint32(address - RAM_BASE, true);
  }

  readU64(address: number): bigint {
    return this.view.getBigUint64(address - RAM_BASE, true);
  }

  writeU8(address: number, value: number): void {
    this.#deviceWrites(address, 1);
    this.view.setUint8(address - RAM_BASE, value);
  }

  writeU16(address: number, value: number): void {
    this.#deviceWrites(address, 2);
    this.view.setUint16(address - RAM_BASE, value, true);
  }

  writeU32(address: number, value: number): void {
    this.#deviceWrites(address, 4);
    this.view.setUint32(address - RAM_BASE, value, true);
  }

  /** To be called before bytes change; the value about to be replaced is still there. */
  written(offset: number, lengthBytes: number): void {
    for (let page = Math.floor(offset / PAGE_BYTES); page * PAGE_BYTES < offset + lengthBytes; page += 1) {
      this.markDirty(page);
      const flags = this.flags[page];
      if ((flags & (PAGE.code | PAGE.table)) === 0) continue;
      const start = Math.max(offset, page * PAGE_BYTES);
      const end = Math.min(offset + lengthBytes, (page + 1) * PAGE_BYTES);
      if ((flags & PAGE.code) !== 0) this.observer?.codeWritten(page, start, end);
      if ((flags & PAGE.table) !== 0) this.observer?.tableWritten(start, end);
    }
  }

  markDirty(page: number): void {
    if ((this.flags[page] & PAGE.dirty) !== 0) return;
    this.flags[page] |= PAGE.dirty | PAGE.written;
    this.#dirty.push(page);
  }

  #deviceWrites(address: number, lengthBytes: number): void {
    this.written(address - RAM_BASE, lengthBytes);
    this.observer?.deviceWritten(address - RAM_BASE, lengthBytes);
  }

  // Paged memory

  page(index: number): Uint8Array {
    return this.bytes.subarray(index * PAGE_BYTES, (index + 1) * PAGE_BYTES);
  }

  setPage(index: number, bytes: Uint8Array | undefined): void {
    this.written(index * PAGE_BYTES, PAGE_BYTES);
    if (bytes === undefined) this.page(index).fill(0);
    else this.page(index).set(bytes);
  }

  *present(): Iterable<number> {
    for (let index = 0; index < this.pageCount; index += 1) yield index;
  }

  filled(): readonly number[] {
    const {flags} = this;
    const filled: number[] = [];
    for (let index = 0; index < flags.length; index += 1) if ((flags[index] & PAGE.written) !== 0) filled.push(index);
    return filled;
  }

  takeDirty(): number[] {
    const dirty = this.#dirty.sort((a, b) => a - b);
    this.#dirty = [];
    for (const page of dirty) this.flags[page] &= ~PAGE.dirty;
    this.observer?.epochEnded();
    return dirty;
  }
}
