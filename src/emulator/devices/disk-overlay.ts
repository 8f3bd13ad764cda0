// A disk's private overlay: the pages that the guest has written, over a base image that is never modified (DESIGN 3).
// It is machine state; replay rebuilds it, and it needs no sync. Pages are 4 KiB; a page written in part is first copied
// from the base. Zeroed pages share one array, so that zeroing a large range costs little.

import {assert} from '../../errors.ts';
import type {BaseImage} from '../config.ts';
import {PAGE_BYTES, type PagedMemory} from '../paged-memory.ts';

/** Pages that an overlay holds at most: 8 GiB. Beyond it writes fail as on a full thin-provisioned disk. */
export const OVERLAY_LIMIT_PAGES = 2 ** 21;

/** Shared by all zeroed pages; never written. */
const ZERO_PAGE = new Uint8Array(PAGE_BYTES);

export class DiskOverlay implements PagedMemory {
  readonly name: string;
  readonly pageCount: number;
  readonly #base: BaseImage;
  readonly #limitPages: number;
  readonly #pages = new Map<number, Uint8Array>();
  readonly #dirty = new Set<number>();

  /** `name`: `disk0.overlay`, … */
  constructor(options: {name: string; base: BaseImage; limitPages?: number}) {
    this.name = options.name;
    this.#base = options.base;
    this.#limitPages = options.limitPages ?? OVERLAY_LIMIT_PAGES;
    this.pageCount = Math.ceil(options.base.sizeBytes / PAGE_BYTES);
  }

  get sizeBytes(): number {
    return this.#base.sizeBytes;
  }

  page(index: number): Uint8Array | undefined {
    return this.#pages.get(index);
  }

  setPage(index: number, bytes: Uint8Array | undefined): void {
    if (bytes === undefined) {
      this.#pages.delete(index);
    } else {
      assert(bytes.length === PAGE_BYTES, `${this.name}: a page of ${bytes.length} bytes`);
      this.#pages.set(index, bytes.slice());
    }
    this.#dirty.add(index);
  }

  present(): readonly number[] {
    return [...this.#pages.keys()].sort((left, right) => left - right);
  }

  filled(): readonly number[] {
    return this.present();
  }

  takeDirty(): number[] {
    const dirty = [...this.#dirty].sort((left, right) => left - right);
    this.#dirty.clear();
    return dirty;
  }

  /** Reads [offsetBytes, offsetBytes + into.length), which lies on the disk. Throws what the base image throws. */
  read(offsetBytes: number, into: Uint8Array): void {
    let done = 0;
    while (done < into.length) {
      const offset = offsetBytes + done;
      const index = Math.floor(offset / PAGE_BYTES);
      const page = this.#pages.get(index);
      if (page !== undefined) {
        const start = offset - index * PAGE_BYTES;
        const part = page.subarray(start, start + into.length - done);
        into.set(part, done);
        done += part.length;
        continue;
      }
      // One read of the base for the whole run of pages that the overlay does not hold.
      let end = index + 1;
      while (end * PAGE_BYTES < offsetBytes + into.length && !this.#pages.has(end)) end++;
      const length = Math.min(end * PAGE_BYTES, offsetBytes + into.length) - offset;
      this.#base.read(offset, into.subarray(done, done + length));
      done += length;
    }
  }

  /** Writes `bytes` at `offsetBytes`, on the disk. False, with nothing written, when the overlay is full. */
  write(offsetBytes: number, bytes: Uint8Array): boolean {
    return this.#forEachPage(offsetBytes, bytes.length, (index, start, end, done) => {
      this.#writablePage(index, {whole: end - start === PAGE_BYTES}).set(
        bytes.subarray(done, done + end - start),
        start,
      );
    });
  }

  /** Makes a range read as zeros. False, with nothing written, when the overlay is full. */
  writeZeroes(offsetBytes: number, lengthBytes: number): boolean {
    return this.#forEachPage(offsetBytes, lengthBytes, (index, start, end) => {
      if (end - start === PAGE_BYTES) this.#pages.set(index, ZERO_PAGE);
      else this.#writablePage(index, {whole: false}).fill(0, start, end);
    });
  }

  /** Forgets the whole pages of a range: they read as the base again, which discarded data may (virtio 1.2, 5.2.6.2). */
  discard(offsetBytes: number, lengthBytes: number): void {
    const first = Math.ceil(offsetBytes / PAGE_BYTES);
    const end = Math.floor((offsetBytes + lengthBytes) / PAGE_BYTES);
    const drop = (index: number) => {
      if (this.#pages.delete(index)) this.#dirty.add(index);
    };
    if (end - first <= this.#pages.size) {
      for (let index = first; index < end; index++) drop(index);
    } else {
      for (const index of [...this.#pages.keys()]) if (index >= first && index < end) drop(index);
    }
  }

  /** Calls `change` for each page of the range with the bytes [start, end) of it, and with how many bytes came before. */
  #forEachPage(
    offsetBytes: number,
    lengthBytes: number,
    change: (index: number, start: number, end: number, done: number) => void,
  ): boolean {
    const first = Math.floor(offsetBytes / PAGE_BYTES);
    const last = Math.floor((offsetBytes + lengthBytes - 1) / PAGE_BYTES);
    if (!this.#hasRoom(first, last)) return false;
    for (let done = 0, index = first; done < lengthBytes; index++) {
      const start = offsetBytes + done - index * PAGE_BYTES;
      const end = Math.min(PAGE_BYTES, start + lengthBytes - done);
      change(index, start, end, done);
      this.#dirty.add(index);
      done += end - start;
    }
    return true;
  }

  #hasRoom(first: number, last: number): boolean {
    if (this.#pages.size + last - first + 1 <= this.#limitPages) return true;
    let added = 0;
    for (let index = first; index <= last; index++) if (!this.#pages.has(index)) added++;
    return this.#pages.size + added <= this.#limitPages;
  }

  #writablePage(index: number, options: {whole: boolean}): Uint8Array {
    const present = this.#pages.get(index);
    if (present !== undefined && present !== ZERO_PAGE) return present;
    const page = new Uint8Array(PAGE_BYTES);
    if (present === undefined && !options.whole) {
      const offset = index * PAGE_BYTES;
      this.#base.read(offset, page.subarray(0, Math.min(PAGE_BYTES, this.sizeBytes - offset)));
    }
    this.#pages.set(index, page);
    return page;
  }
}
