// A link: a connection that carries the channel's messages in order until it breaks. The replication code knows links, clocks and
// stored logs only by their interfaces, so that the protocol simulator in the tests can run the same code over its own.

import type {Socket} from 'node:net';
import {FtvmError} from '../errors.ts';
import {encodeMessage, type Message, MessageReader} from './messages.ts';

/** How long the last words may take to be read: who reads nothing is not waited for. */
const LINGER_MS = 30_000;

export type LinkEvents = {
  message(message: Message): void;
  /** There is room again after `congested`. */
  drained(): void;
  /** Called once: the link broke, was closed by the peer, or carried what is no message. */
  closed(reason: string): void;
};

export interface Link {
  /** The peer's address, for people. */
  readonly peer: string;
  /** This end's and the other's host, as addresses: datagrams between them go the same way. */
  readonly hosts: {local: string; remote: string};
  /** Whether more than a buffer's worth waits to be sent. */
  readonly congested: boolean;
  /** Must be set before anything else happens; messages that came before are delivered then. */
  start(events: LinkEvents): void;
  send(message: Message): void;
  /** Stops and resumes reading. */
  pause(): void;
  resume(): void;
  /** Sends what waits, then closes; `closed` is not called any more. */
  end(): void;
  /** Breaks the link at once. */
  destroy(): void;
}

/** A link over a socket. */
export class SocketLink implements Link {
  readonly peer: string;
  readonly hosts: {local: string; remote: string};
  readonly #socket: Socket;
  readonly #messages = new MessageReader();
  #events: LinkEvents | undefined;
  #congested = false;
  #closed = false;
  #ending = false;

  constructor(socket: Socket, peer: string) {
    this.#socket = socket;
    this.peer = peer;
    this.hosts = {local: socket.localAddress ?? '', remote: socket.remoteAddress ?? ''};
    socket.on('error', (error) => this.#close(error.message));
    socket.on('close', () => this.#close('the connection broke'));
    socket.on('drain', () => {
      this.#congested = false;
      this.#events?.drained();
    });
  }

  get congested(): boolean {
    return this.#congested;
  }

  start(events: LinkEvents): void {
    this.#events = events;
    this.#socket.on('data', (bytes: Uint8Array) => this.#receive(bytes));
  }

  send(message: Message): void {
    if (this.#closed || !this.#socket.writable) return;
    if (!this.#socket.write(encodeMessage(message))) this.#congested = true;
  }

  pause(): void {
    this.#socket.pause();
  }

  resume(): void {
    this.#socket.resume();
  }

  end(): void {
    this.#closed = true;
    this.#endSoon();
  }

  destroy(): void {
    this.#closed = true;
    this.#socket.destroy();
  }

  #receive(bytes: Uint8Array): void {
    if (this.#closed) return;
    try {
      this.#messages.push(bytes);
      for (
        let message = this.#messages.next();
        message !== undefined && !this.#closed;
        message = this.#messages.next()
      ) {
        this.#events?.message(message);
      }
    } catch (error) {
      if (!(error instanceof FtvmError)) throw error;
      this.send({kind: 'bye', bye: {reason: 'refused', message: error.message}});
      this.#close(error.message);
    }
  }

  #close(reason: string): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#endSoon();
    this.#events?.closed(reason);
  }

  #endSoon(): void {
    const socket = this.#socket;
    if (this.#ending || socket.destroyed) return;
    this.#ending = true;
    const timer = setTimeout(() => socket.destroy(), LINGER_MS).unref();
    socket.once('close', () => clearTimeout(timer));
    // A paused one would never hear the other side close.
    socket.resume();
    socket.end(() => socket.destroySoon());
  }
}
