// A follower: the session that keeps up with somebody else's log, ready to carry it on. `tail` is one, and so is every promotion in
// its first part: drain the log to its last boundary; then the same machine gets a live source and a journal that writes.

import type {MachineInterface} from '../emulator/machine-interface.ts';
import {FtvmError} from '../errors.ts';
import type {Console} from '../host/console.ts';
import type {HostClock} from '../host/monotonic-clock.ts';
import type {Nic} from '../host/nic/nic.ts';
import {LogWriter} from '../logformat/log-writer.ts';
import type {LogHeader} from '../logformat/record.ts';
import type {StreamPoint} from '../logformat/stream-point.ts';
import {AddressLearner} from './announcement.ts';
import {CheckJournal} from './check-journal.ts';
import {OutputDigest, StateDigest} from './digests.ts';
import type {LogStore} from './log-sink.ts';
import {LogSource} from './log-source.ts';
import {OutputGate, type OutputSink} from './output-gate.ts';
import {type Followers, Primary} from './primary.ts';
import {type FrameFeed, RecordQueue} from './record-queue.ts';
import {readHeader} from './replaying.ts';
import {Session, type SessionEnd} from './session.ts';

export type FollowerOptions = {
  feed: FrameFeed;
  /** For messages. */
  logPath: string;
  /** Builds the machine that the header describes, at power-on. */
  build(header: LogHeader): Promise<{machine: MachineInterface; close(): void}>;
  /** What the recorder has released is repeated here. */
  sink: OutputSink;
  /** Gives the machine, which is at power-on, a later state; resolves to the ordinal of the last record that this contains. */
  join?: (machine: MachineInterface, stateDigest: StateDigest) => Promise<bigint | undefined>;
  onProgress?: (position: bigint) => void;
  onDigest?: (position: bigint, digest: Uint8Array) => void;
  signal?: AbortSignal;
};

export class Follower {
  readonly machine: MachineInterface;
  readonly header: LogHeader;
  readonly queue: RecordQueue;
  readonly #journal: CheckJournal;
  readonly #stateDigest: StateDigest;
  readonly #outputDigest: OutputDigest;
  readonly #gate: OutputGate;
  readonly #addresses: AddressLearner;
  readonly #closeMachine: () => void;
  readonly #source: LogSource;
  readonly #session: Session;

  private constructor(parts: {
    machine: MachineInterface;
    header: LogHeader;
    queue: RecordQueue;
    stateDigest: StateDigest;
    outputDigest: OutputDigest;
    closeMachine: () => void;
    startsAfter: bigint | undefined;
    options: FollowerOptions;
  }) {
    const {options, machine, queue} = parts;
    this.machine = machine;
    this.header = parts.header;
    this.queue = queue;
    this.#stateDigest = parts.stateDigest;
    this.#outputDigest = parts.outputDigest;
    this.#closeMachine = parts.closeMachine;
    this.#journal = new CheckJournal({
      queue,
      stateDigest: parts.stateDigest,
      outputDigest: parts.outputDigest,
      ...(options.onDigest === undefined ? {} : {onDigest: options.onDigest}),
    });
    if (parts.startsAfter !== undefined) this.#journal.startFrom(parts.startsAfter, machine);
    this.#addresses = new AddressLearner(parts.header.config.nics.map(({mac}) => mac));
    this.#gate = new OutputGate({
      sink: (output) => {
        this.#addresses.observe(output);
        options.sink(output);
      },
      allowedThrough: () => queue.releasedThrough,
      releasedThrough: machine.outputOrdinal,
    });
    this.#source = new LogSource({
      queue,
      ...(options.onProgress === undefined ? {} : {onProgress: options.onProgress}),
      ...(options.signal === undefined ? {} : {signal: options.signal}),
    });
    this.#session = new Session({machine, source: this.#source, journal: this.#journal, gate: this.#gate});
  }

  /** Waits for the header and builds the machine. Throws FtvmError for a log or artefacts that do not fit. */
  static async open(options: FollowerOptions): Promise<Follower> {
    const queue = new RecordQueue(options.feed);
    const header = await readHeader(queue, options.logPath);
    const {machine, close: closeMachine} = await options.build(header);
    const stateDigest = await StateDigest.create(machine);
    const outputDigest = await OutputDigest.create();
    const startsAfter = await options.join?.(machine, stateDigest);
    return new Follower({machine, header, queue, stateDigest, outputDigest, closeMachine, startsAfter, options});
  }

  /** What was compared so far, and what the log's last records said. */
  get journal(): CheckJournal {
    return this.#journal;
  }

  /** How long it takes to replay so many steps, by what was replayed so far. */
  replayMs(steps: bigint): number {
    const {stepsPerMs} = this.#source;
    return steps <= 0n || stepsPerMs === 0 ? 0 : Number(steps) / stepsPerMs;
  }

  /** Runs as far as the log goes. */
  async run(): Promise<SessionEnd> {
    const end = await this.#session.run();
    while (end.kind === 'halted' && (await this.queue.ahead()) !== undefined) {
      this.#journal.append(this.machine, {from: this.machine.position, inputs: [], outputs: [], stop: end});
    }
    this.#gate.update();
    return end;
  }

  /**
   * Goes live (DESIGN 7): a `takeover` record at the last boundary, outputs that had not left, time. `point` is where the log
   * ends and `file` appends there. The network hears at once where the guest is now. The primary's `run` is the caller's.
   */
  goLive(parts: {
    point: StreamPoint;
    file: LogStore;
    console: Console;
    nics: readonly Nic[];
    followers: Followers;
    clock: HostClock;
    entropy(lengthBytes: number): Uint8Array;
    /** Won: above the log's last. */
    generation: number;
    /** Who goes live, for the log. */
    by: string;
  }): Primary {
    const {machine} = this;
    if (machine.runUntil(machine.position).kind === 'halted') {
      throw new FtvmError('usage', 'the guest has ended: there is nothing to carry on', {
        hint: 'ftvm replay shows how it ended.',
      });
    }
    const {releasedThrough} = this.#gate;
    const held = this.#gate.takeHeld();
    const writer = new LogWriter(parts.point);
    writer.append({
      kind: 'takeover',
      position: machine.position,
      generation: parts.generation,
      by: parts.by,
      releasedThrough,
    });
    const primary = new Primary({
      machine,
      stateDigest: this.#stateDigest,
      outputDigest: this.#outputDigest,
      writer,
      file: parts.file,
      console: parts.console,
      nics: parts.nics,
      clock: parts.clock,
      clockMode: this.header.config.clock,
      entropy: (lengthBytes) => parts.entropy(lengthBytes),
      followers: parts.followers,
      durable: this.header.disks.length > 0,
      releasedThrough,
      held,
      coveredThrough: this.#journal.coveredThrough,
      epoch: {epochNs: this.header.config.epochNs, rtcOffsetNs: this.#journal.rtcOffsetNs},
      paused: this.#journal.paused,
    });
    if (!this.#journal.paused) primary.catchUpTime();
    for (const output of held) this.#addresses.observe(output);
    parts.nics.forEach((port, nic) => {
      for (const frame of this.#addresses.announcements(nic)) port.send(frame);
    });
    return primary;
  }

  close(): void {
    this.#closeMachine();
  }
}
