// Ethernet frames over a byte stream, as QEMU's `-netdev stream`, passt and ftvm's switch speak it: a big-endian u32 with the frame's
// length, then the frame. A length of 0, or one that no frame has, breaks the connection, before memory is taken for it.

import type {Socket} from 'node:net';
import {MAX_FRAME_BYTES} from './nic.ts';

const LENGTH_BYTES = 4;
/** Bytes that wait in a socket for a slow peer; beyond it frames are dropped, as a full queue of a card would. */
const SEND_LIMIT_BYTES = 4 << 20;
/** From here on senders who can wait should. */
const CONGESTED_BYTES = 256 << 10;

export type FrameStreamEvents = {
  frame(frame: Uint8Array): void;
  /** Once, whoever closed it. `reason` is for people. */
  closed(reason: string): void;
  /** Everything that was sent has left, after it had been waiting. */
  drained?(): void;
};

export class FrameStream {
  readonly #socket: Socket;
  readonly #decoder = new FrameDecoder();

  /** Takes the connected socket over. */
  constructor(socket: Socket, events: FrameStreamEvents) {
    this.#socket = socket;
    let reason = 'the peer closed the connection';
    socket.on('error', (error) => {
      reason = error.message;
    });
    socket.on('close', () => events.closed(reason));
    socket.on('drain', () => events.drained?.());
    // Half-open streams make no sense here.
    socket.on('end', () => socket.destroy());
    socket.on('data', (chunk: Buffer) => {
      this.#decoder.push(chunk);
      for (let frame = this.#decoder.next(); frame !== undefined; frame = this.#decoder.next()) {
        if (frame instanceof Uint8Array) {
          events.frame(frame);
          continue;
        }
        reason = `a frame of ${frame.badLength} bytes, which no Ethernet frame has`;
        socket.destroy();
        return;
      }
    });
  }

  /** False: dropped, the peer is too slow or gone. */
  send(frame: Uint8Array): boolean {
    const socket = this.#socket;
    if (!socket.writable || socket.writableLength > SEND_LIMIT_BYTES) return false;
    socket.write(encodeFrame(frame));
    return true;
  }

  /** More waits for the peer than it should. */
  get congested(): boolean {
    return this.#socket.writableLength > CONGESTED_BYTES;
  }

  /** Reads nothing more until `resume`: the peer's queue fills instead of ours. */
  pause(): void {
    this.#socket.pause();
  }

  resume(): void {
    this.#socket.resume();
  }

  /** What was sent before still leaves. */
  close(): void {
    this.#socket.destroySoon();
  }
}

export function encodeFrame(frame: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(LENGTH_BYTES + frame.length);
  new DataView(bytes.buffer).setUint32(0, frame.length);
  bytes.set(frame, LENGTH_BYTES);
  return bytes;
}

export class FrameDecoder {
  #chunks: Uint8Array[] = [];
  #lengthBytes = 0;
  /** Of the frame that comes next, once its head is here. */
  #frameBytes: number | undefined;

  push(chunk: Uint8Array): void {
    this.#chunks.push(chunk);
    this.#lengthBytes += chunk.length;
  }

  /** The next whole frame, in memory of its own; after a bad length there is nothing more to be had. */
  next(): Uint8Array | {badLength: number} | undefined {
    if (this.#frameBytes === undefined) {
      if (this.#lengthBytes < LENGTH_BYTES) return undefined;
      const head = this.#take(LENGTH_BYTES);
      const length = new DataView(head.buffer, head.byteOffset).getUint32(0);
      if (length === 0 || length > MAX_FRAME_BYTES) return {badLength: length};
      this.#frameBytes = length;
    }
    if (this.#lengthBytes < this.#frameBytes) return undefined;
    const frame = this.#take(this.#frameBytes);
    this.#frameBytes = undefined;
    return frame;
  }

  #take(lengthBytes: number): Uint8Array {
    const taken = new Uint8Array(lengthBytes);
    for (let at = 0; at < lengthBytes; ) {
      const chunk = this.#chunks[0];
      const part = chunk.subarray(0, lengthBytes - at);
      taken.set(part, at);
      at += part.length;
      if (part.length === chunk.length) this.#chunks.shift();
      else this.#chunks[0] = chunk.subarray(part.length);
    }
    this.#lengthBytes -= lengthBytes;
    return taken;
  }
}
