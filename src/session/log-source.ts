// The log source: inputs come from records, and the machine runs exactly to where the next record stands. It never sleeps: what
// the recorder waited for is skipped.

import type {Input} from '../emulator/input.ts';
import type {MachineInterface, Stop} from '../emulator/machine-interface.ts';
import {divergence} from './divergence.ts';
import type {RecordQueue} from './record-queue.ts';
import type {Slice, Source, SourceEnd} from './session.ts';
import {breathe} from './wakeup.ts';

/** A long way between two records is cut, so that signals, progress and a backup's acknowledgements get their turn: 20 ms. */
const LONGEST_SLICE_STEPS = 4_000_000n;

export class LogSource implements Source {
  readonly #queue: RecordQueue;
  readonly #onProgress: (position: bigint) => void;
  readonly #limit: bigint | undefined;
  readonly #signal: AbortSignal | undefined;
  #idleAt = -1n;
  /** The end of the run that the primary has begun, while this side is in it. */
  #runsUntil: bigint | undefined;
  /** The slice under way, and what slices took so far. */
  #slice: {position: bigint; startMs: number} | undefined;
  #busySteps = 0n;
  #busyMs = 0;

  /** `limit`: stop there, though the log goes on (`--to`). */
  constructor(options: {
    queue: RecordQueue;
    onProgress?: (position: bigint) => void;
    limit?: bigint | undefined;
    signal?: AbortSignal;
  }) {
    this.#queue = options.queue;
    this.#onProgress = options.onProgress ?? (() => {});
    this.#limit = options.limit;
    this.#signal = options.signal;
  }

  /** How fast this host replays this guest, as far as it has run. */
  get stepsPerMs(): number {
    return this.#busyMs === 0 ? 0 : Number(this.#busySteps) / this.#busyMs;
  }

  async next(machine: MachineInterface, stop: Stop): Promise<Slice | SourceEnd> {
    this.#measure(machine);
    const next = await this.#next(machine, stop);
    this.#slice = {position: machine.position, startMs: performance.now()};
    return next;
  }

  #measure(machine: MachineInterface): void {
    if (this.#slice === undefined) return;
    this.#busySteps += machine.position - this.#slice.position;
    this.#busyMs += performance.now() - this.#slice.startMs;
  }

  async #next(machine: MachineInterface, stop: Stop): Promise<Slice | SourceEnd> {
    this.#onProgress(machine.position);
    // Where a run stops by itself the primary's has ended as well, and what happened there is not known yet.
    const isInRun = stop.kind === 'reached' && this.#runsUntil !== undefined && machine.position < this.#runsUntil;
    if (!isInRun) this.#runsUntil = undefined;
    if (this.#queue.peek() === undefined && !isInRun) await breathe();
    if (this.#signal?.aborted) return 'stopped';
    if (this.#runsUntil !== undefined) return this.#towards(machine, this.#runsUntil);
    const next = await this.#queue.ahead();
    if (this.#signal?.aborted) return 'stopped';
    if (
      this.#limit !== undefined &&
      machine.position >= this.#limit &&
      (next === undefined || next.record.position > this.#limit)
    ) {
      return 'logEnded';
    }
    if (next === undefined) return 'logEnded';
    const target = next.record.position;
    if (target > machine.position) {
      this.#refuseEndlessWait(machine, stop, target);
      return this.#towards(machine, this.#limit !== undefined && this.#limit < target ? this.#limit : target);
    }
    if (next.record.kind === 'advance' && target === machine.position && next.record.until > target) {
      this.#queue.take();
      this.#runsUntil = next.record.until;
      return this.#towards(machine, this.#runsUntil);
    }
    if (target < machine.position && next.record.kind !== 'advance') {
      throw divergence({
        position: machine.position,
        what: 'the next record',
        expected: 'at or after this position',
        actual: `one at position ${target}: the primary said that nothing would happen there`,
        recent: this.#queue.recent,
      });
    }
    const inputs: Input[] = [];
    for (let record = this.#queue.peek()?.record; record?.kind === 'input' && record.position === machine.position; ) {
      inputs.push(record.input);
      this.#queue.take();
      record = this.#queue.peek()?.record;
    }
    return {inputs, until: machine.position};
  }

  async #towards(machine: MachineInterface, until: bigint): Promise<Slice> {
    const far = machine.position + LONGEST_SLICE_STEPS;
    if (far >= until) return {inputs: [], until};
    await breathe();
    return {inputs: [], until: far};
  }

  /** A guest that nothing can wake before the next record is not the recorded one. */
  #refuseEndlessWait(machine: MachineInterface, stop: Stop, target: bigint): void {
    if (stop.kind !== 'idle' || stop.deadlineTicks !== undefined) {
      this.#idleAt = -1n;
      return;
    }
    if (this.#idleAt === machine.position) {
      throw divergence({
        position: machine.position,
        what: 'the guest',
        expected: `to run on to position ${target}`,
        actual: 'a wait for an input that the log does not hold',
        recent: this.#queue.recent,
      });
    }
    this.#idleAt = machine.position;
  }
}
