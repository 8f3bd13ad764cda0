// mtime as a function of position (DESIGN 3): ticks + (position − base) / stepsPerTick, in ticks of 100 ns. It changes otherwise
// only by a clock input, by leaving WFI, and by the guest writing mtime.

import type {BigIntField, StateTable} from '../state-table.ts';

export class Clock {
  readonly #ticks: BigIntField;
  readonly #base: BigIntField;
  readonly #stepsPerTick: BigIntField;

  constructor(state: StateTable, stepsPerTick: number) {
    this.#ticks = state.u64('mtime.ticks');
    this.#base = state.u64('mtime.base');
    this.#stepsPerTick = state.u64('mtime.stepsPerTick');
    this.#stepsPerTick.value = BigInt(stepsPerTick);
  }

  get stepsPerTick(): number {
    return Number(this.#stepsPerTick.value);
  }

  mtime(position: bigint): bigint {
    return this.#ticks.value + (position - this.#base.value) / this.#stepsPerTick.value;
  }

  /** From `position` on mtime counts from `ticks`. */
  set(position: bigint, ticks: bigint, stepsPerTick = this.stepsPerTick): void {
    this.#ticks.value = ticks;
    this.#base.value = position;
    this.#stepsPerTick.value = BigInt(stepsPerTick);
  }

  /** The first position at which mtime is at least `ticks`. */
  positionOf(ticks: bigint): bigint {
    return this.#base.value + (ticks - this.#ticks.value) * this.#stepsPerTick.value;
  }
}
