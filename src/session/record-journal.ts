// The journal of a recording session: turns become records, records become frames, frames go to the log. Appending only
// enqueues. A frame is cut when an output waits for it, when an input came, and else after a while.

import type {MachineInterface} from '../emulator/machine-interface.ts';
import type {HostClock} from '../host/monotonic-clock.ts';
import type {LogWriter} from '../logformat/log-writer.ts';
import type {LogRecord} from '../logformat/record.ts';
import type {OutputDigest, StateDigest} from './digests.ts';
import type {Journal, Turn} from './session.ts';

/** Takes frames in order. `through` is the ordinal of the frame's last record. */
export interface FrameSink {
  write(frame: Uint8Array, through: bigint): void;
  /** Bytes that wait to be written. */
  readonly queuedBytes: number;
  /** Resolves when less than the limit waits, rejects when writing failed. */
  drained(): Promise<void>;
}

/** Console output is gathered for so long before its record is written, so that a chatty boot does not fill the log; */
const OUTPUT_INTERVAL_NS = 100_000_000n;
/** less while somebody types. */
const ECHO_INTERVAL_NS = 5_000_000n;
const TYPING_NS = 1_000_000_000n;
/** Inputs that cause no output wait at most so long for their frame. */
const FLUSH_INTERVAL_NS = 1_000_000_000n;
/** less when somebody follows, who may not run past them before. */
const FOLLOWED_FLUSH_INTERVAL_NS = 10_000_000n;
/** Steps between two digests of the state, and time: a host that runs billions of steps a second need not write ten of them. */
const DIGEST_INTERVAL_STEPS = 1n << 28n;
const DIGEST_INTERVAL_NS = 200_000_000n;
/** Where nobody follows, digests take one part in so many of the time at most: a guest that is recorded shall not be slower than one that is not. */
const DIGEST_SHARE = 200n;
/** A guess of what the first one takes; when it is due by that, is time enough to find out. A boot is over until then. */
const FIRST_DIGEST_NS = 25_000_000n;
/** Frames waiting for the disk, beyond which the guest waits. */
const QUEUE_LIMIT_BYTES = 16 << 20;

export class RecordJournal implements Journal {
  readonly #writer: LogWriter;
  readonly #sink: FrameSink;
  readonly #clock: HostClock;
  readonly #stateDigest: StateDigest;
  readonly #outputDigest: OutputDigest;
  readonly #releasedThrough: () => bigint;
  readonly #following: () => boolean;
  #lastDigestAt: bigint;
  #lastDigestNs: bigint;
  /** What the last digest took, or what the first one will. */
  #digestCostNs = FIRST_DIGEST_NS;
  #lastOutputNs = 0n;
  #lastFlushNs: bigint;
  #lastTypedNs = -TYPING_NS;
  /** Output records that were written, oldest first: the ordinal of the record, and of the last output that it covers. */
  #outputRecords: {record: bigint; through: bigint}[] = [];

  constructor(parts: {
    writer: LogWriter;
    sink: FrameSink;
    clock: HostClock;
    stateDigest: StateDigest;
    outputDigest: OutputDigest;
    releasedThrough: () => bigint;
    position: bigint;
    /** Ordinal of the last output that a record of the log covers already. */
    coveredThrough: bigint;
    /** Whether somebody follows the log. */
    following: () => boolean;
  }) {
    this.#writer = parts.writer;
    this.#sink = parts.sink;
    this.#clock = parts.clock;
    this.#stateDigest = parts.stateDigest;
    this.#outputDigest = parts.outputDigest;
    this.#releasedThrough = parts.releasedThrough;
    this.#following = parts.following;
    this.#lastDigestAt = parts.position;
    this.#lastDigestNs = parts.clock.nowNs();
    this.#lastFlushNs = this.#lastDigestNs;
    this.#outputRecords.push({record: parts.writer.lastOrdinal, through: parts.coveredThrough});
  }

  /** Records that are in no frame yet. */
  get pendingRecords(): number {
    return this.#writer.pendingRecords;
  }

  /** Bytes of records so far, by what caused them: a kind of input, or a kind of record. */
  readonly bytesByCause: Record<string, number> = {};

