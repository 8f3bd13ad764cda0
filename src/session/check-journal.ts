// The journal of a replay: what the log says of outputs and states at a position must be so. It takes its records from the same
// queue as the log source, which leaves it everything but inputs.

import type {Ending} from '../emulator/config.ts';
import type {MachineInterface} from '../emulator/machine-interface.ts';
import type {EndReason, LogRecord} from '../logformat/record.ts';
import type {OutputDigest, StateDigest} from './digests.ts';
import {divergence, hex} from './divergence.ts';
import type {QueuedRecord, RecordQueue} from './record-queue.ts';
import type {Journal, Turn} from './session.ts';

/** What a replay has verified. */
export type Verified = {records: number; digests: number};

export class CheckJournal implements Journal {
  readonly #queue: RecordQueue;
  readonly #stateDigest: StateDigest;
  readonly #outputDigest: OutputDigest;
  readonly #onDigest: (position: bigint, digest: Uint8Array) => void;
  readonly verified: Verified = {records: 0, digests: 0};
  /** Ordinal of the last output that a record covers. */
  coveredThrough = 0n;
  /** What `rtc` inputs have moved the real-time clock by. */
  rtcOffsetNs = 0n;
  /** The generation that writes the log: 1, and one more for each takeover. */
  generation = 1;
  /** Whether the user has paused the guest. */
  paused = false;
  /** Who is the backup, by the last word that the log has of it. */
  backup: string | undefined;
  /** What the last `end` record said, while nothing follows it. */
  ended: EndReason | undefined;

  constructor(parts: {
    queue: RecordQueue;
    stateDigest: StateDigest;
    outputDigest: OutputDigest;
    onDigest?: (position: bigint, digest: Uint8Array) => void;
  }) {
    this.#queue = parts.queue;
    this.#stateDigest = parts.stateDigest;
    this.#outputDigest = parts.outputDigest;
    this.#onDigest = parts.onDigest ?? (() => {});
  }

  append(machine: MachineInterface, turn: Turn): void {
    this.verified.records += turn.inputs.length;
    for (const input of turn.inputs) this.#learn({kind: 'input', position: turn.from, input});
    for (const output of turn.outputs) this.#outputDigest.add(output);
    for (;;) {
      const next = this.#queue.peek();
      if (next === undefined || next.record.kind === 'input') break;
      if (!isDue(next.record, machine.position)) break;
      this.#queue.take();
      if (next.record.kind !== 'advance') this.verified.records += 1;
      if (next.record.kind !== 'advance') this.#learn(next.record);
      this.#check(machine, next.record, turn);
    }
    const next = this.#queue.peek();
    if (turn.stop.kind === 'halted' && next !== undefined) {
      this.#diverged(
        machine,
        'the guest',
        `to go on to position ${next.record.position}`,
        endingText(turn.stop.ending),
      );
    }
  }

  async room(): Promise<void> {}

  /** The machine was given the state after record `ordinal`; what stands before it was not replayed here. */
  startFrom(ordinal: bigint, machine: MachineInterface): void {
    this.coveredThrough = machine.outputOrdinal;
    this.#queue.skipThrough(ordinal, (record) => this.#learn(record));
  }

  /** What the log says of itself. */
  #learn(record: LogRecord): void {
    switch (record.kind) {
      case 'input':
        if (record.input.kind === 'rtc') this.rtcOffsetNs = record.input.offsetNs;
        return;
      case 'control':
        if (record.action === 'pause') this.paused = true;
        if (record.action === 'resume') this.paused = false;
        return;
      case 'takeover':
        // Whoever was the backup is so no more, also when the primary is the same: it has removed that one.
        this.generation = record.generation;
        this.backup = undefined;
        this.ended = undefined;
        return;
      case 'joined':
        this.generation = record.generation;
        this.backup = record.backup;
        return;
      case 'end':
        this.ended = record.reason;
        return;
      default:
        return;
    }
  }

  #check(machine: MachineInterface, record: QueuedRecord['record'], turn: Turn): void {
    switch (record.kind) {
      case 'output': {
        this.coveredThrough = record.through;
        const {through, lengthBytes, digest} = this.#outputDigest.take();
        const text = (last: bigint, length: number, bytes: Uint8Array): string =>
          `outputs through ${last}, ${length} bytes, digest ${hex(bytes)}`;
        const expected = text(record.through, record.lengthBytes, record.digest);
        const actual = text(through, lengthBytes, digest);
        if (expected !== actual) this.#diverged(machine, 'outputs', expected, actual);
        return;
      }
      case 'digest': {
        const digest = this.#stateDigest.compute();
        if (hex(digest) !== hex(record.digest)) this.#diverged(machine, 'digest', hex(record.digest), hex(digest));
        this.verified.digests += 1;
        this.#onDigest(machine.position, digest);
        return;
      }
      case 'end': {
        if (record.reason !== 'halted') return;
        const actual = turn.stop.kind === 'halted' ? endingText(turn.stop.ending) : 'a guest that runs on';
        const expected = record.ending === null ? 'an ending' : endingText(record.ending);
        if (expected !== actual) this.#diverged(machine, 'ending', expected, actual);
        return;
      }
      default:
        // Headers, control, takeover and joined records say nothing that the machine could contradict.
        return;
    }
  }

  #diverged(machine: MachineInterface, what: string, expected: string, actual: string): never {
    throw divergence({position: machine.position, what, expected, actual, recent: this.#queue.recent});
  }
}

/** An advance says nothing new where the machine is already; one with a run that begins there is the source's. */
function isDue(record: QueuedRecord['record'], position: bigint): boolean {
  if (record.kind !== 'advance') return record.position === position;
  return record.position < position || record.until === position;
}

export function endingText(ending: Ending): string {
  return ending.kind === 'reset' ? 'a reset' : `power-off with code ${ending.code}`;
}
