// The backup's lag: how long ago the primary was where the backup is now, as far as the primary knows. Beyond 10 ms, and what the way
// there and back takes, the primary is slowed; at one second it stands still (paper 2.4; DESIGN 7 "Buffers and lag"), so that a takeover
// never has more than that to execute.

/**
 * Up to here a backup may lag for nothing: two slices and a half. It makes each run at the same time, but what it has fallen behind by it
 * never makes up for unless the primary waits, as both are equally fast.
 */
export const LAG_ALLOWED_MS = 10;
export const LAG_LIMIT_MS = 1000;
/** A slice's length, and the wait that stands for "until it has caught up"; see live-source. */
const SLICE_MS = 4;
const LONGEST_WAIT_MS = 20;
/** What a timer waits at least. */
const LEAST_WAIT_MS = 1;
/** Longer ones are a channel that carries too little. */
const ROUND_TRIP_LIMIT_MS = 100;
const ROUND_TRIPS = 16;
const SAMPLE_INTERVAL_MS = 2;
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

/** How long a record is on its way to the backup, and the acknowledgement of it on its way back. */
export class RoundTrip {
  #recentMs: number[] = [];
  /** The record whose acknowledgement is waited for, and since when. */
  #sent: {ordinal: bigint; ms: number} | undefined;

  sent(ordinal: bigint, nowMs: number): void {
    this.#sent ??= {ordinal, ms: nowMs};
  }

  acknowledged(ordinal: bigint, nowMs: number): void {
    if (this.#sent === undefined || ordinal < this.#sent.ordinal) return;
    this.#recentMs = [...this.#recentMs.slice(1 - ROUND_TRIPS), nowMs - this.#sent.ms];
    this.#sent = undefined;
  }

  /** The shortest lately: the others had to wait for one side or the other. */
  get ms(): number {
    return this.#recentMs.length === 0 ? 0 : Math.min(...this.#recentMs);
  }
}

/** How long the guest waits after a slice at this lag. */
export function slowdownMs({lagMs, roundTripMs}: {lagMs: number; roundTripMs: number}): number {
  const allowedMs = LAG_ALLOWED_MS + Math.min(roundTripMs, ROUND_TRIP_LIMIT_MS);
  if (lagMs <= allowedMs) return 0;
  if (lagMs >= LAG_LIMIT_MS) return LONGEST_WAIT_MS;
  return Math.min(
    LONGEST_WAIT_MS - 1,
    Math.max(LEAST_WAIT_MS, (SLICE_MS * (lagMs - allowedMs)) / (LAG_LIMIT_MS - lagMs)),
  );
}
