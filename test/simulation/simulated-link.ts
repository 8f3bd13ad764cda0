// One end of a connection between two simulated hosts. Messages arrive late, in order, whole; a cut holds them back until it heals, as
// TCP does; what happens to a paused process waits for it.

import type {Link, LinkEvents} from '../../src/replication/link.ts';
import {encodeMessage, type Message, MessageReader} from '../../src/replication/messages.ts';
import type {Host, SimulatedNetwork} from './simulated-world.ts';
import type {SimulatedProcess} from './virtual-time.ts';

/** A cut connection tries again after so long, and up to so much more. */
const LEAST_RESEND_MS = 20;
const MORE_RESEND_MS = 180;

export class SimulatedLink implements Link {
  readonly peer: string;
  readonly hosts: {local: string; remote: string};
  readonly host: Host;
  readonly #process: SimulatedProcess;
  readonly congested = false;
  other: SimulatedLink | undefined;
  readonly #network: SimulatedNetwork;
  readonly #messages = new MessageReader();
  #events: LinkEvents | undefined;
  #early: (() => void)[] = [];
  #paused: (() => void)[] | undefined;
  #closed = false;
  /** What was sent and has not arrived. */
  readonly #inFlight: {atMs: number; event: () => void}[] = [];
  /** When the last one sent will arrive. */
  #lastArrivalMs = 0;

  constructor(network: SimulatedNetwork, {host, process, peer}: {host: Host; process: SimulatedProcess; peer: string}) {
    this.#network = network;
    this.host = host;
    this.#process = process;
    this.peer = peer;
    this.hosts = {local: host.name, remote: peer};
    host.links.add(this);
  }

  start(events: LinkEvents): void {
    this.#events = events;
    for (const event of this.#early) event();
    this.#early = [];
  }

  send(message: Message): void {
    if (this.#closed) return;
    this.#network.reached(this.host, this.#process, 'beforeSend');
    this.#transmit(encodeMessage(this.#network.tamper(message)));
  }

  pause(): void {
    this.#paused ??= [];
  }

  resume(): void {
    const waiting = this.#paused ?? [];
    this.#paused = undefined;
    for (const event of waiting) event();
  }

  end(): void {
    if (this.#closed) return;
    this.#forget();
    this.#deliver(() => this.other?.closeByPeer('the connection broke'));
  }

  destroy(): void {
    this.end();
  }

  /** The process behind this end is gone. */
  abandon(): void {
    this.#forget();
  }

  breakAfter(ms: number, reason: string): void {
    this.#network.time.after(ms, this.#process, () => this.closeByPeer(reason));
  }

  receive(bytes: Uint8Array): void {
    this.#happen(() => {
      this.#messages.push(bytes);
      for (
        let message = this.#messages.next();
        message !== undefined && !this.#closed;
        message = this.#messages.next()
      ) {
        this.#events?.message(message);
      }
    });
  }

  closeByPeer(reason: string): void {
    this.#happen(() => {
      if (this.#closed) return;
      this.#forget();
      this.#events?.closed(reason);
    });
  }

  #happen(event: () => void): void {
    if (this.#closed) return;
    if (this.#events === undefined) this.#early.push(event);
    else if (this.#paused !== undefined) this.#paused.push(event);
    else event();
  }

  #transmit(bytes: Uint8Array): void {
    if (this.#closed) return;
    const copy = Uint8Array.from(bytes);
    this.#deliver(() => this.other?.receive(copy));
  }

  /** In order; a cut holds everything back, as TCP does, until it heals. */
  #deliver(event: () => void): void {
    const {time} = this.#network;
    const {other} = this;
    if (other === undefined) return;
    this.#lastArrivalMs = Math.max(this.#lastArrivalMs + 0.001, time.nowMs + this.#network.delay());
    this.#inFlight.push({atMs: this.#lastArrivalMs, event});
    if (this.#inFlight.length === 1) this.#arriveLater(this.#lastArrivalMs);
  }

  #arriveLater(atMs: number): void {
    const {time} = this.#network;
    const {other} = this;
    if (other === undefined) return;
    time.after(Math.max(0, atMs - time.nowMs), undefined, () => {
      if (this.#network.holdsBack(this.host.name, other.host.name)) {
        this.#arriveLater(time.nowMs + LEAST_RESEND_MS + this.#network.random.unit() * MORE_RESEND_MS);
        return;
      }
      const arrived = this.#inFlight.shift();
      if (arrived !== undefined) time.happen(other.#process, arrived.event);
      const next = this.#inFlight.at(0);
      if (next !== undefined) this.#arriveLater(next.atMs);
    });
  }

  #forget(): void {
    this.#closed = true;
    this.host.links.delete(this);
  }
}
