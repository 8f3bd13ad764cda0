// Two machines in lockstep: finds the first step after which they differ. Chunks grow while the machines agree and are halved when
// they do not, down to single steps; between two checks only pages written by either are compared. Two states may differ and agree
// again inside a chunk; what is found is then the beginning of the next difference that lasts.

import type {LockstepSide} from './lockstep-side.ts';
import {equalBytes, pageDiffers} from './state-comparison.ts';

/** So many steps are made one by one at the beginning, and at the end of a search: no difference is passed over there. */
const SINGLE_STEPS = 2048n;
const LARGEST_CHUNK_STEPS = 1n << 24n;

/** What must be equal. */
export type Watch = {
  /** Names of the state table's entries. */
  entries: (name: string) => boolean;
  /** Pages (`memory:index`) that differ already and are not looked at; `all`: no page is. */
  ignoredPages: ReadonlySet<string> | 'all';
};

export class Lockstep {
  readonly a: LockstepSide;
  readonly b: LockstepSide;
  readonly #onProgress: (position: bigint) => void;

  /** Both sides have begun (`LockstepSide.begin`) and stand at the same position. */
  constructor(parts: {a: LockstepSide; b: LockstepSide; onProgress?: (position: bigint) => void}) {
    this.a = parts.a;
    this.b = parts.b;
    this.#onProgress = parts.onProgress ?? (() => {});
  }

  /**
   * Looks for the first difference up to `limit`. Both machines stand where nothing that is watched differs. True: they stand at the
   * last such position, its inputs delivered, and one step further something differs; `restore` comes back there. False: they stand
   * at `limit`, or where neither guest goes on.
   */
  async search(watch: Watch, limit: bigint): Promise<boolean> {
    this.checkpoint();
    const start = this.#position();
    let sizeSteps = 1n;
    for (;;) {
      const from = this.#position();
      if (from >= limit) return false;
      if (from >= start + SINGLE_STEPS && sizeSteps < LARGEST_CHUNK_STEPS) sizeSteps *= 2n;
      const to = from + sizeSteps < limit ? from + sizeSteps : limit;
      await this.#advance(to);
      this.#onProgress(to);
      if (this.differs(watch)) {
        await this.#narrow({watch, from, to});
        return true;
      }
      if (this.#position() < to) return false;
      this.checkpoint();
    }
  }

  /**
   * Looks for the step after which the pcs differ, step by step for `steps` at most. True: they stand before that step. False: they
   * stand at the end of the search.
   */
  async searchParting(steps: number, limit: bigint): Promise<boolean> {
    this.checkpoint();
    const pcOf = ({machine}: LockstepSide): Uint8Array =>
      (machine.state.entries.find(({name}) => name === 'pc') as {read(): Uint8Array}).read();
    // Views of the machines' own registers: they show each step's pc without another look into the tables.
    const [pcOfA, pcOfB] = [pcOf(this.a), pcOf(this.b)];
    for (let made = 0; made < steps; made += 1) {
      const from = this.#position();
      if (from >= limit) return false;
      await this.#advance(from + 1n);
      if (this.a.position !== this.b.position || this.a.position === from) return false;
      if (equalBytes(pcOfA, pcOfB)) continue;
      this.restore();
      await this.#advance(from);
      return true;
    }
    return false;
  }

  checkpoint(): void {
    this.a.checkpoint();
    this.b.checkpoint();
  }

  restore(): void {
    this.a.restore();
    this.b.restore();
  }

  /** Delivers what each log has at the present position. */
  async deliver(): Promise<void> {
    await this.a.deliver();
    await this.b.deliver();
  }

  /** Makes one step on both sides, without what the logs have behind it. */
  async step(): Promise<void> {
    const to = this.#position() + 1n;
    await this.a.runTo(to);
    await this.b.runTo(to);
  }

  /** Whether something watched differs, of the pages those written since the last checkpoint. */
  differs(watch: Watch): boolean {
    const entriesOfB = this.b.machine.state.entries;
    const namesMatch = this.a.machine.state.entries.length === entriesOfB.length;
    const differing = this.a.machine.state.entries.some((entry, n) => {
      if (!watch.entries(entry.name)) return false;
      const other = namesMatch && entriesOfB[n].name === entry.name ? entriesOfB[n] : undefined;
      const found = other ?? entriesOfB.find(({name}) => name === entry.name);
      return found === undefined || !equalBytes(entry.read(), found.read());
    });
    // Both sides' marks are taken in any case: a page stays in question until the next checkpoint.
    const [dirtyOfA, dirtyOfB] = [this.a.dirtyPages(), this.b.dirtyPages()];
    const {ignoredPages} = watch;
    if (differing || ignoredPages === 'all') return differing;
    return this.a.machine.memories.some((memory, n) => {
      const m = this.b.machine.memories.findIndex(({name}) => name === memory.name);
      if (m < 0) return false;
      const other = this.b.machine.memories[m];
      for (const index of new Set([...dirtyOfA[n], ...dirtyOfB[m]])) {
        if (ignoredPages.has(`${memory.name}:${index}`)) continue;
        const ofA = index < memory.pageCount ? memory.page(index) : undefined;
        const ofB = index < other.pageCount ? other.page(index) : undefined;
        if (pageDiffers(ofA, ofB)) return true;
      }
      return false;
    });
  }

  /** A checkpoint is at `from`, where nothing differs; something does at `to`. Ends at the last position where nothing does. */
  async #narrow(search: {watch: Watch; from: bigint; to: bigint}): Promise<void> {
    const {watch} = search;
    let {from, to} = search;
    while (to - from > 1n) {
      this.restore();
      const middle = to - from <= SINGLE_STEPS ? from + 1n : from + (to - from) / 2n;
      await this.#advance(middle);
      if (this.differs(watch)) {
        to = middle;
      } else {
        this.checkpoint();
        from = middle;
      }
      this.#onProgress(from);
    }
    this.restore();
  }

  async #advance(position: bigint): Promise<void> {
    await this.a.runTo(position);
    await this.b.runTo(position);
    await this.deliver();
  }

  /** A guest that has ended, or waits for ever, stays behind. */
  #position(): bigint {
    return this.a.position > this.b.position ? this.a.position : this.b.position;
  }
}