  append(machine: MachineInterface, turn: Turn): void {
    for (const input of turn.inputs) this.#append({kind: 'input', position: turn.from, input});
    for (const output of turn.outputs) this.#outputDigest.add(output);
    const urgent =
      turn.inputs.some((input) => input.kind === 'packet') || turn.outputs.some((output) => output.kind === 'packet');
    const nowNs = this.#clock.nowNs();
    if (this.#isDigestDue(machine.position, nowNs)) this.#appendDigest(machine);
    if (turn.inputs.some((input) => input.kind === 'console')) this.#lastTypedNs = nowNs;
    const outputDue = !this.#outputDigest.empty && nowNs >= this.#outputDueNs(nowNs);
    if (outputDue || (urgent && !this.#outputDigest.empty)) this.#appendOutput(machine.position, nowNs);
    const intervalNs = this.#following() ? FOLLOWED_FLUSH_INTERVAL_NS : FLUSH_INTERVAL_NS;
    if (urgent || outputDue || nowNs - this.#lastFlushNs >= intervalNs) this.flush();
  }

  async room(): Promise<void> {
    if (this.#sink.queuedBytes > QUEUE_LIMIT_BYTES) await this.#sink.drained();
  }

  /** When a waiting output's record will be due, in nanoseconds of the clock; undefined when none waits. */
  get outputDueNs(): bigint | undefined {
    return this.#outputDigest.empty ? undefined : this.#outputDueNs(this.#clock.nowNs());
  }

  #outputDueNs(nowNs: bigint): bigint {
    const soon = this.#following() || nowNs - this.#lastTypedNs < TYPING_NS;
    return this.#lastOutputNs + (soon ? ECHO_INTERVAL_NS : OUTPUT_INTERVAL_NS);
  }

  /** Appends a record of the session's own (control, takeover, joined). */
  appendRecord(record: LogRecord): bigint {
    return this.#append(record);
  }

  /** A boundary that somebody will come back to: outputs that wait, a digest, the record; and everything goes to the log. */
  appendBoundary(machine: MachineInterface, record: Extract<LogRecord, {kind: 'end' | 'control'}>): void {
    if (!this.#outputDigest.empty) this.#appendOutput(machine.position, this.#clock.nowNs());
    this.#appendDigest(machine);
    this.#append(record);
    this.flush();
  }

  /** Writes the record of what was emitted so far, at once. */
  coverOutputs(position: bigint): void {
    if (!this.#outputDigest.empty) this.#appendOutput(position, this.#clock.nowNs());
    this.flush();
  }

  /** Hands everything appended to the sink. */
  flush(): void {
    for (;;) {
      const frame = this.#writer.takeFrame({releasedThrough: this.#releasedThrough()});
      if (frame === undefined) break;
      this.#sink.write(frame, this.#writer.point.ordinal);
    }
    this.#lastFlushNs = this.#clock.nowNs();
  }

  /** Ordinal of the last output whose record has an ordinal of at most `record`. */
  outputsCoveredBy(record: bigint): bigint {
    while (this.#outputRecords.length > 1 && this.#outputRecords[1].record <= record) this.#outputRecords.shift();
    const first = this.#outputRecords[0];
    return first !== undefined && first.record <= record ? first.through : 0n;
  }

  #append(record: LogRecord): bigint {
    const before = this.#writer.pendingBytes;
    const ordinal = this.#writer.append(record);
    const cause = record.kind === 'input' ? record.input.kind : record.kind;
    this.bytesByCause[cause] = (this.bytesByCause[cause] ?? 0) + this.#writer.pendingBytes - before;
    return ordinal;
  }

  #appendOutput(position: bigint, nowNs: bigint): void {
    const {through, lengthBytes, digest} = this.#outputDigest.take();
    const record = this.#append({kind: 'output', position, through, lengthBytes, digest});
    this.#outputRecords.push({record, through});
    this.#lastOutputNs = nowNs;
  }

  #appendDigest(machine: MachineInterface): void {
    const fromNs = this.#clock.nowNs();
    this.#append({kind: 'digest', position: machine.position, digest: this.#stateDigest.compute()});
    this.#lastDigestAt = machine.position;
    this.#lastDigestNs = this.#clock.nowNs();
    this.#digestCostNs = this.#lastDigestNs - fromNs;
  }

  #isDigestDue(position: bigint, nowNs: bigint): boolean {
    if (position - this.#lastDigestAt < DIGEST_INTERVAL_STEPS || nowNs < this.#digestDueNs) return false;
    if (this.#following()) return true;
    const firstNs = this.#stateDigest.firstDigestNs(this.#clock);
    if (firstNs > 0n) this.#digestCostNs = firstNs;
    return nowNs >= this.#digestDueNs;
  }

  /** Who follows finds out by digests that it has diverged, and shall not wait for them. */
  get #digestDueNs(): bigint {
    const intervalNs = this.#following() ? 0n : DIGEST_SHARE * this.#digestCostNs;
    return this.#lastDigestNs + (intervalNs > DIGEST_INTERVAL_NS ? intervalNs : DIGEST_INTERVAL_NS);
  }
}
