// A primary: the session that runs the guest for real. `record` starts one at power-on, `promote` and a promoted backup start one
// where a log ends. It owns the end of the log, the outputs' release, and what the user and the control socket ask for.

import type {MachineInterface} from '../emulator/machine-interface.ts';
import type {Output} from '../emulator/output.ts';
import type {Console} from '../host/console.ts';
import type {HostClock} from '../host/monotonic-clock.ts';
import type {Nic} from '../host/nic/nic.ts';
import type {LogWriter} from '../logformat/log-writer.ts';
import type {ControlAction, EndReason} from '../logformat/record.ts';
import type {OutputDigest, StateDigest} from './digests.ts';
import {type GuestEpoch, timeGap} from './guest-time.ts';
import {LiveSource} from './live-source.ts';
import {LogSink, type LogStore} from './log-sink.ts';
import {OutputGate} from './output-gate.ts';
import {RecordJournal} from './record-journal.ts';
import {type Run, Session, type SessionEnd} from './session.ts';
import {StateSender} from './state-transfer.ts';

/** Those who follow the log over a channel. */
export interface Followers {
  /** Whether anybody follows: then inputs are written soon. */
  readonly following: boolean;
  /** How long the guest shall wait after a slice, because the backup is behind (paper 2.4). */
  slowdownMs(): number;
  /** Of the records through `writtenThrough`, which are in our own log: the last one whose outputs may leave. */
  recordsReleased(writtenThrough: bigint): bigint;
  /** The log may have grown. `quietPosition`: everything that happened up to there is in the log. */
  logGrew(state: {writtenThrough: bigint; quietPosition: bigint | undefined}): void;
  /** The guest begins a run; everything that happened before it is in the log. */
  runBegins(run: Run): void;
  /** Resolves when the eligible backup has acknowledged everything through `ordinal`, or there is none any more. */
  caughtUp(ordinal: bigint): Promise<void>;
  /** Resolves when the eligible backup has everything through `ordinal` on its disk, or there is none any more. */
  synced(ordinal: bigint): Promise<void>;
}

export const NO_FOLLOWERS: Followers = {
  following: false,
  slowdownMs: () => 0,
  recordsReleased: (writtenThrough) => writtenThrough,
  logGrew: () => {},
  runBegins: () => {},
  caughtUp: async () => {},
  synced: async () => {},
};

export type PrimaryParts = {
  machine: MachineInterface;
  stateDigest: StateDigest;
  outputDigest: OutputDigest;
  writer: LogWriter;
  file: LogStore;
  console: Console;
  /** One for each of the machine's NICs, in order; or none, when nothing is plugged in. */
  nics: readonly Nic[];
  clock: HostClock;
  clockMode: 'real' | 'virtual';
  entropy(lengthBytes: number): Uint8Array;
  followers: Followers;
  /** Whether a guest's FLUSH waits until the log is on the disks. */
  durable: boolean;
  /** Ordinal of the last output that has left already, and what was emitted since: after a takeover. */
  releasedThrough: bigint;
  held: readonly Output[];
  /** Ordinal of the last output that a record of the log covers already. */
  coveredThrough: bigint;
  epoch: GuestEpoch;
  /** The guest was paused where the log ends, and stays so. */
  paused: boolean;
};

export class Primary {
  readonly machine: MachineInterface;
  readonly source: LiveSource;
  readonly #parts: PrimaryParts;
  readonly #journal: RecordJournal;
  readonly #sink: LogSink;
  readonly #gate: OutputGate;
  readonly #session: Session;
  #paused: boolean;
  #rtcOffsetNs: bigint;

