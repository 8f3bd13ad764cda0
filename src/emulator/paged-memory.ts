// Paged memories: the large parts of the state (RAM, disk overlays), 4 KiB a page, with the pages written since the last look.

export const PAGE_BYTES = 4096;

export interface PagedMemory {
  /** `ram`, `disk0.overlay`, … */
  readonly name: string;
  readonly pageCount: number;
  /** The page's bytes (a view; do not keep it), or undefined where a sparse memory holds nothing there (all zero for digests). */
  page(index: number): Uint8Array | undefined;
  /** Overwrites a page (restoring a snapshot), or removes it from a sparse memory. */
  setPage(index: number, bytes: Uint8Array | undefined): void;
  /** Indices of the pages that hold anything: all of RAM, the written ones of an overlay. Ascending. */
  present(): Iterable<number>;
  /** Those of them that may be other than zeros: of RAM, which begins as zeros, the ones ever written. Ascending. */
  filled(): readonly number[];
  /** Indices of the pages written since the last call, each once, ascending. */
  takeDirty(): number[];
}
