// One follower, as its primary sees it: serves it the log from the primary's own log, so that nothing is sent that is not written; the
// state, if it joins late; and keeps what it has acknowledged.

import {randomBytes} from 'node:crypto';
import {FtvmError} from '../errors.ts';
import type {Advance} from '../session/record-queue.ts';
import type {StateSender} from '../session/state-transfer.ts';
import {AdvanceEncoder} from './advance-codec.ts';
import {DATAGRAM_SESSION_BYTES} from './authentication.ts';
import type {Heartbeat} from './heartbeat.ts';
import {RoundTrip} from './lag.ts';
import type {Link} from './link.ts';
import {CHANNEL_PROTOCOL, type Hello, MAX_CHUNK_BYTES, type Message, type StateEnd, type Welcome} from './messages.ts';

/** The log's bytes from an offset on; empty at its present end. */
export interface LogBytes {
  next(): Promise<Uint8Array>;
  close(): Promise<void>;
}

/** A state's last part, and where the state stands. */
export type FinishedState = {batches: Uint8Array[]; pages: number; table: Uint8Array; end: StateEnd};

/** What the guest stood still for: so long, until so many pages and the state table were on their way. */
export type StatePause = {pauseMs: number; pages: number};

export type FollowerLinkPort = {
  readonly lineageId: string;
  nowMs(): number;
  welcome(session: Uint8Array): Promise<Welcome>;
  /** The heartbeats of this connection. */
  pair(session: Uint8Array): Heartbeat;
  openLog(offset: number): Promise<LogBytes>;
  /** Ordinal of the last record that there is, in the log or on its way there; undefined: not known yet. */
  appendedThrough(): bigint | undefined;
  startState(): StateSender;
  /** Called at a boundary: covers and flushes everything, and says where the state stands. */
  finishState(sender: StateSender): FinishedState;
  /** Its state is on its way. */
  stateSent(follower: FollowerLink, pause: StatePause): void;
  /** Its channel speaks again after so long a silence; called before what it says is taken. */
  spoke(follower: FollowerLink, silentMs: number): void;
  /** It acknowledges more than before; called before that is taken. */
  acknowledges(follower: FollowerLink, ordinal: bigint): void;
  /** It was heard: an acknowledgement, or readiness. */
  heard(follower: FollowerLink): void;
  wantsHandOver(follower: FollowerLink): void;
  closed(follower: FollowerLink, reason: string, deliberate: boolean): void;
};

export class FollowerLink {
  readonly #link: Link;
  readonly #port: FollowerLinkPort;
  #hello: Hello | undefined;
  #log: LogBytes | undefined;
  readonly #advances = new AdvanceEncoder();
  #pumping = false;
  #again = false;
  #closed = false;
  #sender: StateSender | undefined;
  #stateAsked = false;
  acknowledgedThrough = 0n;
  /** Ordinal of the last record that was written when it was first ready. */
  readyAt: bigint | undefined;
  /** What is on its disk. */
  syncedThrough = 0n;
  /** What it has executed. */
  position = 0n;
  /** When something came over the channel. */
  channelHeardMs: number;
  #heartbeat: Heartbeat | undefined;
  /** Since when it acknowledges nothing, though there is something to acknowledge. */
  #owesSinceMs: number | undefined;
  #owedThrough = 0n;
  readonly #roundTrip = new RoundTrip();
  /** The nonce that it read in the arbiter's store, once it is ready. */
  nonce: string | undefined;

  constructor(link: Link, port: FollowerLinkPort) {
    this.#link = link;
    this.#port = port;
    this.channelHeardMs = port.nowMs();
    link.start({
      message: (message) => this.#receive(message),
      drained: () => {
        this.pump();
        this.#sendState();
      },
      closed: (reason) => this.#close(reason, false),
    });
  }

  /** Whether it has said who it is. */
  get greeted(): boolean {
    return this.#hello !== undefined;
  }

  get name(): string {
    return this.#hello?.name ?? this.#link.peer;
  }

