// The backup's lag: how long ago the primary was where the backup is now. Beyond 50 ms the primary is slowed in proportion, at one
// second it stands still (paper 2.4; DESIGN 7 "Buffers and lag"), so that a takeover never has more than that to execute.

/** Up to here a backup may lag for nothing. */
export const LAG_ALLOWED_MS = 50;
export const LAG_LIMIT_MS = 1000;
/** A slice's length, and the wait that stands for "until it has caught up"; see live-source. */
const SLICE_MS = 4;
const LONGEST_WAIT_MS = 20;
const SAMPLE_INTERVAL_MS = 5;
const SAMPLES = 1024;

/** When the primary was at which position. */
export class PositionClock {
  readonly #samples: {position: bigint; ms: number}[] = [];

  note(position: bigint, nowMs: number): void {
    const last = this.#samples.at(-1);
    if (last !== undefined && (nowMs - last.ms < SAMPLE_INTERVAL_MS || last.position >= position)) return;
    this.#samples.push({position, ms: nowMs});
    if (this.#samples.length > SAMPLES) this.#samples.splice(0, SAMPLES / 2);
  }

  /** Milliseconds since the primary left `position`; 0 when it is there still. */
  lagMs(position: bigint, nowMs: number): number {
    const later = this.#samples.find((sample) => sample.position > position);
    return later === undefined ? 0 : nowMs - later.ms;
  }
}

/** How long the guest waits after a slice at this lag. */
export function slowdownMs(lagMs: number): number {
  if (lagMs <= LAG_ALLOWED_MS) return 0;
  if (lagMs >= LAG_LIMIT_MS) return LONGEST_WAIT_MS;
  return Math.min(LONGEST_WAIT_MS - 1, (SLICE_MS * (lagMs - LAG_ALLOWED_MS)) / (LAG_LIMIT_MS - lagMs));
}
