// UDP between simulated hosts: what is sent may be lost, late, twice or overtaken; and somebody may keep what passes and send it again.

import type {Datagrams} from '../../src/host/datagrams.ts';
import type {Endpoint} from '../../src/host/endpoint.ts';
import type {Random} from './random.ts';
import type {SimulatedProcess, VirtualTime} from './virtual-time.ts';

/** 0.1 to 5 ms: heartbeats overtake each other only where they are sent in bursts, as after a pause. */
const LEAST_DELAY_MS = 0.1;
const MOST_DELAY_MS = 5;
const LOSS_CHANCE = 0.05;
const DUPLICATE_CHANCE = 0.05;
/** Whoever replays sends one of the last so many again, so often. */
const KEPT = 400;
const REPLAY_INTERVAL_MS = 10;

type Socket = {process: SimulatedProcess; onDatagram: (datagram: Uint8Array, from: Endpoint) => void};
type Sent = {datagram: Uint8Array; from: Endpoint; to: Endpoint};

export class SimulatedDatagrams {
  /** Everything is lost, as behind a wall against UDP. */
  blocked = false;
  readonly #time: VirtualTime;
  readonly #random: Random;
  readonly #isCut: (from: string, to: string) => boolean;
  readonly #sockets = new Map<string, Socket>();
  readonly #kept: Sent[] = [];
  #replaying = false;
  #nextPort = 1000;

  constructor(parts: {time: VirtualTime; random: Random; isCut: (from: string, to: string) => boolean}) {
    this.#time = parts.time;
    this.#random = parts.random;
    this.#isCut = parts.isCut;
  }

  open(at: Endpoint, socket: Socket): Datagrams {
    const here = {host: at.host, port: at.port === 0 ? this.#nextPort++ : at.port};
    const key = keyOf(here);
    this.#sockets.set(key, socket);
    return {
      port: here.port,
      send: (datagram, to) => {
        if (this.#sockets.get(key) === socket) this.#send({datagram, from: here, to});
      },
      close: () => {
        if (this.#sockets.get(key) === socket) this.#sockets.delete(key);
      },
    };
  }

  /** From now on, for ever, what has passed comes again and again. */
  replay(): void {
    if (this.#replaying) return;
    this.#replaying = true;
    const again = (): void => {
      if (this.#kept.length > 0) this.#arrive(this.#random.pick(this.#kept));
      this.#time.after(REPLAY_INTERVAL_MS, undefined, again);
    };
    again();
  }

  #send(sent: Sent): void {
    this.#kept.push(sent);
    if (this.#kept.length > KEPT) this.#kept.shift();
    if (this.blocked || this.#isCut(sent.from.host, sent.to.host) || this.#random.unit() < LOSS_CHANCE) return;
    const times = this.#random.unit() < DUPLICATE_CHANCE ? 2 : 1;
    for (let n = 0; n < times; n += 1) {
      const delayMs = LEAST_DELAY_MS + this.#random.unit() * (MOST_DELAY_MS - LEAST_DELAY_MS);
      this.#time.after(delayMs, undefined, () => this.#arrive(sent));
    }
  }

  #arrive({datagram, from, to}: Sent): void {
    const socket = this.#sockets.get(keyOf(to));
    if (socket !== undefined) this.#time.happen(socket.process, () => socket.onDatagram(datagram, from));
  }
}

function keyOf({host, port}: Endpoint): string {
  return `${host}:${port}`;
}