  /** When it gave a sign of life, by whichever way. */
  get lastHeardMs(): number {
    return Math.max(this.channelHeardMs, this.datagramHeardMs ?? 0);
  }

  /** When a heartbeat datagram came; undefined: never. */
  get datagramHeardMs(): number | undefined {
    return this.#heartbeat?.lastHeardMs;
  }

  /** For how long it has acknowledged nothing, though there is something to acknowledge. */
  get owesForMs(): number {
    return this.#owesSinceMs === undefined ? 0 : this.#port.nowMs() - this.#owesSinceMs;
  }

  get roundTripMs(): number {
    return this.#roundTrip.ms;
  }

  /** There are records through `ordinal` to be acknowledged. */
  owes(ordinal: bigint): void {
    this.#owedThrough = ordinal;
    this.#roundTrip.sent(ordinal, this.#port.nowMs());
    if (this.acknowledgedThrough < ordinal) this.#owesSinceMs ??= this.#port.nowMs();
  }

  get offersItself(): boolean {
    return this.#hello?.eligible === true && this.nonce !== undefined;
  }

  /** Sends what the log has more than was sent. */
  pump(): void {
    if (this.#log === undefined || this.#closed) return;
    this.#again = true;
    if (this.#pumping) return;
    this.#pumping = true;
    void this.#sendLog(this.#log);
  }

  /** Only when everything that was written before has been sent. */
  advance(advance: Advance): void {
    if (this.#log === undefined || this.#pumping || this.#link.congested || this.#closed) return;
    this.#link.send({kind: 'advance', bytes: this.#advances.encode(advance)});
  }

  requestSync(ordinal: bigint): void {
    this.#link.send({kind: 'sync', ordinal});
  }

  heartbeat(): void {
    if (this.#hello === undefined || this.#closed) return;
    if (!this.#link.congested) this.#link.send({kind: 'heartbeat'});
    this.#heartbeat?.beat();
  }

  /** Sends the rest of the log, says why the primary leaves, and closes. */
  async farewell(reason: string): Promise<void> {
    while (this.#pumping && !this.#closed) await new Promise((resolve) => setTimeout(resolve, 1));
    if (this.#closed) return;
    this.#link.send({kind: 'bye', bye: {reason}});
    this.#link.end();
    this.#close('farewell', true);
  }

  /** Breaks with a follower that is wrong: it shall not come again. */
  drop(reason: string): void {
    this.#break('refused', reason);
  }

  /** Breaks with a follower that was silent: should it live, it finds out who is primary. */
  giveUp(reason: string): void {
    this.#break('silent', reason);
  }

  #break(kind: 'refused' | 'silent', message: string): void {
    this.#link.send({kind: 'bye', bye: {reason: kind, message}});
    this.#link.end();
    this.#close(message, false);
  }

  #receive(message: Message): void {
    const nowMs = this.#port.nowMs();
    this.#port.spoke(this, nowMs - this.channelHeardMs);
    this.channelHeardMs = nowMs;
    if (this.#hello === undefined && message.kind !== 'hello' && message.kind !== 'bye') {
      this.drop(`a ${message.kind} message before a greeting`);
      return;
    }
    switch (message.kind) {
      case 'hello':
        this.#welcome(message.hello).catch((error: Error) => this.drop(error.message));
        return;
      case 'ack':
        if (this.#claimsTooMuch(message.ordinal)) return;
        if (message.ordinal > this.acknowledgedThrough) {
          this.#port.acknowledges(this, message.ordinal);
          this.acknowledgedThrough = message.ordinal;
          this.#roundTrip.acknowledged(message.ordinal, this.channelHeardMs);
          this.#owesSinceMs = message.ordinal < this.#owedThrough ? this.channelHeardMs : undefined;
        }
        if (message.position > this.position) this.position = message.position;
        this.#port.heard(this);
        return;
      case 'synced':
        if (this.#claimsTooMuch(message.ordinal)) return;
        if (message.ordinal > this.syncedThrough) this.syncedThrough = message.ordinal;
        this.#port.heard(this);
        return;
      case 'ready':
        this.nonce = message.nonce;
        this.#port.heard(this);
        return;
      case 'handOver':
        this.#port.wantsHandOver(this);
        return;
      case 'sendState':
        if (this.#stateAsked) {
          // Each makes the guest stand still.
          this.drop('a second request for the state');
          return;
        }
        this.#stateAsked = true;
        this.#sender = this.#port.startState();
        this.#sendState();
        return;
      case 'bye':
        this.#link.end();
        this.#close(message.bye.message ?? message.bye.reason, true);
        return;
      default:
        this.drop(`a ${message.kind} message, which only a primary sends`);
    }
  }

  /** Whoever has records that nobody wrote has another log than ours, and is dropped: nothing may leave on its word. */
  #claimsTooMuch(ordinal: bigint): boolean {
    // Not what is known to be written: the log's reader sees the first bytes of a write before the write is done.
    const appendedThrough = this.#port.appendedThrough();
    if (appendedThrough === undefined || ordinal <= appendedThrough) return false;
    this.drop(`it acknowledges record ${ordinal}, and ${appendedThrough} is the last that there is`);
    return true;
  }

  async #welcome(hello: Hello): Promise<void> {
    const {lineageId} = this.#port;
    if (this.#hello !== undefined) throw new FtvmError('network', 'a second greeting');
    if (hello.protocol !== CHANNEL_PROTOCOL) {
      throw new FtvmError('network', `channel protocol ${hello.protocol}; ${CHANNEL_PROTOCOL} is spoken here`);
    }
    if (hello.lineageId !== null && hello.lineageId !== lineageId)
      throw new FtvmError('network', `the log is of lineage ${lineageId}`);
    this.#hello = hello;
    const session = new Uint8Array(randomBytes(DATAGRAM_SESSION_BYTES));
    const welcome = await this.#port.welcome(session);
    const log = await this.#port.openLog(Number(hello.offset));
    if (this.#closed) return log.close();
    this.#heartbeat = this.#port.pair(session);
    this.#link.send({kind: 'welcome', welcome});
    this.#log = log;
    this.pump();
  }

  async #sendLog(log: LogBytes): Promise<void> {
    try {
      while (this.#again && !this.#closed && !this.#link.congested) {
        this.#again = false;
        for (let bytes = await log.next(); bytes.length > 0 && !this.#closed; bytes = await log.next()) {
          for (let start = 0; start < bytes.length; start += MAX_CHUNK_BYTES) {
            this.#link.send({kind: 'bytes', bytes: bytes.slice(start, start + MAX_CHUNK_BYTES)});
          }
          if (!this.#link.congested) continue;
          this.#again = true;
          break;
        }
      }
    } catch (error) {
      if (!this.#closed) this.drop(`the log cannot be read: ${(error as Error).message}`);
    }
    this.#pumping = false;
    if (this.#closed) await log.close().catch(() => {});
  }

  /** Pages as long as there is room; the rest when the link has drained. */
  #sendState(): void {
    const sender = this.#sender;
    if (sender === undefined || this.#closed) return;
    while (!this.#link.congested) {
      const batch = sender.nextBatch();
      if (batch === undefined) {
        this.#finishState(sender);
        return;
      }
      this.#link.send({kind: 'pages', bytes: batch});
    }
  }

  #finishState(sender: StateSender): void {
    this.#sender = undefined;
    const startMs = this.#port.nowMs();
    const {batches, pages, table, end} = this.#port.finishState(sender);
    for (const bytes of batches) this.#link.send({kind: 'pages', bytes});
    for (let start = 0; start < table.length; start += MAX_CHUNK_BYTES) {
      this.#link.send({kind: 'table', bytes: table.slice(start, start + MAX_CHUNK_BYTES)});
    }
    this.#link.send({kind: 'stateEnd', end});
    this.#port.stateSent(this, {pauseMs: this.#port.nowMs() - startMs, pages});
  }

  #close(reason: string, deliberate: boolean): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#sender?.close();
    this.#heartbeat?.close();
    if (!this.#pumping) void this.#log?.close().catch(() => {});
    this.#port.closed(this, reason, deliberate);
  }
}
