// A socket without a network: what a peer says is heard at once, and what is said to it is counted. A deaf one takes nothing.

import {EventEmitter} from 'node:events';
import type {Socket} from 'node:net';

/** What a socket takes before `write` says that it is enough (Node's writableHighWaterMark). */
const HIGH_WATER_BYTES = 64 * 1024;

export class Wire extends EventEmitter {
  readonly localAddress = '127.0.0.1';
  readonly remoteAddress = '127.0.0.1';
  destroyed = false;
  writable = true;
  /** Said to this peer, and not taken. */
  writableLength = 0;
  #paused = false;
  readonly #isDeaf: boolean;
  #said: Uint8Array[] = [];

  constructor({isDeaf}: {isDeaf: boolean}) {
    super();
    this.#isDeaf = isDeaf;
  }

  get socket(): Socket {
    return this as unknown as Socket;
  }

  /** What was said to this peer; a deaf one has heard nothing. */
  get heard(): Buffer {
    return Buffer.concat(this.#said);
  }

  /** Whether the other side still listens, and to this peer. */
  get listens(): boolean {
    return this.writable && !this.destroyed && !this.#paused;
  }

  say(bytes: Uint8Array): void {
    if (this.listens) this.emit('data', bytes);
  }

  hangUp(): void {
    this.destroy();
  }

  write(bytes: Uint8Array): boolean {
    if (this.#isDeaf) this.writableLength += bytes.length;
    else this.#said.push(bytes);
    return this.writableLength < HIGH_WATER_BYTES;
  }

  end(): this {
    this.writable = false;
    return this;
  }

  pause(): this {
    this.#paused = true;
    return this;
  }

  resume(): this {
    this.#paused = false;
    return this;
  }

  /** What waits must leave first. */
  destroySoon(): void {
    if (this.writableLength > 0) this.end();
    else this.destroy();
  }

  destroy(): this {
    if (this.destroyed) return this;
    this.destroyed = true;
    this.writable = false;
    this.emit('close');
    return this;
  }
}
