// A follower: the session that keeps up with somebody else's log, ready to carry it on. `tail` is one, and so is every promotion in
// its first part: drain the log to its last boundary; then the same machine gets a live source and a journal that writes.

import {randomBytes} from 'node:crypto';
import type {Input} from '../emulator/input.ts';
import {Machine} from '../emulator/machine.ts';
import {FtvmError} from '../errors.ts';
import type {Console} from '../host/console.ts';
import type {DiskImage} from '../host/disk-image.ts';
import type {LogFileWriter} from '../host/log-file.ts';
import {HOST_CLOCK} from '../host/monotonic-clock.ts';
import {LogWriter} from '../logformat/log-writer.ts';
import type {LogHeader} from '../logformat/record.ts';
import type {StreamPoint} from '../logformat/stream-point.ts';
import {type ArtefactPaths, loadArtefacts} from './artefacts.ts';
import {CheckJournal} from './check-journal.ts';
import {OutputDigest, StateDigest} from './digests.ts';
import {LogSource} from './log-source.ts';
import {OutputGate, type OutputSink} from './output-gate.ts';
import {type Followers, Primary} from './primary.ts';
import {type FrameFeed, RecordQueue} from './record-queue.ts';
import {thisHost} from './recording.ts';
import {readHeader} from './replaying.ts';
import {Session, type SessionEnd} from './session.ts';

export type FollowerOptions = {
  feed: FrameFeed;
  /** For messages, and to find artefacts that moved together with the log. */
  logPath: string;
  paths?: ArtefactPaths;
  /** What the recorder has released is repeated here. */
  sink: OutputSink;
  /** Gives the machine, which is at power-on, a later state; resolves to the ordinal of the last record that this contains. */
  join?: (machine: Machine, stateDigest: StateDigest) => Promise<bigint | undefined>;
  onProgress?: (position: bigint) => void;
  onDigest?: (position: bigint, digest: Uint8Array) => void;
  signal?: AbortSignal;
};

/** A wait that a promotion makes up for by letting mtime leap; after a longer one only the RTC moves (DESIGN 3). */
const LONGEST_LEAP_NS = 60_000_000_000n;
const NS_PER_TICK = 100n;

export class Follower {
  readonly machine: Machine;
  readonly header: LogHeader;
  readonly queue: RecordQueue;
  readonly #journal: CheckJournal;
  readonly #stateDigest: StateDigest;
  readonly #outputDigest: OutputDigest;
  readonly #gate: OutputGate;
  readonly #disks: readonly DiskImage[];
  readonly #session: Session;

  private constructor(parts: {
    machine: Machine;
    header: LogHeader;
    queue: RecordQueue;
    stateDigest: StateDigest;
    outputDigest: OutputDigest;
    disks: readonly DiskImage[];
    startsAfter: bigint | undefined;
    options: FollowerOptions;
  }) {
    const {options, machine, queue} = parts;
    this.machine = machine;
    this.header = parts.header;
    this.queue = queue;
    this.#stateDigest = parts.stateDigest;
    this.#outputDigest = parts.outputDigest;
    this.#disks = parts.disks;
    this.#journal = new CheckJournal({
      queue,
      stateDigest: parts.stateDigest,
      outputDigest: parts.outputDigest,
      ...(options.onDigest === undefined ? {} : {onDigest: options.onDigest}),
    });
    if (parts.startsAfter !== undefined) this.#journal.startFrom(parts.startsAfter, machine);
    this.#gate = new OutputGate({
      sink: options.sink,
      allowedThrough: () => queue.releasedThrough,
      releasedThrough: machine.outputOrdinal,
    });
    const source = new LogSource({
      queue,
      ...(options.onProgress === undefined ? {} : {onProgress: options.onProgress}),
      ...(options.signal === undefined ? {} : {signal: options.signal}),
    });
    this.#session = new Session({machine, source, journal: this.#journal, gate: this.#gate});
  }

  /** Waits for the header and builds the machine. Throws FtvmError for a log or artefacts that do not fit. */
  static async open(options: FollowerOptions): Promise<Follower> {
    const queue = new RecordQueue(options.feed);
    const header = await readHeader(queue, options.logPath);
    const {images, disks} = await loadArtefacts(header, {logPath: options.logPath, paths: options.paths ?? {}});
    const machine = new Machine(header.config, images, disks);
    const stateDigest = await StateDigest.create(machine);
    const outputDigest = await OutputDigest.create();
    const startsAfter = await options.join?.(machine, stateDigest);
    return new Follower({machine, header, queue, stateDigest, outputDigest, disks, startsAfter, options});
  }

  /** What was compared so far, and what the log's last records said. */
  get journal(): CheckJournal {
    return this.#journal;
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
   * ends and `file` appends there. The primary's `run` is the caller's.
   */
  goLive(parts: {point: StreamPoint; file: LogFileWriter; console: Console; followers: Followers}): Primary {
    const {machine} = this;
    if (machine.ending !== undefined) {
      throw new FtvmError('usage', 'the guest has ended: there is nothing to carry on', {
        hint: 'ftvm replay shows how it ended.',
      });
    }
    const {releasedThrough} = this.#gate;
    const {hostname, pid} = thisHost();
    const writer = new LogWriter(parts.point);
    writer.append({
      kind: 'takeover',
      position: machine.position,
      generation: this.#journal.generation + 1,
      by: `${hostname} pid ${pid}`,
      releasedThrough,
    });
    const primary = new Primary({
      machine,
      stateDigest: this.#stateDigest,
      outputDigest: this.#outputDigest,
      writer,
      file: parts.file,
      console: parts.console,
      clock: HOST_CLOCK,
      clockMode: this.header.config.clock,
      entropy: (lengthBytes) => new Uint8Array(randomBytes(lengthBytes)),
      followers: parts.followers,
      durable: this.header.disks.length > 0,
      releasedThrough,
      held: this.#gate.takeHeld(),
      coveredThrough: this.#journal.coveredThrough,
    });
    primary.source.deliverFirst(this.#timeGap());
    return primary;
  }

  close(): void {
    for (const disk of this.#disks) disk.close();
  }

  /** What the guest's clocks must learn of the time that passed since the log's end. */
  #timeGap(): Input[] {
    const {machine, header} = this;
    if (header.config.clock === 'virtual') return [];
    const offsetNs = this.#journal.rtcOffsetNs;
    const guestNs = header.config.epochNs + offsetNs + machine.mtime * NS_PER_TICK;
    const gapNs = HOST_CLOCK.wallNs() - guestNs;
    if (gapNs <= 0n) return [];
    if (gapNs > LONGEST_LEAP_NS) return [{kind: 'rtc', offsetNs: offsetNs + gapNs}];
    const {stepsPerTick} = machine;
    return [{kind: 'clock', ticks: machine.mtime + gapNs / NS_PER_TICK, stepsPerTick}];
  }
}
