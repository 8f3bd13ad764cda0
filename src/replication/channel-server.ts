// The primary's side of the channel: serves the log to followers, from its own log file, so that nothing is sent that is not written.
// The first follower that offers itself and has caught up is the eligible backup: its acknowledgements gate outputs (paper 2.2).

import {createServer, type Server, type Socket} from 'node:net';
import {FtvmError} from '../errors.ts';
import {LogFileReader} from '../host/log-file.ts';
import type {Followers} from '../session/primary.ts';
import {type Endpoint, formatEndpoint} from './endpoint.ts';
import {CHANNEL_PROTOCOL, encodeMessage, type Hello, MAX_CHUNK_BYTES, MessageReader} from './messages.ts';

/** How often a follower of a busy guest without inputs is told to run on. */
const ADVANCE_INTERVAL_MS = 10;
/** How long a closing primary waits for the backup's last acknowledgement. */
const FAREWELL_MS = 5000;

export type ChannelEvents = {
  /** Something about followers has changed: outputs may leave. */
  changed(): void;
  /** A backup has become eligible, or is no longer. */
  backupJoined(name: string): void;
  backupLost(name: string, reason: string): void;
  /** The eligible backup asks for a planned hand-over. */
  handOver(): void;
};

export class ChannelServer implements Followers {
  readonly #server: Server;
  readonly #logPath: string;
  readonly #lineageId: string;
  readonly #connections = new Set<Connection>();
  #events: ChannelEvents | undefined;
  #eligible: Connection | undefined;
  #writtenThrough = 0n;
  #releasedThrough = 0n;
  #quietPosition: bigint | undefined;
  #advanceTimer: NodeJS.Timeout | undefined;

  private constructor(server: Server, options: {logPath: string; lineageId: Uint8Array}) {
    this.#server = server;
    this.#logPath = options.logPath;
    this.#lineageId = Buffer.from(options.lineageId).toString('hex');
  }