  constructor(parts: PrimaryParts) {
    this.#parts = parts;
    this.machine = parts.machine;
    this.#sink = new LogSink(parts.file, {
      writtenThrough: parts.writer.point.ordinal,
      onWritten: () => this.followersChanged(),
    });
    this.#gate = new OutputGate({
      sink: (output) => this.#emit(output),
      allowedThrough: () => this.#allowedThrough(),
      releasedThrough: parts.releasedThrough,
    });
    this.#gate.hold(parts.held);
    this.#journal = new RecordJournal({
      writer: parts.writer,
      sink: this.#sink,
      clock: parts.clock,
      stateDigest: parts.stateDigest,
      outputDigest: parts.outputDigest,
      releasedThrough: () => this.#gate.releasedThrough,
      position: parts.machine.position,
      coveredThrough: parts.coveredThrough,
      following: () => parts.followers.following,
    });
    this.source = new LiveSource({
      clock: parts.clock,
      console: parts.console,
      nics: parts.nics,
      entropy: (lengthBytes) => parts.entropy(lengthBytes),
      clockMode: parts.clockMode,
      outputDueNs: () => this.#journal.outputDueNs,
      durable: parts.durable ? () => this.#durable() : undefined,
      slowdownMs: () => parts.followers.slowdownMs(),
    });
    this.#session = new Session({
      machine: parts.machine,
      source: this.source,
      journal: this.#journal,
      gate: {
        hold: (outputs) => this.#gate.hold(outputs),
        update: () => this.followersChanged(),
      },
      onRun: (run) => {
        if (this.#isQuiet) parts.followers.runBegins(run);
      },
    });
    this.#rtcOffsetNs = parts.epoch.rtcOffsetNs;
    this.#paused = parts.paused;
    if (parts.paused) void this.source.hold({drained: false, reached: () => {}});
  }

  get journal(): RecordJournal {
    return this.#journal;
  }

  /** Ordinal of the last record that was appended, written or not. */
  get appendedThrough(): bigint {
    return this.#parts.writer.lastOrdinal;
  }

  /** Ordinals: of the last record in the log, of the last output that left, of the last that was emitted. */
  get progress(): {writtenThrough: bigint; releasedThrough: bigint; emittedThrough: bigint} {
    const {releasedThrough, emittedThrough} = this.#gate;
    return {writtenThrough: this.#sink.writtenThrough, releasedThrough, emittedThrough};
  }

  /** Something was written or acknowledged, or the backup has changed: outputs may leave. */
  followersChanged(): void {
    if (this.#sink.failure !== undefined) this.source.finish('stopped');
    this.#gate.update();
    const {writtenThrough} = this.#sink;
    this.#parts.followers.logGrew({writtenThrough, quietPosition: this.#isQuiet ? this.machine.position : undefined});
  }

  /** Everything that happened is in the log. */
  get #isQuiet(): boolean {
    return this.#journal.pendingRecords === 0 && this.#sink.queuedBytes === 0;
  }

  /**
   * Runs until the guest halts or somebody ends the session, writes the end into the log, and releases every output that is still
   * due. Throws FtvmError `fileSystem` when the log cannot be written: the guest has then stopped, and nothing uncovered was shown.
   */
  async run(): Promise<SessionEnd> {
    this.#journal.coverOutputs(this.machine.position);
    const end = await this.#session.run();
    // From here on nothing new happens; followers hear of the end by its record.
    if (this.#sink.failure !== undefined) throw this.#sink.failure;
    const ending = end.kind === 'halted' ? end.ending : null;
    this.#journal.appendBoundary(this.machine, {
      kind: 'end',
      position: this.machine.position,
      reason: endReason(end),
      ending,
    });
    await this.#sink.drained();
    await this.#parts.followers.caughtUp(this.#sink.writtenThrough);
    this.#gate.update();
    await this.#parts.file.close();
    return end;
  }

  get paused(): boolean {
    return this.#paused;
  }

  /** The guest stands still from the next boundary on, until it is resumed, whoever carries it on meanwhile: resolves there. */
  async pause(): Promise<void> {
    if (this.#paused) return;
    await this.source.hold({
      drained: false,
      reached: () => {
        if (!this.#paused) this.#appendControl('pause');
        this.#paused = true;
      },
    });
  }

  /**
   * Pauses the guest, answers what it has asked of disks and the entropy device, and lets every output leave: resolves when nothing
   * is in flight any more, and the log up to there is on the disks here and at the backup.
   */
  async quiesce(): Promise<void> {
    await this.pause();
    // Resumed before it stood still.
    if (!this.#paused) return;
    await this.source.hold({drained: true, reached: () => this.#appendControl('quiesce')});
    await this.#durable();
  }

  /** The guest goes on, and learns what time it is. */
  resume(): void {
    if (this.#paused) {
      this.#appendControl('resume');
      this.catchUpTime();
    }
    this.#paused = false;
    this.source.release();
  }

  /** Before anything else the guest learns how much time has passed without it. */
  catchUpTime(): void {
    const {clock, clockMode, epoch} = this.#parts;
    if (clockMode === 'virtual') return;
    const inputs = timeGap(this.machine, {...epoch, rtcOffsetNs: this.#rtcOffsetNs}, clock);
    for (const input of inputs) if (input.kind === 'rtc') this.#rtcOffsetNs = input.offsetNs;
    this.source.deliverFirst(inputs);
  }

  #appendControl(action: ControlAction): void {
    this.#journal.appendBoundary(this.machine, {kind: 'control', position: this.machine.position, action});
  }

  /** Begins to send the machine's state to a follower that joins late. */
  startState(): StateSender {
    // What is read now need not be read in the pause at the end.
    this.#parts.stateDigest.compute();
    return new StateSender(this.machine, this.#parts.stateDigest.dirtyPages);
  }

  /** At the present boundary, with everything before it in the log: the rest of the state, and where it stands. */
  finishState(sender: StateSender): ReturnType<StateSender['finish']> & {ordinal: bigint; digest: Uint8Array} {
    this.#journal.coverOutputs(this.machine.position);
    const ordinal = this.#parts.writer.lastOrdinal;
    return {...sender.finish(), ordinal, digest: this.#parts.stateDigest.compute()};
  }

  async #durable(): Promise<void> {
    this.#journal.flush();
    const ordinal = this.#parts.writer.lastOrdinal;
    await this.#sink.drained();
    await Promise.all([this.#parts.file.sync(), this.#parts.followers.synced(ordinal)]);
  }

  #allowedThrough(): bigint {
    return this.#journal.outputsCoveredBy(this.#parts.followers.recordsReleased(this.#sink.writtenThrough));
  }

  #emit(output: Output): void {
    if (output.kind === 'console') this.#parts.console.write(output.bytes);
    else this.#parts.nics[output.nic]?.send(output.bytes);
  }
}

function endReason(end: SessionEnd): EndReason {
  switch (end.kind) {
    case 'halted':
    case 'handedOver':
    case 'superseded':
      return end.kind;
    default:
      return 'stopped';
  }
}
