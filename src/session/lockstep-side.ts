// One of two machines that run in lockstep, each by its own log: it runs to a position, delivers what its log has there, and goes
// back to its last checkpoint. A checkpoint keeps the state table and the pages written since the one before, over pages that both
// machines share, so that bisecting costs what was written and never a new replay.

import type {Machine} from '../emulator/machine.ts';
import {PAGE_BYTES} from '../emulator/paged-memory.ts';
import {assert} from '../errors.ts';
import type {NumberedInput} from './log-comparison.ts';
import type {RecordQueue} from './record-queue.ts';
import {breathe} from './wakeup.ts';

/** A long run is cut, so that progress is seen and signals are heard. */
const LONGEST_RUN_STEPS = 20_000_000n;
const ZERO_PAGE = new Uint8Array(PAGE_BYTES);

/** Per memory the pages that are not all zeros, by index; never written to. */
export type SharedPages = readonly ReadonlyMap<number, Uint8Array>[];

type Checkpoint = {
  entries: Uint8Array[];
  /** Per memory the pages written since the shared ones were taken; undefined: the memory did not hold it. */
  pages: Map<number, Uint8Array | undefined>[];
  delivered: number;
};

export class LockstepSide {
  readonly machine: Machine;
  /** Of the log, for messages. */
  readonly path: string;
  readonly #queue: RecordQueue;
  readonly #onProgress: (position: bigint) => void;
  /** Inputs read and still of use: those since the checkpoint, and the next ones. */
  #inputs: NumberedInput[] = [];
  /** Inputs delivered since power-on, and the number of the first one in `#inputs`. */
  #delivered = 0;
  #firstKept = 0;
  #shared: SharedPages = [];
  #checkpoint: Checkpoint | undefined;
  #dirty: Set<number>[];

  constructor(parts: {
    machine: Machine;
    path: string;
    queue: RecordQueue;
    onProgress?: (position: bigint) => void;
  }) {
    this.machine = parts.machine;
    this.path = parts.path;
    this.#queue = parts.queue;
    this.#onProgress = parts.onProgress ?? (() => {});
    this.#dirty = parts.machine.memories.map(() => new Set());
  }

  get position(): bigint {
    return this.machine.position;
  }

