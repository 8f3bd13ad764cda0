// Frames that have arrived and wait for the guest, oldest first. Nothing is dropped here: when it is full, whoever fills it stops reading
// from outside, so that the rest waits at the sender.

import {MIN_FRAME_BYTES} from './nic.ts';

/** From here on it is full. */
const WAITING_LIMIT_BYTES = 1 << 20;

export class FrameQueue {
  #frames: Uint8Array[] = [];
  #lengthBytes = 0;

  get isFull(): boolean {
    return this.#lengthBytes >= WAITING_LIMIT_BYTES;
  }

  /** Takes the frame over. False: refused, for it is shorter than any Ethernet frame. */
  push(frame: Uint8Array): boolean {
    if (frame.length < MIN_FRAME_BYTES) return false;
    this.#frames.push(frame);
    this.#lengthBytes += frame.length;
    return true;
  }

  /** As `Nic.take`. */
  take(limits: {frames: number; bytes: number}): Uint8Array[] {
    let count = 0;
    let bytes = 0;
    for (const frame of this.#frames) {
      if (count === limits.frames || (count > 0 && bytes + frame.length > limits.bytes)) break;
      count += 1;
      bytes += frame.length;
    }
    this.#lengthBytes -= bytes;
    return this.#frames.splice(0, count);
  }
}
