// A learning switch (IEEE 802.1D, 7.8): a frame for a known MAC leaves by the port where that MAC was seen last, any other by all ports
// but its own. A MAC that turns up elsewhere has moved, which happens once when a backup takes over; more often means that two
// hosts believe themselves to be the machine. Who sends to a peer that is slower waits for it (flow-control.ts). It knows no sockets.

import {FlowControl} from './flow-control.ts';
import {RecentFrames} from './recent-frames.ts';

export type SwitchPort = {
  /** For people. */
  name: string;
  /** False: dropped, the peer is too slow or gone. */
  send(frame: Uint8Array): boolean;
  /** More waits for the peer than it should; `drained` is called when nothing does any more. */
  congested(): boolean;
  /** Whether anything is read from the peer. */
  read(options: {on: boolean}): void;
};

export type PortStatistics = {
  number: number;
  name: string;
  connected: boolean;
  received: number;
  sent: number;
  dropped: number;
};

export type SwitchStatistics = {
  ports: PortStatistics[];
  /** MACs in the table: where, and how often they moved there from another port. */
  macs: {mac: string; port: string; moves: number}[];
  moves: number;
  flooded: number;
};

type Entry = {port: number; seenMs: number; moves: number};

/** 802.1D's recommended ageing time. */
const AGEING_MS = 300_000;
/** MACs in the table; a stranger who invents more of them only causes flooding. */
const TABLE_LIMIT = 4096;
/** Ports that are gone are remembered for the statistics, the latest of them. */
const GONE_PORTS_LIMIT = 64;
const HEADER_BYTES = 14;

export class LearningSwitch {
  readonly #nowMs: () => number;
  readonly #ports = new Map<number, SwitchPort>();
  readonly #statistics = new Map<number, PortStatistics>();
  readonly #table = new Map<string, Entry>();
  readonly #flow = new FlowControl({read: (id, options) => this.#ports.get(id)?.read(options)});
  readonly #recent: RecentFrames;
  #nextPort = 1;
  #moves = 0;
  #flooded = 0;

  constructor(options: {nowMs: () => number}) {
    this.#nowMs = options.nowMs;
    this.#recent = new RecentFrames(options);
  }

  /** Returns the port's number, for `receive`, `drained` and `detach`. */
  attach(port: SwitchPort): number {
    const id = this.#nextPort++;
    this.#ports.set(id, port);
    this.#statistics.set(id, {number: id, name: port.name, connected: true, received: 0, sent: 0, dropped: 0});
    return id;
  }

  /** The table keeps the port's MACs, so that a move to another is seen as one; frames for them are flooded meanwhile. */
  detach(id: number): void {
    this.#ports.delete(id);
    this.#flow.release(id);
    const statistics = this.#statistics.get(id);
    if (statistics !== undefined) statistics.connected = false;
    const gone = [...this.#statistics].filter(([, {connected}]) => !connected);
    if (gone.length > GONE_PORTS_LIMIT) this.#statistics.delete(gone[0][0]);
  }

  /** Nothing waits for this port's peer any more. */
  drained(id: number): void {
    this.#flow.release(id);
  }

  /** A frame came in at this port. */
  receive(id: number, frame: Uint8Array): void {
    const from = this.#statistics.get(id);
    if (from === undefined || !this.#ports.has(id)) return;
    if (frame.length < HEADER_BYTES) {
      from.dropped += 1;
      return;
    }
    from.received += 1;
    this.#learn(id, frame.subarray(6, 12));
    const destination = frame.subarray(0, 6);
    const to = this.#lookUp(destination);
    if (to === id) return;
    if (!isGroup(destination)) this.#recent.note(keyOf(destination), frame);
    if (to !== undefined) {
      this.#send(to, frame);
      if (this.#ports.get(to)?.congested()) this.#flow.hold({sender: id, receiver: to});
      return;
    }
    this.#flooded += 1;
    for (const port of this.#ports.keys()) if (port !== id) this.#send(port, frame);
  }

  get statistics(): SwitchStatistics {
    return {
      ports: [...this.#statistics.values()].map((port) => ({...port})),
      macs: [...this.#table].map(([key, {port, moves}]) => ({
        mac: (key.match(/../g) ?? []).join(':'),
        port: this.#statistics.get(port)?.name ?? 'gone',
        moves,
      })),
      moves: this.#moves,
      flooded: this.#flooded,
    };
  }

  #learn(port: number, mac: Uint8Array): void {
    if (isGroup(mac)) return;
    const key = keyOf(mac);
    const seenMs = this.#nowMs();
    const known = this.#table.get(key);
    if (known === undefined) {
      if (this.#table.size >= TABLE_LIMIT) this.#forgetAged(seenMs);
      if (this.#table.size < TABLE_LIMIT) this.#table.set(key, {port, seenMs, moves: 0});
      return;
    }
    if (known.port !== port) {
      known.moves += 1;
      this.#moves += 1;
      this.#flow.release(known.port);
      for (const frame of this.#recent.take(key)) this.#send(port, frame);
    }
    known.port = port;
    known.seenMs = seenMs;
  }

  /** The port behind which this MAC is; undefined: not known, or everybody's. */
  #lookUp(mac: Uint8Array): number | undefined {
    if (isGroup(mac)) return undefined;
    const entry = this.#table.get(keyOf(mac));
    if (entry === undefined || !this.#ports.has(entry.port)) return undefined;
    return this.#nowMs() - entry.seenMs > AGEING_MS ? undefined : entry.port;
  }

  #forgetAged(nowMs: number): void {
    for (const [key, {seenMs}] of this.#table) if (nowMs - seenMs > AGEING_MS) this.#table.delete(key);
  }

  #send(id: number, frame: Uint8Array): void {
    const statistics = this.#statistics.get(id);
    const port = this.#ports.get(id);
    if (statistics === undefined || port === undefined) return;
    if (port.send(frame)) statistics.sent += 1;
    else statistics.dropped += 1;
  }
}

function keyOf(mac: Uint8Array): string {
  return Buffer.from(mac).toString('hex');
}

/** Broadcast and multicast (IEEE 802, the individual/group bit). */
function isGroup(mac: Uint8Array): boolean {
  return (mac[0] & 1) !== 0;
}