  /** Passes over the first `count` inputs, which the machine has had already. */
  async skipInputs(count: number): Promise<void> {
    assert(this.#delivered === 0 && this.#inputs.length === 0, 'inputs are skipped at the beginning');
    while (this.#delivered < count) {
      const next = await this.#next();
      assert(next !== undefined, `${this.path} has fewer than ${count} inputs`);
      this.#delivered += 1;
      this.#dropDelivered();
    }
  }

  /**
   * Runs to `position`, or to where the guest ends or waits for what never comes, and delivers the inputs that stand before it, of all inputs the first
   * `inputLimit` at most. Those at `position` itself are left to `deliver`.
   */
  async runTo(position: bigint, inputLimit = Number.POSITIVE_INFINITY): Promise<void> {
    const {machine} = this;
    for (;;) {
      if (machine.ending !== undefined || machine.position >= position) return;
      const next = this.#delivered < inputLimit ? await this.#next() : undefined;
      if (next !== undefined && next.record.position <= machine.position) {
        this.#deliverOne(next.record);
        continue;
      }
      const until = next !== undefined && next.record.position < position ? next.record.position : position;
      if (!(await this.#run(until))) return;
    }
  }

  /** Delivers the log's inputs at the present position, of all inputs the first `inputLimit` at most. */
  async deliver(inputLimit = Number.POSITIVE_INFINITY): Promise<void> {
    while (this.machine.ending === undefined && this.#delivered < inputLimit) {
      const next = await this.#next();
      if (next === undefined || next.record.position > this.machine.position) return;
      this.#deliverOne(next.record);
    }
  }

  /** The pages as they are now, for checkpoints of this side and of another in the same state. */
  capturePages(): SharedPages {
    return this.machine.memories.map((memory) => {
      const pages = new Map<number, Uint8Array>();
      for (const index of memory.present()) {
        const page = memory.page(index);
        if (page === undefined) continue;
        pages.set(index, Buffer.compare(page, ZERO_PAGE) === 0 ? ZERO_PAGE : page.slice());
      }
      return pages;
    });
  }

  /** Sets the first checkpoint; the memories hold exactly `pages`. */
  begin(pages: SharedPages): void {
    for (const memory of this.machine.memories) memory.takeDirty();
    this.#shared = pages;
    this.#checkpoint = {
      entries: this.#copyEntries(),
      pages: pages.map(() => new Map()),
      delivered: this.#delivered,
    };
  }

  /** Pages written since the last checkpoint, per memory. */
  dirtyPages(): readonly ReadonlySet<number>[] {
    this.machine.memories.forEach((memory, n) => {
      for (const index of memory.takeDirty()) this.#dirty[n].add(index);
    });
    return this.#dirty;
  }

  /** From now on `restore` comes back here. */
  checkpoint(): void {
    const checkpoint = this.#begun();
    this.dirtyPages();
    this.machine.memories.forEach((memory, n) => {
      for (const index of this.#dirty[n]) checkpoint.pages[n].set(index, memory.page(index)?.slice());
      this.#dirty[n].clear();
    });
    checkpoint.entries = this.#copyEntries();
    checkpoint.delivered = this.#delivered;
    this.#dropDelivered();
  }

  /** Back to the last checkpoint: machine and log. */
  restore(): void {
    const checkpoint = this.#begun();
    this.dirtyPages();
    this.machine.memories.forEach((memory, n) => {
      for (const index of this.#dirty[n]) {
        const written = checkpoint.pages[n];
        memory.setPage(index, written.has(index) ? written.get(index) : this.#shared[n].get(index));
      }
      memory.takeDirty();
      this.#dirty[n].clear();
    });
    this.machine.state.entries.forEach((entry, n) => {
      entry.write(checkpoint.entries[n]);
    });
    this.machine.invalidate();
    this.#delivered = checkpoint.delivered;
  }

  /** False: the guest goes no further, though the log has not ended. */
  async #run(until: bigint): Promise<boolean> {
    const {machine} = this;
    while (machine.position < until) {
      const far = machine.position + LONGEST_RUN_STEPS;
      const stop = machine.runUntil(far < until ? far : until);
      machine.takeOutputs();
      if (stop.kind === 'halted') return false;
      if (stop.kind === 'idle' && stop.deadlineTicks === undefined && machine.position < until) return false;
      if (far >= until) continue;
      this.#onProgress(machine.position);
      await breathe();
    }
    return true;
  }

  #deliverOne(record: NumberedInput['record']): void {
    this.machine.deliver(record.input);
    this.#delivered += 1;
    // Before the first checkpoint nobody comes back.
    if (this.#checkpoint === undefined) this.#dropDelivered();
  }

  /** The next input that was not delivered. */
  async #next(): Promise<NumberedInput | undefined> {
    const index = this.#delivered - this.#firstKept;
    while (this.#inputs.length <= index) {
      if ((await this.#queue.ahead()) === undefined) return undefined;
      const {ordinal, record} = this.#queue.take();
      if (record.kind === 'input') this.#inputs.push({ordinal, record});
    }
    return this.#inputs[index];
  }

  #dropDelivered(): void {
    this.#inputs.splice(0, this.#delivered - this.#firstKept);
    this.#firstKept = this.#delivered;
  }

  #copyEntries(): Uint8Array[] {
    return this.machine.state.entries.map((entry) => entry.read().slice());
  }

  #begun(): Checkpoint {
    assert(this.#checkpoint !== undefined, 'no checkpoint was set');
    return this.#checkpoint;
  }
}
