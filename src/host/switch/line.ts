// A port's line, which tests make a bad one: frames get lost with a probability, come late, in order, or not at all. Which are lost depends on
// the seed and the number of frames that were sent alone, not on when it was set.

export type LineSettings = {
  /** Of the frames that leave by the port: how many get lost, 0 to 1. */
  loss: number;
  /** How late they arrive. */
  delayMs: number;
  /** Nothing passes, either way, as with a pulled cable that nobody notices. */
  cut: boolean;
};

export const GOOD_LINE: LineSettings = {loss: 0, delayMs: 0, cut: false};

/** What waits on a delayed line. */
const LINE_LIMIT_FRAMES = 65_536;

export class Line {
  settings: LineSettings;
  readonly #send: (frame: Uint8Array) => boolean;
  readonly #random: () => number;
  #late: {frame: Uint8Array; dueMs: number}[] = [];
  #timer: NodeJS.Timeout | undefined;

  /** `send` is the line's far end; false from it is a frame dropped there. */
  constructor(options: {settings: LineSettings; seed: number; send: (frame: Uint8Array) => boolean}) {
    this.settings = options.settings;
    this.#send = options.send;
    this.#random = mulberry32(options.seed);
  }

  /** False: dropped, the peer is too slow or gone. What was lost on the line counts as sent, as on any line. */
  send(frame: Uint8Array): boolean {
    const {loss, delayMs, cut} = this.settings;
    const isLost = this.#random() < loss;
    if (isLost || cut) return true;
    if (delayMs === 0 && this.#late.length === 0) return this.#send(frame);
    if (this.#late.length >= LINE_LIMIT_FRAMES) return false;
    this.#late.push({frame, dueMs: performance.now() + delayMs});
    this.#timer ??= setTimeout(() => this.#deliver(), delayMs);
    return true;
  }

  close(): void {
    clearTimeout(this.#timer);
    this.#late = [];
  }

  #deliver(): void {
    const nowMs = performance.now();
    // One whose delay was set lower waits for those before it.
    const count = this.#late.findIndex(({dueMs}) => dueMs > nowMs);
    for (const {frame} of this.#late.splice(0, count < 0 ? this.#late.length : count)) {
      if (!this.settings.cut) this.#send(frame);
    }
    const [next] = this.#late;
    this.#timer = next === undefined ? undefined : setTimeout(() => this.#deliver(), Math.ceil(next.dueMs - nowMs));
  }
}

/** Tommy Ettinger's Mulberry32: numbers in [0, 1) from a 32-bit seed. */
function mulberry32(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
