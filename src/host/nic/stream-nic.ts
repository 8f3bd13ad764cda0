// A NIC at a switch, over a stream socket. The switch may go and come back: until then frames are dropped and counted, as on a cable
// that was pulled. Towards the guest nothing is dropped here: when too much waits, the socket is left unread.

import {createConnection, type Socket} from 'node:net';
import {FtvmError} from '../../errors.ts';
import {connectSecurely} from '../secure-stream.ts';
import {FrameQueue} from './frame-queue.ts';
import {FrameStream} from './frame-stream.ts';
import {formatNicAddress, type Nic, type StreamAddress} from './nic.ts';

export type NicOptions = {
  /** What the switch shares with us, needed for TCP beyond the loopback: the stream is TLS then. */
  secret: Uint8Array | undefined;
  /** Hears when a switch goes and comes back. */
  note: (text: string) => void;
};

/** Between two attempts to reach a switch that is gone. */
const RECONNECT_MS = 100;
/** A remote switch that does not answer at all. */
const CONNECT_TIMEOUT_MS = 2000;

export class StreamNic implements Nic {
  readonly drops = {noPeer: 0, congested: 0, badSize: 0};
  readonly #address: StreamAddress;
  readonly #secret: Uint8Array | undefined;
  readonly #note: (text: string) => void;
  readonly #waiting = new FrameQueue();
  #stream: FrameStream | undefined;
  #listener: () => void = () => {};
  #closed = false;
  #timer: NodeJS.Timeout | undefined;

  private constructor(address: StreamAddress, options: NicOptions) {
    this.#address = address;
    this.#secret = options.secret;
    this.#note = options.note;
  }

  /**
   * Resolves when the switch is connected, or the first attempt has failed and the next ones will follow by themselves. Throws FtvmError
   * `usage` for an address beyond the loopback without a secret.
   */
  static async open(address: StreamAddress, options: NicOptions): Promise<StreamNic> {
    const nic = new StreamNic(address, options);
    const failure = await nic.#connect();
    if (failure !== undefined) {
      options.note(`${formatNicAddress(address)}: ${failure}; frames are dropped until it answers`);
      nic.#retryLater();
    }
    return nic;
  }

  send(frame: Uint8Array): void {
    if (this.#stream === undefined) this.drops.noPeer += 1;
    else if (!this.#stream.send(frame)) this.drops.congested += 1;
  }

  take(limits: {frames: number; bytes: number}): Uint8Array[] {
    const frames = this.#waiting.take(limits);
    if (!this.#waiting.isFull) this.#stream?.resume();
    return frames;
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

  /** Resolves to what went wrong. Throws FtvmError `usage`. */
  async #connect(): Promise<string | undefined> {
    let socket: Socket;
    try {
      socket = await this.#dial();
    } catch (error) {
      if (error instanceof FtvmError && error.code === 'usage') throw error;
      return error instanceof Error ? error.message : String(error);
    }
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

  async #dial(): Promise<Socket> {
    const address = this.#address;
    if (address.kind === 'tcp') {
      return connectSecurely(address.endpoint, {secret: this.#secret, timeoutMs: CONNECT_TIMEOUT_MS});
    }
    const socket = createConnection({path: address.path});
    await new Promise<void>((resolve, reject) => {
      socket.once('connect', resolve);
      socket.once('error', reject);
    });
    return socket;
  }

  #receive(frame: Uint8Array): void {
    if (!this.#waiting.push(frame)) {
      this.drops.badSize += 1;
      return;
    }
    if (this.#waiting.isFull) this.#stream?.pause();
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
