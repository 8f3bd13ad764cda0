// Keeps the guest's time near the host's (DESIGN 3): mtime runs by steps, so its rate is a guess; when a busy guest's drift exceeds
// 5 ms a clock input corrects it, forwards or by rate, at most four times a second. Time never goes back or stands still.

import type {Input} from '../emulator/input.ts';
import type {MachineInterface} from '../emulator/machine-interface.ts';
import type {HostClock} from '../host/monotonic-clock.ts';

export type ClockInput = Extract<Input, {kind: 'clock'}>;

const NS_PER_TICK = 100n;
/** 5 ms. */
const DRIFT_LIMIT_TICKS = 50_000n;
/** A quarter of a second. */
const CORRECTION_INTERVAL_TICKS = 2_500_000n;

export class LiveClock {
  readonly #clock: HostClock;
  readonly #startNs: bigint;
  readonly #startTicks: bigint;
  #lastCorrection: bigint;
  #lastPosition: bigint;

  /** From now on mtime shall be `machine.mtime` plus the time that passes. */
  constructor(clock: HostClock, machine: MachineInterface) {
    this.#clock = clock;
    this.#startNs = clock.nowNs();
    this.#startTicks = machine.mtime;
    this.#lastCorrection = this.#startTicks;
    this.#lastPosition = machine.position;
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

  /** The correction that a busy guest needs now, if any. */
  correction(machine: MachineInterface): ClockInput | undefined {
    const ticks = this.ticks();
    const elapsed = ticks - this.#lastCorrection;
    if (elapsed < CORRECTION_INTERVAL_TICKS) return undefined;
    const {mtime} = machine;
    const steps = machine.position - this.#lastPosition;
    this.#lastCorrection = ticks;
    this.#lastPosition = machine.position;
    const drift = mtime - ticks;
    if (drift <= DRIFT_LIMIT_TICKS && drift >= -DRIFT_LIMIT_TICKS) return undefined;
    const measured = Number(steps) / Number(elapsed);
    if (drift < 0n) return {kind: 'clock', ticks, stepsPerTick: Math.max(1, Math.round(measured))};
    // Ahead: so slow that the drift is gone after the next interval.
    const ahead = Number(drift) / Number(CORRECTION_INTERVAL_TICKS);
    return {kind: 'clock', ticks: mtime, stepsPerTick: Math.max(1, Math.ceil(measured * (1 + ahead)))};
  }
}
