// Keeps the guest's time near the host's (DESIGN 3): mtime runs by steps, so its rate is a guess; when a busy guest's drift exceeds
// 5 ms a clock input corrects it, forwards or by rate, at most four times a second. Time never goes back or stands still, so that a guest
// that has run ahead must wait in its next sleep for what it is ahead: one that got faster at once is corrected at once.

import type {Input} from '../emulator/input.ts';
import type {MachineInterface} from '../emulator/machine-interface.ts';
import type {HostClock} from '../host/monotonic-clock.ts';

export type ClockInput = Extract<Input, {kind: 'clock'}>;

const NS_PER_TICK = 100n;
/** 5 ms. */
const DRIFT_LIMIT_TICKS = 50_000n;
/** A quarter of a second. */
const CORRECTION_INTERVAL_TICKS = 2_500_000n;
/** 20 ms: who is so far ahead and still gains is corrected without waiting for the interval. */
const LEAD_LIMIT_TICKS = 200_000n;
/** 10 ms: what the guest's speed is taken from, at least. */
const LOOK_INTERVAL_TICKS = 100_000n;

/** Where host and guest stood at a look. `idle`: how long the guest has waited, up to there. */
type Look = {ticks: bigint; idleTicks: bigint; position: bigint};

export class LiveClock {
  readonly #clock: HostClock;
  readonly #startNs: bigint;
  readonly #startTicks: bigint;
  #idleNs = 0n;
  #corrected: Look;
  #looked: Look;

  /** From now on mtime shall be `machine.mtime` plus the time that passes. */
  constructor(clock: HostClock, machine: MachineInterface) {
    this.#clock = clock;
    this.#startNs = clock.nowNs();
    this.#startTicks = machine.mtime;
    this.#corrected = {ticks: this.#startTicks, idleTicks: 0n, position: machine.position};
    this.#looked = this.#corrected;
  }

  /** What mtime should be now. */
  ticks(): bigint {
    return this.#startTicks + (this.#clock.nowNs() - this.#startNs) / NS_PER_TICK;
  }

  /** Milliseconds until the host's clock reaches mtime `ticks`; 0 when it has. */
  untilMs(ticks: bigint): number {
    const left = ticks - this.ticks();
    return left <= 0n ? 0 : Number(left) / 10_000;
  }

  /** The input that brings a guest, which was waiting, to the present; undefined when it is there. */
  toPresent(machine: MachineInterface): ClockInput | undefined {
    const ticks = this.ticks();
    return ticks <= machine.mtime ? undefined : {kind: 'clock', ticks, stepsPerTick: machine.stepsPerTick};
  }

  /** The guest has waited for so long. */
  idled(ns: bigint): void {
    this.#idleNs += ns;
  }

  /** The correction that a busy guest needs now, if any. */
  correction(machine: MachineInterface): ClockInput | undefined {
    const {mtime, position} = machine;
    const now: Look = {ticks: this.ticks(), idleTicks: this.#idleNs / NS_PER_TICK, position};
    if (now.ticks - this.#looked.ticks < LOOK_INTERVAL_TICKS) return undefined;
    const lately = stepsPerTickBetween(this.#looked, now);
    this.#looked = now;
    const drift = mtime - now.ticks;
    const isDue = now.ticks - this.#corrected.ticks >= CORRECTION_INTERVAL_TICKS;
    const runsAway = drift > LEAD_LIMIT_TICKS && lately !== undefined && lately > machine.stepsPerTick;
    if (!isDue && !runsAway) return undefined;
    const measured = isDue ? stepsPerTickBetween(this.#corrected, now) : lately;
    this.#corrected = now;
    if (drift <= DRIFT_LIMIT_TICKS && drift >= -DRIFT_LIMIT_TICKS) return undefined;
    const rate = measured ?? machine.stepsPerTick;
    if (drift < 0n) return {kind: 'clock', ticks: now.ticks, stepsPerTick: Math.max(1, Math.round(rate))};
    // Ahead: so slow that the drift is gone after the next interval.
    const ahead = Number(drift) / Number(CORRECTION_INTERVAL_TICKS);
    return {kind: 'clock', ticks: mtime, stepsPerTick: Math.max(1, Math.ceil(rate * (1 + ahead)))};
  }
}

/** How fast the guest runs while it does not wait; undefined when it did little else. */
function stepsPerTickBetween(from: Look, to: Look): number | undefined {
  const busyTicks = to.ticks - from.ticks - (to.idleTicks - from.idleTicks);
  return busyTicks < LOOK_INTERVAL_TICKS / 2n ? undefined : Number(to.position - from.position) / Number(busyTicks);
}
