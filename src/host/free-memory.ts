// Gives memory that the C library's allocator holds and nobody uses back to the system (malloc_trim(3)). glibc keeps what small pieces
// leave behind: after a machine's state has passed through, in pieces, some hundred megabytes. And a process that is killed is gone, and its
// peers hear of it, only when the kernel has freed all of its pages.

import {createRequire} from 'node:module';

/** In a thread of its own. Does nothing where the C library is another. */
export function returnFreeMemory(): void {
  if (process.platform !== 'linux') return;
  try {
    const koffi: typeof import('koffi') = createRequire(import.meta.url)('koffi');
    koffi
      .load(null)
      .func('int malloc_trim(size_t pad)')
      .async(0, () => {});
  } catch {
    // koffi is not made for this processor, or there is no such function.
  }
}
