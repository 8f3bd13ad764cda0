// The two sides of a channel, each alone with whoever speaks to it, and what honest peers say.

import type {Socket} from 'node:net';
import {encodeFrame} from '../../src/host/nic/frame-stream.ts';
import {AdvanceEncoder} from '../../src/replication/advance-codec.ts';
import {ChannelFeed} from '../../src/replication/channel-feed.ts';
import {HeartbeatSocket} from '../../src/replication/heartbeat.ts';
import {SocketLink} from '../../src/replication/link.ts';
import {CHANNEL_PROTOCOL, lengthBytesOf, type Message} from '../../src/replication/messages.ts';
import {type PrimaryPort, PrimaryReplication} from '../../src/replication/primary-replication.ts';
import type {World} from '../../src/replication/world.ts';
import type {StateSender} from '../../src/session/state-transfer.ts';
import {LINEAGE_ID, makeLog} from '../logformat/sample-log.ts';
import type {Framing} from './hostile-frames.ts';
import {Wire} from './wire.ts';

export const CHANNEL: Framing = {lengthAt: 1, lengthBytes: ([type]) => lengthBytesOf(type), littleEndian: true};
export const STREAM: Framing = {lengthAt: 0, lengthBytes: () => 4, littleEndian: false};
export const SESSION = Buffer.alloc(16, 0xab);
export const TIMING = {heartbeatMs: 100, takeoverMs: 500};
export const HELLO = {protocol: CHANNEL_PROTOCOL, name: 'a stranger', lineageId: null, offset: '0', eligible: true};
export const END = {ordinal: '7', position: '9', digest: 'ab'};

export const FOLLOWER_SAYS: Message[] = [
  {kind: 'hello', hello: HELLO},
  {kind: 'hello', hello: {...HELLO, offset: '9999999999999999999'}},
  {kind: 'ack', ordinal: 3n, position: 5n},
  {kind: 'ack', ordinal: 2n ** 64n - 1n, position: 2n ** 64n - 1n},
  {kind: 'synced', ordinal: 3n},
  {kind: 'handOver'},
  {kind: 'sendState'},
  {kind: 'ready', nonce: ''},
  {kind: 'heartbeat'},
  {kind: 'bye', bye: {reason: 'stopped'}},
];
export const LOG = makeLog();
export const PRIMARY_SAYS: Message[] = [
  {
    kind: 'welcome',
    welcome: {
      protocol: CHANNEL_PROTOCOL,
      lineageId: Buffer.from(LINEAGE_ID).toString('hex'),
      position: '0',
      generation: 1,
      nonceName: '',
      ...TIMING,
      datagramPort: 9,
      session: SESSION.toString('hex'),
    },
  },
  {kind: 'bytes', bytes: LOG.bytes},
  {kind: 'bytes', bytes: LOG.bytes.subarray(0, LOG.ends[1])},
  {kind: 'bytes', bytes: new Uint8Array(500)},
  {kind: 'advance', bytes: new AdvanceEncoder().encode({position: 5n, until: 9n, releasedThrough: 1n})},
  {kind: 'sync', ordinal: 1n},
  {kind: 'pages', bytes: new Uint8Array(6)},
  {kind: 'table', bytes: new Uint8Array(9)},
  {kind: 'stateEnd', end: END},
  {kind: 'heartbeat'},
  {kind: 'bye', bye: {reason: 'stopped'}},
];
export const ETHERNET = [14, 60, 1514, 9000].map((length) => encodeFrame(new Uint8Array(length).fill(0x45)));

/** A primary's side of replication, with a guest that does nothing. */
export class PrimaryAlone {
  readonly replication: PrimaryReplication;

  /** It serves followers at once. */
  static async open(): Promise<PrimaryAlone> {
    const primary = await PrimaryAlone.listening();
    primary.serve();
    return primary;
  }

  /** It listens, and has no log yet. */
  static async listening(): Promise<PrimaryAlone> {
    const world = worldOf(async () => ({port: 9, send: () => {}, close: () => {}}));
    return new PrimaryAlone(await HeartbeatSocket.open(world, {host: '127.0.0.1', port: 0}));
  }

  private constructor(heartbeats: HeartbeatSocket) {
    this.replication = new PrimaryReplication({
      lineageId: LINEAGE_ID,
      generation: 1,
      claimant: 'the test',
      arbiter: undefined,
      timing: {heartbeatMs: 1000, takeoverMs: 60_000},
      nowMs: () => performance.now(),
      heartbeats,
      note: () => {},
      openLog: async () => {
        const pieces = [LOG.bytes];
        return {next: async () => pieces.pop() ?? new Uint8Array(0), close: async () => {}};
      },
    });
  }

  /** Its guest is there, and its log. */
  serve(): void {
    const sender = {nextBatch: () => undefined, close: () => {}} as unknown as StateSender;
    const port: PrimaryPort = {
      changed: () => {},
      pause: () => {},
      finish: () => {},
      appendJoined: () => {},
      appendTakeover: () => {},
      startState: () => sender,
      finishState: () => ({batches: [new Uint8Array(6)], pages: 1, table: new Uint8Array(100), end: END}),
      position: () => 0n,
      appendedThrough: () => BigInt(LOG.ends.length),
      outputs: () => ({releasedThrough: 0n, emittedThrough: 0n}),
    };
    this.replication.port = port;
  }

  accept(wire: Wire): void {
    this.replication.accept(new SocketLink(wire.socket, 'a peer'));
  }

  close(): Promise<void> {
    return this.replication.close('stopped');
  }
}

/** A follower's side of the channel, with a log that goes nowhere. */
export class FollowerAlone {
  readonly wire: Wire;
  readonly feed: ChannelFeed;
  /** Why, once it has. */
  ended: string | undefined;
  syncsUnderWay = 0;
  /** What it has executed. */
  position = 0n;

  constructor({isDeaf}: {isDeaf: boolean}) {
    this.wire = new Wire({isDeaf});
    this.feed = new ChannelFeed(new SocketLink(this.wire.socket, 'a primary'), {
      openLog: async () => ({
        append: async () => {},
        sync: () => {
          this.syncsUnderWay += 1;
          return new Promise(() => {});
        },
      }),
      name: 'the test',
      eligible: true,
      takeoverMs: 2500,
      position: () => this.position,
      nowMs: () => performance.now(),
      heartbeats: new HeartbeatSocket(worldOf()),
      onEnd: (end) => {
        this.ended = end.kind === 'bye' ? end.reason : end.message;
      },
    });
  }

  close(): void {
    this.feed.close('stopped');
    this.wire.hangUp();
  }
}

export function worldOf(open?: World['openDatagrams']): World {
  return {secret: undefined, nowMs: () => performance.now(), openDatagrams: open} as World;
}

/** However that comes about. */
export function closedInTheEnd(socket: Socket): Promise<unknown> {
  socket.on('error', () => {});
  return new Promise((resolve) => socket.once('close', resolve));
}
