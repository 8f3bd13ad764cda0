// A NIC at a switch, over a stream socket. The switch may go and come back: until then frames are dropped and counted, as on a cable
// that was pulled. Towards the guest nothing is dropped here: when too much waits, the socket is left unread.

import {createConnection, type Socket} from 'node:net';
import {FrameStream} from './frame-stream.ts';
import {formatNicAddress, MIN_FRAME_BYTES, type Nic, type NicAddress} from './nic.ts';

/** Between two attempts to reach a switch that is gone. */
const RECONNECT_MS = 100;
/** A remote switch that does not answer at all. */
const CONNECT_TIMEOUT_MS = 2000;
/** Frames that wait for the guest; beyond it the socket is left alone. */
const WAITING_LIMIT_BYTES = 1 << 20;

export class StreamNic implements Nic {
  readonly drops = {noPeer: 0, congested: 0, badSize: 0};
  readonly #address: Exclude<NicAddress, {kind: 'tap'}>;
  readonly #note: (text: string) => void;
  #stream: FrameStream | undefined;
  #waiting: Uint8Array[] = [];
  #waitingBytes = 0;
  #listener: () => void = () => {};
  #closed = false;
  #timer: NodeJS.Timeout | undefined;

  private constructor(address: Exclude<NicAddress, {kind: 'tap'}>, note: (text: string) => void) {
    this.#address = address;
    this.#note = note;
  }

  /** Resolves when the switch is connected, or the first attempt has failed and the next ones will follow by themselves. */
  static async open(address: Exclude<NicAddress, {kind: 'tap'}>, note: (text: string) => void): Promise<StreamNic> {
    const nic = new StreamNic(address, note);
    const failure = await nic.#connect();
    if (failure !== undefined) {
      note(`${formatNicAddress(address)}: ${failure}; frames are dropped until it answers`);
      nic.#retryLater();
    }
    return nic;
  }

  send(frame: Uint8Array): void {
    if (this.#stream === undefined) this.drops.noPeer += 1;
    else if (!this.#stream.send(frame)) this.drops.congested += 1;
  }

  take(limits: {frames: number; bytes: number}): Uint8Array[] {
    let count = 0;
    let bytes = 0;
    for (const frame of this.#waiting) {
      if (count === limits.frames || (count > 0 && bytes + frame.length > limits.bytes)) break;
      count += 1;
      bytes += frame.length;
    }
    this.#waitingBytes -= bytes;
    if (this.#waitingBytes < WAITING_LIMIT_BYTES) this.#stream?.resume();
    return this.#waiting.splice(0, count);
  }

  onFrames(listener: () => void): void {
    this.#listener = listener;
  }

  close(): void {
    this.#closed = true;
    clearTimeout(this.#timer);
    this.#stream?.close();
    this.#stream = undefined;
  }

  /** Resolves to what went wrong. */
  async #connect(): Promise<string | undefined> {
    const socket = this.#socket();
    const failure = await new Promise<string | undefined>((resolve) => {
      socket.setTimeout(CONNECT_TIMEOUT_MS, () => socket.destroy(new Error('no answer')));
      socket.once('connect', () => resolve(undefined));
      socket.once('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message));
    });
    if (failure !== undefined) return failure;
    socket.setTimeout(0);
    socket.removeAllListeners('error');
    if (this.#closed) {
      socket.destroy();
      return undefined;
    }
    this.#stream = new FrameStream(socket, {
      frame: (frame) => this.#receive(frame),
      closed: (reason) => this.#lost(reason),
    });
    return undefined;
  }

  #socket(): Socket {
    const address = this.#address;
    return address.kind === 'unix'
      ? createConnection({path: address.path})
      : createConnection({...address.endpoint, noDelay: true, keepAlive: true});
  }

  #receive(frame: Uint8Array): void {
    if (frame.length < MIN_FRAME_BYTES) {
      this.drops.badSize += 1;
      return;
    }
    this.#waiting.push(frame);
    this.#waitingBytes += frame.length;
    if (this.#waitingBytes >= WAITING_LIMIT_BYTES) this.#stream?.pause();
    this.#listener();
  }

  #lost(reason: string): void {
    this.#stream = undefined;
    if (this.#closed) return;
    this.#note(`${formatNicAddress(this.#address)}: ${reason}; frames are dropped until it is back`);
    this.#retryLater();
  }

  #retryLater(): void {
    this.#timer = setTimeout(async () => {
      const failure = await this.#connect();
      if (this.#closed) return;
      if (failure !== undefined) this.#retryLater();
      else this.#note(`${formatNicAddress(this.#address)}: connected`);
    }, RECONNECT_MS);
  }
}
