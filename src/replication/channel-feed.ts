// A follower's side of the channel: receives the stream, checks it, keeps it in a log of its own, acknowledges what it holds. Receiving
// goes on while the machine replays: acknowledged is what was received, not what was executed (paper 2.2).

import {FtvmError} from '../errors.ts';
import {FRAME_OVERHEAD_BYTES} from '../logformat/frame.ts';
import {MAX_PAYLOAD_BYTES, PREAMBLE_BYTES} from '../logformat/limits.ts';
import {type LogFrame, LogReader} from '../logformat/log-reader.ts';
import type {StreamPoint} from '../logformat/stream-point.ts';
import type {LogStore} from '../session/log-sink.ts';
import type {Advance, FrameFeed} from '../session/record-queue.ts';
import {Wakeup} from '../session/wakeup.ts';
import {AdvanceDecoder} from './advance-codec.ts';
import {FrameBacklog} from './frame-backlog.ts';
import type {Heartbeat, HeartbeatSocket} from './heartbeat.ts';
import type {Link} from './link.ts';
import {CHANNEL_PROTOCOL, MAX_CHUNK_BYTES, type Message, type StateEnd, type Welcome} from './messages.ts';

/** Received and not yet replayed: beyond it the primary's side is left to fill. */
const BACKLOG_LIMIT_BYTES = 64 << 20;
/** Execution is reported at least so often; it is a sign of life as well. */
const REPORT_INTERVAL_MS = 20;
/** Where there is always more to execute, once a slice of the primary's. */
const BUSY_REPORT_INTERVAL_MS = 4;
/** For so many times this side's own take-over time a primary may be silent before it has told its own: one that starts is busy. */
const GREETING_TAKEOVERS = 4;
/** The part of a state that is not pages: registers, devices, queues. */
const TABLE_LIMIT_BYTES = 64 << 20;
/** What can be there of a frame that is not whole: the first comes behind the preamble. */
const UNWRITTEN_LIMIT_BYTES = PREAMBLE_BYTES + MAX_PAYLOAD_BYTES + FRAME_OVERHEAD_BYTES;

/** What a primary may say before its greeting: its heartbeats know no order. */
const EARLY_KINDS: ReadonlySet<Message['kind']> = new Set(['welcome', 'heartbeat', 'bye']);

/** Why the channel ended: a farewell with its reason, or the primary is lost. */
export type ChannelEnd = {kind: 'bye'; reason: string} | {kind: 'lost'; message: string};

export type ChannelFeedParts = {
  /** The follower's own log, for a primary that greets so. Following fails as this does. */
  openLog(welcome: Welcome): Promise<Pick<LogStore, 'append' | 'sync'>>;
  name: string;
  eligible: boolean;
  /** This side's: until the primary's greeting tells its own. */
  takeoverMs: number;
  position(): bigint;
  nowMs(): number;
  heartbeats: HeartbeatSocket;
  onEnd(end: ChannelEnd): void;
};

/** What a state transfer brings. */
export type StatePart = {kind: 'pages'; bytes: Uint8Array} | {kind: 'end'; table: Uint8Array; end: StateEnd};

export class ChannelFeed implements FrameFeed {
  readonly #link: Link;
  readonly #parts: ChannelFeedParts;
  readonly #reader = new LogReader();
  readonly #wakeup = new Wakeup();
  readonly #timer: NodeJS.Timeout;
  #heartbeat: Heartbeat | undefined;
  /** As the primary's greeting says. */
  #lineageId: string | undefined;
  #beatTimer: NodeJS.Timeout | undefined;
  readonly #log = Promise.withResolvers<Pick<LogStore, 'append' | 'sync'>>();
  readonly #welcome = Promise.withResolvers<Welcome>();
  /** Bytes that the reader has and the log has not: the part of a frame that came so far. */
  #unwritten: Buffer = Buffer.alloc(0);
  readonly #backlog = new FrameBacklog();
  readonly #advances = new AdvanceDecoder();
  #advancedTo = 0n;
  #state: StatePart[] = [];
  #table: Uint8Array[] = [];
  #tableBytes = 0;
  readonly #stateWakeup = new Wakeup();
  #failure: unknown;
  #end: ChannelEnd | undefined;
  #draining = false;
  /** The last record that the primary wants on this side's disk. */
  #syncWanted: bigint | undefined;
  #syncing = false;
  #takeoverMs: number;
  /** From the request to the state's end. It comes behind the whole log: the primary must not be held back before it is here. */
  #awaitsState = false;
  /** As far as the primary knows that this side has executed. */
  #reportedPosition = 0n;
  #reportedMs = 0;
  #lastHeardMs: number;
  #lastTickMs: number;

