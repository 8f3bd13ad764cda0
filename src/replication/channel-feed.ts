// A follower's side of the channel: receives the stream, checks it, keeps it in a log file of its own, acknowledges what it holds.
// Receiving goes on while the machine replays: acknowledged is what was received, not what was executed (paper 2.2).

import {createConnection, type Socket} from 'node:net';
import {hostname} from 'node:os';
import {FtvmError} from '../errors.ts';
import type {LogFileWriter} from '../host/log-file.ts';
import {PREAMBLE_BYTES} from '../logformat/limits.ts';
import {type LogFrame, LogReader} from '../logformat/log-reader.ts';
import type {Advance} from '../logformat/record.ts';
import type {StreamPoint} from '../logformat/stream-point.ts';
import type {FrameFeed} from '../session/record-queue.ts';
import {Wakeup} from '../session/wakeup.ts';
import {type Endpoint, formatEndpoint} from './endpoint.ts';
import {CHANNEL_PROTOCOL, encodeMessage, type Message, MessageReader} from './messages.ts';

/** Received and not yet replayed: beyond it the primary's socket is left to fill. */
const BACKLOG_LIMIT_BYTES = 64 << 20;
/** How often the primary is told how far execution has come. */
const REPORT_INTERVAL_MS = 50;

/** Why the channel ended: a farewell with its reason, or nothing was said. */
export type ChannelEnd = {kind: 'bye'; reason: string} | {kind: 'lost'; message: string};

export class ChannelFeed implements FrameFeed {
  readonly #socket: Socket;
  readonly #endpoint: Endpoint;
  readonly #file: LogFileWriter;
  readonly #messages = new MessageReader();
  readonly #reader = new LogReader();
  readonly #wakeup = new Wakeup();
  readonly #position: () => bigint;
  readonly #onEnd: (end: ChannelEnd) => void;
  readonly #reporter: NodeJS.Timeout;
  /** Bytes that the reader has and the file has not: the part of a frame that came so far. */
  #unwritten: Buffer = Buffer.alloc(0);
  #queue: (LogFrame | Advance)[] = [];
  #backlogBytes = 0;
  #failure: unknown;
  #end: ChannelEnd | undefined;
  #drain = false;

