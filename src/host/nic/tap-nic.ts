// A NIC at a TAP interface of this host, which an administrator bridges or routes as any other. It may be taken down, or away, and come
// back: until then frames are dropped and counted, as on a cable that was pulled. Towards the guest nothing is dropped here: when too much
// waits, the interface is left unread, and its own queue fills.

import {FrameQueue} from './frame-queue.ts';
import type {Nic} from './nic.ts';
import {TapDevice} from './tap-device.ts';

/** Frames read in one turn of the event loop: as many as the guest takes in one input. */
const BATCH_FRAMES = 256;
/** Between two attempts to attach to an interface that is gone. */
const REATTACH_MS = 100;

export class TapNic implements Nic {
  readonly drops = {noPeer: 0, congested: 0, badSize: 0};
  readonly #name: string;
  readonly #note: (text: string) => void;
  readonly #waiting = new FrameQueue();
  #device: TapDevice | undefined;
  /** Whether people were told that frames are dropped. */
  #isDown = false;
  #listener: () => void = () => {};
  #timer: NodeJS.Timeout | undefined;

  /** Throws what TapDevice throws. */
  constructor(name: string, options: {note: (text: string) => void}) {
    this.#name = name;
    this.#note = options.note;
    this.#attach(new TapDevice(name));
  }

  send(frame: Uint8Array): void {
    const result = this.#device?.write(frame) ?? 'gone';
    switch (result) {
      case 'sent':
        if (this.#isDown) this.#note(`tap:${this.#name}: up again`);
        this.#isDown = false;
        return;
      case 'congested':
      case 'badSize':
        this.drops[result] += 1;
        return;
      default:
        this.drops.noPeer += 1;
        this.#down('the interface is down');
    }
  }

  take(limits: {frames: number; bytes: number}): Uint8Array[] {
    const frames = this.#waiting.take(limits);
    if (!this.#waiting.isFull) this.#device?.watch(() => this.#receive());
    return frames;
  }

  onFrames(listener: () => void): void {
    this.#listener = listener;
  }

  close(): void {
    clearTimeout(this.#timer);
    this.#device?.close();
    this.#device = undefined;
  }

  #attach(device: TapDevice): void {
    this.#device = device;
    device.watch(() => this.#receive());
  }

  #receive(): void {
    for (let count = 0; count < BATCH_FRAMES && !this.#waiting.isFull; count += 1) {
      const frame = this.#device?.read() ?? 'nothing';
      if (frame === 'gone') return this.#lost();
      if (frame === 'nothing') break;
      if (!this.#waiting.push(frame)) this.drops.badSize += 1;
    }
    if (this.#waiting.isFull) this.#device?.unwatch();
    this.#listener();
  }

  #lost(): void {
    this.#device?.close();
    this.#device = undefined;
    this.#down('the interface is gone');
    this.#reattachLater();
  }

  #down(why: string): void {
    if (!this.#isDown) this.#note(`tap:${this.#name}: ${why}; frames are dropped until it is back`);
    this.#isDown = true;
  }

  #reattachLater(): void {
    this.#timer = setTimeout(() => {
      try {
        this.#attach(new TapDevice(this.#name));
      } catch {
        this.#reattachLater();
      }
    }, REATTACH_MS);
  }
}