  /** Listens. Throws FtvmError `network` when the address cannot be had. */
  static async listen(endpoint: Endpoint, options: {logPath: string; lineageId: Uint8Array}): Promise<ChannelServer> {
    const server = createServer();
    await new Promise<void>((resolve, reject) => {
      server.once('error', (error: NodeJS.ErrnoException) => {
        const occupied = error.code === 'EADDRINUSE';
        reject(
          new FtvmError(
            'network',
            `cannot listen on ${formatEndpoint(endpoint)}: ${occupied ? 'the port is occupied' : error.message}`,
            {
              hint: occupied ? 'Choose another port, or end what listens there.' : 'Check the address.',
              details: {...endpoint},
            },
          ),
        );
      });
      server.listen(endpoint.port, endpoint.host, resolve);
    });
    const channel = new ChannelServer(server, options);
    server.on('connection', (socket) => channel.#accept(socket));
    return channel;
  }

  /** The port that was given, or chosen for port 0. */
  get port(): number {
    const address = this.#server.address();
    return typeof address === 'object' && address !== null ? address.port : 0;
  }

  set events(events: ChannelEvents) {
    this.#events = events;
  }

  get acknowledgedThrough(): bigint | undefined {
    return this.#eligible?.acknowledgedThrough;
  }

  get hasBackup(): boolean {
    return this.#eligible !== undefined;
  }

  /** For `status`: who follows, and how far. */
  get peers(): {name: string; eligible: boolean; acknowledgedThrough: bigint; position: bigint}[] {
    return [...this.#connections].map((connection) => ({
      name: connection.name,
      eligible: connection === this.#eligible,
      acknowledgedThrough: connection.acknowledgedThrough,
      position: connection.position,
    }));
  }

  logGrew(state: {writtenThrough: bigint; releasedThrough: bigint; quietPosition: bigint | undefined}): void {
    this.#writtenThrough = state.writtenThrough;
    this.#releasedThrough = state.releasedThrough;
    this.#quietPosition = state.quietPosition;
    for (const connection of this.#connections) connection.pump();
    if (state.quietPosition !== undefined && this.#connections.size > 0) this.#scheduleAdvance();
  }

  async caughtUp(ordinal: bigint): Promise<void> {
    const eligible = this.#eligible;
    if (eligible === undefined) return;
    const deadlineMs = performance.now() + FAREWELL_MS;
    while (this.#eligible === eligible && eligible.acknowledgedThrough < ordinal && performance.now() < deadlineMs) {
      await new Promise((resolve) => setTimeout(resolve, 2));
    }
  }

  /** Says farewell to every follower and stops listening. */
  async close(reason: string): Promise<void> {
    clearTimeout(this.#advanceTimer);
    this.#server.close();
    await Promise.all([...this.#connections].map((connection) => connection.farewell(reason)));
  }

  #accept(socket: Socket): void {
    const connection: Connection = new Connection(socket, {
      logPath: this.#logPath,
      lineageId: this.#lineageId,
      acknowledged: () => this.#acknowledged(connection),
      closed: (reason) => this.#closed(connection, reason),
      handOver: () => {
        if (connection === this.#eligible) this.#events?.handOver();
      },
    });
    this.#connections.add(connection);
  }

  #acknowledged(connection: Connection): void {
    if (
      this.#eligible === undefined &&
      connection.offersItself &&
      connection.acknowledgedThrough >= this.#writtenThrough
    ) {
      this.#eligible = connection;
      this.#events?.backupJoined(connection.name);
    }
    this.#events?.changed();
  }

  #closed(connection: Connection, reason: string): void {
    this.#connections.delete(connection);
    if (connection === this.#eligible) {
      this.#eligible = undefined;
      this.#events?.backupLost(connection.name, reason);
    }
    this.#events?.changed();
  }

  #scheduleAdvance(): void {
    this.#advanceTimer ??= setTimeout(() => {
      this.#advanceTimer = undefined;
      const position = this.#quietPosition;
      if (position === undefined) return;
      const advance = {position, releasedThrough: this.#releasedThrough, sentAtMs: Date.now()};
      for (const connection of this.#connections) connection.advance(advance);
    }, ADVANCE_INTERVAL_MS);
  }
}

type ConnectionPort = {
  readonly logPath: string;
  readonly lineageId: string;
  acknowledged(): void;
  closed(reason: string): void;
  handOver(): void;
};

/** One follower. */
class Connection {
  readonly #socket: Socket;
  readonly #around: ConnectionPort;
  readonly #messages = new MessageReader();
  #hello: Hello | undefined;
  #file: LogFileReader | undefined;
  #pumping = false;
  #again = false;
  #blocked = false;
  #closed = false;
  acknowledgedThrough = 0n;
  position = 0n;

  constructor(socket: Socket, around: ConnectionPort) {
    this.#socket = socket;
    this.#around = around;
    socket.setNoDelay(true);
    socket.on('data', (bytes) => this.#receive(bytes));
    socket.on('drain', () => {
      this.#blocked = false;
      this.pump();
    });
    socket.on('error', () => socket.destroy());
    socket.on('close', () => this.#close('the connection broke'));
  }

  get name(): string {
    return this.#hello?.name ?? `${this.#socket.remoteAddress}`;
  }

  get offersItself(): boolean {
    return this.#hello?.eligible === true;
  }

  /** Sends what the log has more than was sent. */
  pump(): void {
    if (this.#file === undefined || this.#closed) return;
    if (this.#pumping) {
      this.#again = true;
      return;
    }
    this.#pumping = true;
    void this.#sendLog();
  }

  /** Only in place: everything that was written before has been sent. */
  advance(advance: {position: bigint; releasedThrough: bigint; sentAtMs: number}): void {
    if (this.#file === undefined || this.#pumping || this.#blocked || this.#closed) return;
    this.#send(encodeMessage({kind: 'advance', advance}));
  }

  async farewell(reason: string): Promise<void> {
    while (this.#pumping) await new Promise((resolve) => setTimeout(resolve, 1));
    if (this.#closed) return;
    await new Promise<void>((resolve) => {
      this.#socket.once('close', () => resolve());
      this.#socket.end(encodeMessage({kind: 'bye', bye: {reason}}));
      setTimeout(() => this.#socket.destroy(), FAREWELL_MS).unref();
    });
  }

  #receive(bytes: Uint8Array): void {
    try {
      this.#messages.push(bytes);
      for (let message = this.#messages.next(); message !== undefined; message = this.#messages.next()) {
        switch (message.kind) {
          case 'hello':
            this.#welcome(message.hello).catch((error: Error) => this.#refuse(error.message));
            break;
          case 'ack':
            if (message.ordinal > this.acknowledgedThrough) this.acknowledgedThrough = message.ordinal;
            this.position = message.position;
            this.#around.acknowledged();
            break;
          case 'handOver':
            this.#around.handOver();
            break;
          case 'bye':
            this.#close(message.bye.message ?? message.bye.reason);
            this.#socket.end();
            break;
          default:
            throw new FtvmError('network', `the peer sent a ${message.kind} message, which only a primary sends`);
        }
      }
    } catch (error) {
      if (!(error instanceof FtvmError)) throw error;
      this.#refuse(error.message);
    }
  }

  async #welcome(hello: Hello): Promise<void> {
    const {lineageId} = this.#around;
    if (this.#hello !== undefined) return this.#refuse('a second greeting');
    if (hello.protocol !== CHANNEL_PROTOCOL)
      return this.#refuse(`channel protocol ${hello.protocol}, ${CHANNEL_PROTOCOL} is spoken here`);
    if (hello.lineageId !== null && hello.lineageId !== lineageId)
      return this.#refuse(`the log is of lineage ${lineageId}`);
    this.#hello = hello;
    const file = await LogFileReader.open(this.#around.logPath, {offset: Number(hello.offset)});
    this.#send(
      encodeMessage({kind: 'welcome', welcome: {protocol: CHANNEL_PROTOCOL, lineageId, offset: hello.offset}}),
    );
    this.#file = file;
    this.pump();
  }

  async #sendLog(): Promise<void> {
    const file = this.#file as LogFileReader;
    try {
      do {
        this.#again = false;
        for (;;) {
          if (this.#blocked || this.#closed) break;
          const bytes = await file.next();
          if (bytes.length === 0) break;
          for (let start = 0; start < bytes.length; start += MAX_CHUNK_BYTES) {
            this.#send(encodeMessage({kind: 'bytes', bytes: bytes.subarray(start, start + MAX_CHUNK_BYTES)}));
          }
        }
      } while (this.#again && !this.#blocked && !this.#closed);
    } catch (error) {
      if (!this.#closed) this.#refuse(`the log cannot be read: ${(error as Error).message}`);
    } finally {
      this.#pumping = false;
      if (this.#closed) await file.close().catch(() => {});
    }
  }

  #send(bytes: Uint8Array): void {
    if (this.#closed) return;
    if (!this.#socket.write(bytes)) this.#blocked = true;
  }

  #refuse(reason: string): void {
    if (this.#closed) return;
    this.#socket.end(encodeMessage({kind: 'bye', bye: {reason: 'refused', message: reason}}));
    this.#close(reason);
  }

  #close(reason: string): void {
    if (this.#closed) return;
    this.#closed = true;
    if (!this.#pumping) void this.#file?.close().catch(() => {});
    this.#around.closed(reason);
  }
}
