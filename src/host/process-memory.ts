// What the C library and the kernel do with this process's memory. A process that is killed is gone, and its peers hear of it, only when the
// kernel has freed all of its pages: there should be few of them.

import {createRequire} from 'node:module';

/** madvise(2). */
const MADV_HUGEPAGE = 14;

/**
 * Gives memory that the allocator holds and nobody uses back to the system (malloc_trim(3)), in a thread of its own. glibc keeps what small
 * pieces leave behind: after a machine's state has passed through, in pieces, some hundred megabytes.
 */
export function returnFreeMemory(): void {
  withLibc((libc) => libc.func('int malloc_trim(size_t pad)').async(0, () => {}));
}

/** From now on what is touched of this memory comes in huge pages (madvise(2)), which are freed ten times as fast. */
export function useHugePages(buffer: ArrayBufferLike): void {
  withLibc((libc) => {
    const madvise = libc.func('int madvise(void *address, size_t lengthBytes, int advice)');
    madvise(new Uint8Array(buffer), buffer.byteLength, MADV_HUGEPAGE);
  });
}

/** Does nothing where there is no such C library: it is an advice. */
function withLibc(call: (libc: ReturnType<typeof import('koffi').load>) => void): void {
  if (process.platform !== 'linux') return;
  try {
    const koffi: typeof import('koffi') = createRequire(import.meta.url)('koffi');
    call(koffi.load(null));
  } catch {
    // koffi is not made for this processor, or there is no such function.
  }
}