  private constructor(
    socket: Socket,
    options: {endpoint: Endpoint; file: LogFileWriter; position: () => bigint; onEnd: (end: ChannelEnd) => void},
  ) {
    this.#socket = socket;
    this.#endpoint = options.endpoint;
    this.#file = options.file;
    this.#position = options.position;
    this.#onEnd = options.onEnd;
    socket.setNoDelay(true);
    socket.on('data', (bytes) => this.#receive(bytes));
    socket.on('error', (error) => this.#finish({kind: 'lost', message: error.message}));
    socket.on('close', () => this.#finish({kind: 'lost', message: 'the connection broke'}));
    this.#reporter = setInterval(() => this.#acknowledge(), REPORT_INTERVAL_MS);
    this.#reporter.unref();
  }

  /** Connects and asks for the stream from its start. Throws FtvmError `network` when nobody listens there. */
  static async connect(
    endpoint: Endpoint,
    options: {file: LogFileWriter; eligible: boolean; position: () => bigint; onEnd: (end: ChannelEnd) => void},
  ): Promise<ChannelFeed> {
    const socket = createConnection(endpoint);
    await new Promise<void>((resolve, reject) => {
      socket.once('connect', resolve);
      socket.once('error', (error: NodeJS.ErrnoException) =>
        reject(
          new FtvmError(
            'network',
            `cannot connect to ${formatEndpoint(endpoint)}: ${error.code === 'ECONNREFUSED' ? 'nobody listens there' : error.message}`,
            {
              hint: 'Start the primary with: ftvm record … --listen HOST:PORT',
              details: {...endpoint},
            },
          ),
        ),
      );
    });
    const feed = new ChannelFeed(socket, {endpoint, ...options});
    const name = `${hostname()} pid ${process.pid}`;
    feed.#send({
      kind: 'hello',
      hello: {protocol: CHANNEL_PROTOCOL, name, lineageId: null, offset: '0', eligible: options.eligible},
    });
    return feed;
  }

  /** The point after the last whole frame received. */
  get point(): StreamPoint | undefined {
    return this.#reader.point;
  }

  get end(): ChannelEnd | undefined {
    return this.#end;
  }

  /** Frames and advances that wait to be replayed. */
  get backlog(): number {
    return this.#queue.length;
  }

  async next(): Promise<LogFrame | Advance | undefined> {
    for (;;) {
      const next = this.#queue.shift();
      if (next !== undefined) {
        if ('lengthBytes' in next) this.#backlogBytes -= next.lengthBytes;
        if (this.#backlogBytes < BACKLOG_LIMIT_BYTES / 2) this.#socket.resume();
        return next;
      }
      if (this.#failure !== undefined) throw this.#failure;
      if (this.#end !== undefined || this.#drain) return undefined;
      await this.#wakeup.wait(undefined);
    }
  }

  /** `next` gives what was received, then undefined. Nothing more is read or acknowledged. */
  drain(): void {
    this.#drain = true;
    this.#socket.pause();
    clearInterval(this.#reporter);
    this.#wakeup.signal();
  }

  /** Asks the primary to hand over; its farewell then says so. */
  requestHandOver(): void {
    this.#send({kind: 'handOver'});
  }

  /** Says why this side leaves, and closes. */
  close(reason: string, message?: string): void {
    clearInterval(this.#reporter);
    if (!this.#socket.destroyed) {
      this.#socket.end(encodeMessage({kind: 'bye', bye: message === undefined ? {reason} : {reason, message}}));
      this.#socket.unref();
    }
  }

  #receive(bytes: Uint8Array): void {
    if (this.#drain || this.#failure !== undefined) return;
    try {
      this.#messages.push(bytes);
      for (let message = this.#messages.next(); message !== undefined; message = this.#messages.next())
        this.#handle(message);
    } catch (error) {
      this.#fail(error);
    }
  }

  #handle(message: Message): void {
    switch (message.kind) {
      case 'welcome':
        return;
      case 'bytes':
        this.#receiveStream(message.bytes);
        return;
      case 'advance': {
        const last = this.#queue.at(-1);
        if (last !== undefined && 'sentAtMs' in last) this.#queue.pop();
        this.#queue.push(message.advance);
        this.#wakeup.signal();
        return;
      }
      case 'bye':
        if (message.bye.reason === 'refused') {
          throw new FtvmError(
            'network',
            `${formatEndpoint(this.#endpoint)} refused: ${message.bye.message ?? 'no reason given'}`,
          );
        }
        this.#finish({kind: 'bye', reason: message.bye.reason});
        return;
      default:
        throw new FtvmError('network', `the primary sent a ${message.kind} message, which only a follower sends`);
    }
  }

  #receiveStream(bytes: Uint8Array): void {
    this.#reader.push(bytes);
    this.#unwritten = Buffer.concat([this.#unwritten, bytes]);
    const before = this.#queue.length;
    for (let frame = this.#reader.next(); frame !== undefined; frame = this.#reader.next()) {
      const first = frame.firstOrdinal === 1n ? PREAMBLE_BYTES : 0;
      const whole = Uint8Array.from(this.#unwritten.subarray(0, first + frame.lengthBytes));
      this.#unwritten = this.#unwritten.subarray(whole.length);
      this.#file.append(whole).catch((error: unknown) => this.#fail(error));
      this.#queue.push(frame);
      this.#backlogBytes += frame.lengthBytes;
    }
    if (this.#backlogBytes > BACKLOG_LIMIT_BYTES) this.#socket.pause();
    if (this.#queue.length === before) return;
    this.#acknowledge();
    this.#wakeup.signal();
  }

  #acknowledge(): void {
    const {point} = this.#reader;
    if (point === undefined || this.#drain) return;
    this.#send({kind: 'ack', ordinal: point.ordinal, position: this.#position()});
  }

  #send(message: Message): void {
    if (this.#socket.writable) this.#socket.write(encodeMessage(message));
  }

  #fail(error: unknown): void {
    this.#failure ??= error;
    this.close('failed', (error as Error).message);
    this.#finish({kind: 'lost', message: (error as Error).message});
  }

  #finish(end: ChannelEnd): void {
    if (this.#end !== undefined) return;
    clearInterval(this.#reporter);
    this.#end = end;
    this.#onEnd(end);
    this.#wakeup.signal();
  }
}
