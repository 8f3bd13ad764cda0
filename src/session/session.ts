// The session: the one loop that joins machine, source, journal and gate (DESIGN 2). Commands differ only in what they plug in.

import type {Ending} from '../emulator/config.ts';
import type {Input} from '../emulator/input.ts';
import type {MachineInterface, Stop} from '../emulator/machine-interface.ts';
import type {Output} from '../emulator/output.ts';

/** What happens next: inputs at the present boundary, then a run to `until` at most. */
export type Slice = {inputs: readonly Input[]; until: bigint};

/** Why a source has nothing more. */
export type SourceEnd =
  /** The log was followed to its last boundary, and does not go on. */
  | 'logEnded'
  /** The user or the system asked for it. */
  | 'stopped'
  /** The guest waits, and nothing can ever wake it. */
  | 'stuck'
  /** A backup carries on. */
  | 'handedOver'
  /** Another has won the next generation. */
  | 'superseded'
  /** A follower shall become the primary. */
  | 'promoted';

export interface Source {
  /** `stop` is how the last run stopped. */
  next(machine: MachineInterface, stop: Stop): Promise<Slice | SourceEnd>;
}

/** What one turn of the loop did. `from` is the position at which the inputs were delivered. */
export type Turn = {from: bigint; inputs: readonly Input[]; outputs: readonly Output[]; stop: Stop};

export interface Journal {
  /** Writes the turn to a log, or checks it against one. It may wait for room, never for a disk or a peer. */
  append(machine: MachineInterface, turn: Turn): void;
  /** Resolves when there is room. */
  room(): Promise<void>;
}

export interface Gate {
  hold(outputs: readonly Output[]): void;
  /** Releases what the Output Rule allows. */
  update(): void;
}

/** A run of the guest that begins at `position` without an input, and goes to `until` at most. */
export type Run = {position: bigint; until: bigint};

export type SessionEnd = {kind: 'halted'; ending: Ending} | {kind: SourceEnd};

export class Session {
  readonly machine: MachineInterface;
  readonly #source: Source;
  readonly #journal: Journal;
  readonly #gate: Gate;
  readonly #onRun: (run: Run) => void;

  /** `onRun` is called before such a run; nothing happens in between. */
  constructor(parts: {
    machine: MachineInterface;
    source: Source;
    journal: Journal;
    gate: Gate;
    onRun?: (run: Run) => void;
  }) {
    this.machine = parts.machine;
    this.#source = parts.source;
    this.#journal = parts.journal;
    this.#gate = parts.gate;
    this.#onRun = parts.onRun ?? (() => {});
  }

  /** Runs until the guest halts or the source ends. Throws what source and journal throw. */
  async run(): Promise<SessionEnd> {
    const {machine} = this;
    let stop: Stop = machine.runUntil(machine.position);
    for (;;) {
      const slice = await this.#source.next(machine, stop);
      if (typeof slice === 'string') return {kind: slice};
      const from = machine.position;
      for (const input of slice.inputs) machine.deliver(input);
      if (slice.inputs.length === 0 && slice.until > from) this.#onRun({position: from, until: slice.until});
      stop = machine.runUntil(slice.until);
      const outputs = machine.takeOutputs();
      this.#gate.hold(outputs);
      this.#journal.append(machine, {from, inputs: slice.inputs, outputs, stop});
      this.#gate.update();
      await this.#journal.room();
      if (stop.kind === 'halted') return {kind: 'halted', ending: stop.ending};
    }
  }
}