  /** Greets, and asks for the stream from its start. */
  constructor(link: Link, parts: ChannelFeedParts) {
    this.#link = link;
    this.#parts = parts;
    this.#takeoverMs = GREETING_TAKEOVERS * parts.takeoverMs;
    this.#lastHeardMs = parts.nowMs();
    this.#lastTickMs = this.#lastHeardMs;
    this.#welcome.promise.catch(() => {});
    link.start({
      message: (message) => this.#receive(message),
      drained: () => this.#acknowledge(),
      closed: (reason) => this.#finish({kind: 'lost', message: reason}),
    });
    const {name, eligible} = parts;
    link.send({kind: 'hello', hello: {protocol: CHANNEL_PROTOCOL, name, lineageId: null, offset: '0', eligible}});
    this.#timer = setInterval(() => this.#tick(), REPORT_INTERVAL_MS);
  }

  /** The primary's greeting. Rejects when it refuses, or is lost first. */
  get welcome(): Promise<Welcome> {
    return this.#welcome.promise;
  }

  /** The point after the last whole frame received. */
  get point(): StreamPoint | undefined {
    return this.#reader.point;
  }

  /** As far as this side may run with what it has received. */
  get receivedPosition(): bigint {
    const position = this.#reader.point?.position ?? 0n;
    return this.#advancedTo > position ? this.#advancedTo : position;
  }

  get end(): ChannelEnd | undefined {
    return this.#end;
  }

