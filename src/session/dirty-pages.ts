// Who wrote what since when, for several at once: the digest, and every state transfer under way, want to know the pages written
// since their own last look; a paged memory tells it only once.

import type {PagedMemory} from '../emulator/paged-memory.ts';

export class DirtyPages {
  readonly memory: PagedMemory;
  readonly #subscribers = new Set<Set<number>>();

  constructor(memory: PagedMemory) {
    this.memory = memory;
  }

  /** Pages written from now on. `take` gives those since its last call, ascending; `close` ends it. */
  subscribe(): {take(): number[]; close(): void} {
    this.#collect();
    const pages = new Set<number>();
    this.#subscribers.add(pages);
    return {
      take: () => {
        this.#collect();
        const taken = [...pages].sort((a, b) => a - b);
        pages.clear();
        return taken;
      },
      close: () => this.#subscribers.delete(pages),
    };
  }

  #collect(): void {
    for (const index of this.memory.takeDirty()) for (const pages of this.#subscribers) pages.add(index);
  }
}
