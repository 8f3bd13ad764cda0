// The real-time clock: google,goldfish-rtc as in QEMU's `virt` machine, at 0x101000, irq 11; nanoseconds since 1970.
// Its time is a function of mtime: epochNs + offsetNs + what the guest has set + 100 * mtime. It must never ask the host.
// An alarm is a timer deadline at an exact mtime: the machine asks `nextAlarmTicks` and calls `update` when mtime has
// reached it, after every clock or rtc input, and nowhere else needs to.
// Source: QEMU's hw/rtc/goldfish_rtc.c; Linux's drivers/rtc/rtc-goldfish.c.

import type {BigIntField, NumberField, StateTable} from '../state-table.ts';
import type {Device, IrqLine} from './device.ts';

const TIME_LOW = 0x00;
const TIME_HIGH = 0x04;
const ALARM_LOW = 0x08;
const ALARM_HIGH = 0x0c;
const IRQ_ENABLED = 0x10;
const CLEAR_ALARM = 0x14;
const ALARM_STATUS = 0x18;
const CLEAR_INTERRUPT = 0x1c;

/** mtime runs at 10 MHz (DESIGN 3). */
const NS_PER_TICK = 100n;
const LOW_MASK = 0xffff_ffffn;
const HIGH_MASK = 0xffff_ffff_0000_0000n;

export class GoldfishRtc implements Device {
  readonly name = 'rtc';
  readonly #irq: IrqLine;
  readonly #epochNs: bigint;
  readonly #mtime: () => bigint;
  readonly #deadlineChanged: () => void;

  /** Set by `rtc` inputs; two's complement. */
  readonly #offsetNs: BigIntField;
  /** What writes of the guest to the time registers have added; two's complement. */
  readonly #guestOffsetNs: BigIntField;
  readonly #timeHigh: NumberField;
  readonly #alarmNs: BigIntField;
  readonly #alarmArmed: NumberField;
  readonly #irqEnabled: NumberField;
  readonly #irqPending: NumberField;

  /** `mtime`: the present mtime in ticks of 100 ns. `deadlineChanged` is called when the guest may have moved `nextAlarmTicks`
   *  nearer: a slice that was planned without it must end. */
  constructor(options: {
    state: StateTable;
    irq: IrqLine;
    epochNs: bigint;
    mtime: () => bigint;
    deadlineChanged?: () => void;
  }) {
    const {state} = options;
    this.#irq = options.irq;
    this.#epochNs = options.epochNs;
    this.#mtime = options.mtime;
    this.#deadlineChanged = options.deadlineChanged ?? (() => {});
    this.#offsetNs = state.u64('rtc.offsetNs');
    this.#guestOffsetNs = state.u64('rtc.guestOffsetNs');
    this.#timeHigh = state.u32('rtc.timeHigh');
    this.#alarmNs = state.u64('rtc.alarmNs');
    this.#alarmArmed = state.u8('rtc.alarmArmed');
    this.#irqEnabled = state.u8('rtc.irqEnabled');
    this.#irqPending = state.u8('rtc.irqPending');
  }

  /** As after power-on; the offset that `rtc` inputs have set is not the guest's and stays. */
  reset(): void {
    this.#guestOffsetNs.value = 0n;
    this.#timeHigh.value = 0;
    this.#alarmNs.value = 0n;
    this.#alarmArmed.value = 0;
    this.#irqEnabled.value = 0;
    this.#irqPending.value = 0;
    this.#updateIrq();
  }

  /** The `rtc` input: the clock shows epochNs + offsetNs + mtime from now on (plus what the guest itself has set). */
  setOffset(offsetNs: bigint): void {
    this.#offsetNs.value = BigInt.asUintN(64, offsetNs);
    this.update();
  }

  /** The first mtime at which the armed alarm is due; undefined when none is armed. It may lie in the past. */
  nextAlarmTicks(): bigint | undefined {
    if (this.#alarmArmed.value === 0) return undefined;
    const distanceNs = this.#alarmNs.value - this.#timeAtZeroNs();
    return distanceNs <= 0n ? 0n : (distanceNs + NS_PER_TICK - 1n) / NS_PER_TICK;
  }

  /** Raises the alarm if it is due. */
  update(): void {
    if (this.#alarmArmed.value === 0 || this.#timeNs() < this.#alarmNs.value) return;
    this.#alarmArmed.value = 0;
    this.#irqPending.value = 1;
    this.#updateIrq();
  }

  read(offset: number, sizeBytes: 1 | 2 | 4): number {
    if (sizeBytes !== 4) return 0;
    switch (offset) {
      case TIME_LOW: {
        // Reading the low half latches the high one, so that the pair belongs to one moment.
        const timeNs = this.#timeNs();
        this.#timeHigh.value = Number(timeNs >> 32n);
        return Number(timeNs & LOW_MASK);
      }
      case TIME_HIGH:
        return this.#timeHigh.value;
      case ALARM_LOW:
        return Number(this.#alarmNs.value & LOW_MASK);
      case ALARM_HIGH:
        return Number(this.#alarmNs.value >> 32n);
      case IRQ_ENABLED:
        return this.#irqEnabled.value;
      case ALARM_STATUS:
        return this.#alarmArmed.value;
      default:
        return 0;
    }
  }

  write(offset: number, sizeBytes: 1 | 2 | 4, value: number): void {
    if (sizeBytes !== 4) return;
    const low = BigInt(value >>> 0);
    const high = low << 32n;
    switch (offset) {
      case TIME_LOW:
        this.#setTime((this.#timeNs() & HIGH_MASK) | low);
        break;
      case TIME_HIGH:
        this.#setTime((this.#timeNs() & LOW_MASK) | high);
        break;
      case ALARM_LOW:
        // Linux writes the high half first: the low half arms.
        this.#alarmNs.value = (this.#alarmNs.value & HIGH_MASK) | low;
        this.#alarmArmed.value = 1;
        this.update();
        this.#deadlineChanged();
        break;
      case ALARM_HIGH:
        this.#alarmNs.value = (this.#alarmNs.value & LOW_MASK) | high;
        this.#deadlineChanged();
        break;
      case IRQ_ENABLED:
        this.#irqEnabled.value = value & 1;
        this.#updateIrq();
        break;
      case CLEAR_ALARM:
        this.#alarmArmed.value = 0;
        break;
      case CLEAR_INTERRUPT:
        this.#irqPending.value = 0;
        this.#updateIrq();
        break;
    }
  }

  #timeAtZeroNs(): bigint {
    return BigInt.asUintN(64, this.#epochNs + this.#offsetNs.value + this.#guestOffsetNs.value);
  }

  #timeNs(): bigint {
    return BigInt.asUintN(64, this.#timeAtZeroNs() + this.#mtime() * NS_PER_TICK);
  }

  #setTime(timeNs: bigint): void {
    this.#guestOffsetNs.value = BigInt.asUintN(64, this.#guestOffsetNs.value + timeNs - this.#timeNs());
    this.update();
    this.#deadlineChanged();
  }

  #updateIrq(): void {
    this.#irq.set(this.#irqPending.value !== 0 && this.#irqEnabled.value !== 0);
  }
}