  async next(): Promise<LogFrame | Advance | undefined> {
    for (;;) {
      const next = this.#backlog.take();
      this.#reportExecution({isIdle: next === undefined});
      if (next !== undefined) {
        if (this.#backlog.bytes < BACKLOG_LIMIT_BYTES / 2) this.#link.resume();
        return next;
      }
      if (this.#failure !== undefined) throw this.#failure;
      if (this.#end !== undefined || this.#draining) return undefined;
      await this.#wakeup.wait(undefined);
    }
  }

  /** Asks for the primary's state. */
  requestState(): void {
    this.#awaitsState = true;
    this.#link.resume();
    this.#link.send({kind: 'sendState'});
  }

  /** The next part of the state. Throws when the primary is lost before its end. */
  async nextStatePart(): Promise<StatePart> {
    for (;;) {
      const part = this.#state.shift();
      if (part !== undefined) return part;
      if (this.#failure !== undefined) throw this.#failure;
      if (this.#end !== undefined || this.#draining) {
        throw new FtvmError('peerVanished', 'the primary was lost while its state was on the way', {
          hint: 'There is nothing here to carry on from.',
        });
      }
      await this.#stateWakeup.wait(undefined);
    }
  }

  /** Whether the primary is still read, and heard by. */
  get open(): boolean {
    return !this.#draining && this.#end === undefined;
  }

  /** Says that this follower could go live, and what it read in the arbiter's store. */
  ready(nonce: string): void {
    if (this.open) this.#link.send({kind: 'ready', nonce});
  }

  /** `next` gives what was received, then undefined. Nothing more is read or acknowledged, for good. */
  drain(): void {
    this.#draining = true;
    this.#fallSilent();
    this.#link.pause();
    this.#wakeup.signal();
    this.#stateWakeup.signal();
  }

  /** Asks the primary to hand over; its farewell then says so. */
  requestHandOver(): void {
    this.#link.send({kind: 'handOver'});
  }

  /** Says why this side leaves, and closes. */
  close(reason: string, message?: string): void {
    this.#fallSilent();
    if (this.#end === undefined)
      this.#link.send({kind: 'bye', bye: message === undefined ? {reason} : {reason, message}});
    this.#link.end();
  }

  #receive(message: Message): void {
    if (this.#draining || this.#failure !== undefined || this.#end !== undefined) return;
    this.#lastHeardMs = this.#parts.nowMs();
    try {
      this.#handle(message);
    } catch (error) {
      this.fail(error);
    }
  }

  #handle(message: Message): void {
    if (this.#heartbeat === undefined && !EARLY_KINDS.has(message.kind))
      throw new FtvmError('network', `the primary sent a ${message.kind} message before a greeting`);
    switch (message.kind) {
      case 'welcome':
        this.#greet(message.welcome);
        return;
      case 'bytes':
        this.#receiveStream(message.bytes);
        return;
      case 'advance':
        this.#advance(this.#advances.decode(message.bytes));
        return;
      case 'heartbeat':
        return;
      case 'sync':
        this.#syncWanted = message.ordinal;
        this.#syncReceived();
        return;
      case 'pages':
        this.#addState({kind: 'pages', bytes: message.bytes});
        return;
      case 'table':
        this.#addTable(message.bytes);
        return;
      case 'stateEnd':
        this.#addState({kind: 'end', table: Buffer.concat(this.#table), end: message.end});
        this.#table = [];
        this.#tableBytes = 0;
        this.#awaitsState = false;
        return;
      case 'bye':
        if (message.bye.reason === 'refused') {
          throw new FtvmError('network', `${this.#link.peer} refused: ${message.bye.message ?? 'no reason given'}`);
        }
        if (message.bye.reason === 'silent') {
          this.#finish({kind: 'lost', message: `it gave this side up: ${message.bye.message ?? 'silence'}`});
          return;
        }
        this.#finish({kind: 'bye', reason: message.bye.reason});
        return;
      default:
        throw new FtvmError('network', `the primary sent a ${message.kind} message, which only a follower sends`);
    }
  }

  #greet(welcome: Welcome): void {
    if (this.#heartbeat !== undefined) throw new FtvmError('network', 'the primary sent a second greeting');
    this.#lineageId = welcome.lineageId;
    this.#takeoverMs = welcome.takeoverMs;
    const to = {host: this.#link.hosts.remote, port: welcome.datagramPort};
    const heartbeat = this.#parts.heartbeats.pair({session: Buffer.from(welcome.session, 'hex'), side: 'follower', to});
    this.#heartbeat = heartbeat;
    heartbeat.beat();
    this.#beatTimer = setInterval(() => heartbeat.beat(), welcome.heartbeatMs / 2);
    this.#parts.openLog(welcome).then(
      (log) => {
        this.#log.resolve(log);
        this.#welcome.resolve(welcome);
      },
      (error: unknown) => this.fail(error),
    );
  }

  /** No more signs of life. */
  #fallSilent(): void {
    clearInterval(this.#timer);
    clearInterval(this.#beatTimer);
    this.#parts.heartbeats.close();
  }

  #advance(advance: Advance): void {
    this.#backlog.addAdvance(advance);
    this.#advancedTo = advance.until;
    this.#wakeup.signal();
  }

  #addTable(bytes: Uint8Array): void {
    this.#requireStateAwaited();
    // All parts but the last are full, so that there are few of them.
    const follows = bytes.length > 0 && this.#tableBytes % MAX_CHUNK_BYTES === 0;
    this.#tableBytes += bytes.length;
    if (!follows || this.#tableBytes > TABLE_LIMIT_BYTES)
      throw new FtvmError('network', 'the primary sent a state table in parts that it cannot have');
    this.#table.push(bytes);
  }

  #addState(part: StatePart): void {
    this.#requireStateAwaited();
    this.#state.push(part);
    this.#stateWakeup.signal();
  }

  #requireStateAwaited(): void {
    if (!this.#awaitsState) throw new FtvmError('network', 'the primary sent a state that nobody asked for');
  }

  #receiveStream(bytes: Uint8Array): void {
    this.#reader.push(bytes);
    this.#unwritten = Buffer.concat([this.#unwritten, bytes]);
    const before = this.#reader.point?.ordinal;
    let from = this.#reader.point;
    for (let frame = this.#reader.next(); frame !== undefined; frame = this.#reader.next()) {
      const first = frame.firstOrdinal === 1n ? PREAMBLE_BYTES : 0;
      if (first > 0) this.#checkLineage();
      const whole = Uint8Array.from(this.#unwritten.subarray(0, first + frame.lengthBytes));
      this.#unwritten = this.#unwritten.subarray(whole.length);
      this.#log.promise.then((log) => log.append(whole)).catch((error: unknown) => this.fail(error));
      this.#backlog.addFrame(frame, {bytes: whole, from});
      from = frame.end;
    }
    // A file may end in zeros, which the reader skips; a channel has no reason to carry them.
    if (this.#unwritten.length > UNWRITTEN_LIMIT_BYTES)
      throw new FtvmError('network', 'the primary sent more than a frame holds, and no frame');
    if (this.#backlog.bytes > BACKLOG_LIMIT_BYTES && !this.#awaitsState) this.#link.pause();
    if (this.#reader.point?.ordinal === before) return;
    this.#acknowledge();
    this.#syncReceived();
    this.#wakeup.signal();
  }

  #checkLineage(): void {
    const lineageId = Buffer.from(this.#reader.point?.lineageId ?? []).toString('hex');
    if (lineageId !== this.#lineageId)
      throw new FtvmError(
        'network',
        `the primary greets as lineage ${this.#lineageId}, and sent a log of ${lineageId}`,
      );
  }

  /** What is executed, the primary need not wait for the next report to know. */
  #reportExecution({isIdle}: {isIdle: boolean}): void {
    if (this.#parts.position() === this.#reportedPosition) return;
    if (isIdle || this.#parts.nowMs() - this.#reportedMs >= BUSY_REPORT_INTERVAL_MS) this.#acknowledge();
  }

  /** What has no room now is said later, by then with more in it: who reads nothing must not fill our memory. */
  #acknowledge(): void {
    if (!this.open || this.#link.congested) return;
    const {point} = this.#reader;
    this.#reportedPosition = this.#parts.position();
    this.#reportedMs = this.#parts.nowMs();
    this.#link.send({kind: 'ack', ordinal: point?.ordinal ?? 0n, position: this.#reportedPosition});
  }

  /** Syncs, one at a time, once what the primary wants on the disk has been received; the request may overtake the records. */
  #syncReceived(): void {
    const through = this.#syncWanted;
    if (this.#syncing || through === undefined || (this.#reader.point?.ordinal ?? 0n) < through) return;
    this.#syncWanted = undefined;
    this.#syncing = true;
    this.#syncLog().then(
      () => {
        this.#syncing = false;
        this.#link.send({kind: 'synced', ordinal: through});
        if (this.open) this.#syncReceived();
      },
      (error: unknown) => this.fail(error),
    );
  }

  async #syncLog(): Promise<void> {
    await (await this.#log.promise).sync();
  }

  #tick(): void {
    const nowMs = this.#parts.nowMs();
    // This process itself stood still: what the primary sent meanwhile has not been looked at yet.
    if (nowMs - this.#lastTickMs > this.#takeoverMs / 2) this.#lastHeardMs = nowMs;
    this.#lastTickMs = nowMs;
    const paused = this.#backlog.bytes > BACKLOG_LIMIT_BYTES / 2 && !this.#awaitsState;
    const heardMs = Math.max(this.#lastHeardMs, this.#heartbeat?.lastHeardMs ?? 0);
    if (!paused && nowMs - heardMs > this.#takeoverMs) {
      this.#finish({kind: 'lost', message: `nothing was heard for ${this.#takeoverMs} ms`});
      this.#link.destroy();
      return;
    }
    this.#acknowledge();
  }

  /** Following cannot go on: the primary is told, and `next` throws. */
  fail(error: unknown): void {
    this.#failure ??= error;
    const {message} = error as Error;
    this.close('failed', message);
    this.#finish({kind: 'lost', message});
  }

  #finish(end: ChannelEnd): void {
    if (this.#end !== undefined) return;
    this.#fallSilent();
    this.#end = end;
    this.#welcome.reject(
      this.#failure ??
        new FtvmError(
          'peerVanished',
          `${this.#link.peer} went away before it answered${end.kind === 'lost' ? `: ${end.message}` : ''}`,
        ),
    );
    this.#parts.onEnd(end);
    this.#wakeup.signal();
    this.#stateWakeup.signal();
  }
}
