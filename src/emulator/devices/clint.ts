// The core-local interruptor of hart 0 (SiFive CLINT at 0x2000000, as QEMU's virt machine): msip at 0x0, mtimecmp at 0x4000,
// mtime at 0xbff8. It has no clock: mtime is asked for, and set, through its port.

import type {BigIntField, StateTable} from '../state-table.ts';
import type {Device} from './device.ts';

const MSIP = 0x0;
const MTIMECMP = 0x4000;
const MTIME = 0xbff8;

export type ClintPort = {
  mtime(): bigint;
  setMtime(ticks: bigint): void;
  /** Level of the machine software interrupt. */
  softwareInterrupt(level: boolean): void;
  /** mtimecmp changed: the next deadline is another. */
  deadlineChanged(): void;
};

export class Clint implements Device {
  readonly name = 'clint';
  readonly #port: ClintPort;
  readonly #msip;
  readonly #mtimecmp: BigIntField;

  constructor(state: StateTable, port: ClintPort) {
    this.#port = port;
    this.#msip = state.u32('clint.msip');
    this.#mtimecmp = state.u64('clint.mtimecmp');
    this.#mtimecmp.value = NEVER;
  }

  get mtimecmp(): bigint {
    return this.#mtimecmp.value;
  }

  read(offset: number, sizeBytes: 1 | 2 | 4): number {
    if (sizeBytes !== 4) return 0;
    switch (offset) {
      case MSIP:
        return this.#msip.value;
      case MTIMECMP:
      case MTIMECMP + 4:
        return half(this.#mtimecmp.value, offset - MTIMECMP);
      case MTIME:
      case MTIME + 4:
        return half(this.#port.mtime(), offset - MTIME);
      default:
        return 0;
    }
  }

  write(offset: number, sizeBytes: 1 | 2 | 4, value: number): void {
    if (sizeBytes !== 4) return;
    switch (offset) {
      case MSIP:
        this.#msip.value = value & 1;
        this.#port.softwareInterrupt((value & 1) === 1);
        return;
      case MTIMECMP:
      case MTIMECMP + 4:
        this.#mtimecmp.value = withHalf(this.#mtimecmp.value, offset - MTIMECMP, value);
        this.#port.deadlineChanged();
        return;
      case MTIME:
      case MTIME + 4:
        this.#port.setMtime(withHalf(this.#port.mtime(), offset - MTIME, value));
        this.#port.deadlineChanged();
        return;
      default:
    }
  }

  reset(): void {
    this.#msip.value = 0;
    this.#mtimecmp.value = NEVER;
    this.#port.softwareInterrupt(false);
    this.#port.deadlineChanged();
  }
}

/** mtimecmp after power-on: no deadline. */
const NEVER = 2n ** 64n - 1n;

/** The low half for offset 0, the high half for offset 4. */
const half = (value: bigint, offset: number): number => Number((value >> BigInt(8 * offset)) & 0xffff_ffffn);

function withHalf(old: bigint, offset: number, value: number): bigint {
  const shift = BigInt(8 * offset);
  return (old & ~(0xffff_ffffn << shift)) | (BigInt(value >>> 0) << shift);
}
