// Heartbeats: datagrams beside the channel, which tell that the other side lives when a channel that lost packets is still busy sending
// them again. They count as signs of life just as what comes over the channel does; neither is needed while the other flows
// (docs/decisions/signs-of-life.md).

import type {Datagrams} from '../host/datagrams.ts';
import type {Endpoint} from '../host/endpoint.ts';
import {DatagramReceiver, DatagramSender, datagramKey, nameOfDatagram} from './authentication.ts';
import type {World} from './world.ts';

export type HeartbeatOptions = {
  /** Random bytes that both sides know by the channel. */
  session: Uint8Array;
  side: 'primary' | 'follower';
  /** Where the peer is; undefined: where its heartbeats come from. */
  to: Endpoint | undefined;
};

/** A socket for the heartbeats of any number of connections. */
export class HeartbeatSocket {
  readonly #world: World;
  readonly #heartbeats = new Map<string, Heartbeat>();
  #datagrams: Datagrams | undefined;

  /** Not open yet: what is sent gets lost, and nothing is heard. */
  constructor(world: World) {
    this.#world = world;
  }

  /** Throws FtvmError `network`. */
  static async open(world: World, at: Endpoint): Promise<HeartbeatSocket> {
    const socket = new HeartbeatSocket(world);
    await socket.open(at);
    return socket;
  }

  /** Throws FtvmError `network`. */
  async open(at: Endpoint): Promise<void> {
    this.#datagrams = await this.#world.openDatagrams(at, (datagram, from) => this.#receive(datagram, from));
  }

  get port(): number {
    return this.#datagrams?.port ?? 0;
  }

  pair({session, side, to}: HeartbeatOptions): Heartbeat {
    const {secret} = this.#world;
    const peer = side === 'primary' ? 'follower' : 'primary';
    const sender = new DatagramSender(datagramKey({secret, session, sender: side}));
    const peersKey = datagramKey({secret, session, sender: peer});
    const name = Buffer.from(peersKey.name).toString('hex');
    const heartbeat = new Heartbeat({
      receiver: new DatagramReceiver(peersKey),
      to,
      nowMs: () => this.#world.nowMs(),
      send: (endpoint) => this.#datagrams?.send(sender.seal(), endpoint),
      onClose: () => this.#heartbeats.delete(name),
    });
    this.#heartbeats.set(name, heartbeat);
    return heartbeat;
  }

  close(): void {
    this.#datagrams?.close();
    this.#datagrams = undefined;
  }

  #receive(datagram: Uint8Array, from: Endpoint): void {
    const name = nameOfDatagram(datagram);
    if (name !== undefined) this.#heartbeats.get(name)?.hear(datagram, from);
  }
}

/** The heartbeats of one connection, both ways. */
export class Heartbeat {
  readonly #receiver: DatagramReceiver;
  readonly #nowMs: () => number;
  readonly #send: (to: Endpoint) => void;
  readonly #onClose: () => void;
  #to: Endpoint | undefined;
  /** Undefined: never. */
  lastHeardMs: number | undefined;

  constructor(parts: {
    receiver: DatagramReceiver;
    to: Endpoint | undefined;
    nowMs: () => number;
    send: (to: Endpoint) => void;
    onClose: () => void;
  }) {
    this.#receiver = parts.receiver;
    this.#to = parts.to;
    this.#nowMs = parts.nowMs;
    this.#send = parts.send;
    this.#onClose = parts.onClose;
  }

  beat(): void {
    if (this.#to !== undefined) this.#send(this.#to);
  }

  /** What is forged, or was heard before, is as if it had not come. */
  hear(datagram: Uint8Array, from: Endpoint): void {
    if (this.#receiver.judge(datagram) !== 'accepted') return;
    this.lastHeardMs = this.#nowMs();
    this.#to = from;
  }

  close(): void {
    this.#to = undefined;
    this.#onClose();
  }
}
