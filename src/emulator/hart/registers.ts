// The hart's registers where generated code keeps them, as views; and the same registers' names for the state table.

import {offsetOf, PMP_ADDRESSES, PMP_ENTRIES, STORED, type StoredCsr} from '../csr-storage.ts';
import * as layout from '../layout.ts';
import type {StateTable} from '../state-table.ts';

export class Registers {
  /** Little-endian views of the module's memory; index = offset / size. */
  readonly i32: Int32Array;
  readonly u32: Uint32Array;
  readonly u64: BigUint64Array;
  readonly i64: BigInt64Array;
  readonly bytes: Uint8Array;

  constructor(memory: WebAssembly.Memory, state: StateTable) {
    const {buffer} = memory;
    this.i32 = new Int32Array(buffer);
    this.u32 = new Uint32Array(buffer);
    this.u64 = new BigUint64Array(buffer, 0, layout.CSRS_END / 8);
    this.i64 = new BigInt64Array(buffer, 0, 0x1000 / 8);
    this.bytes = new Uint8Array(buffer);
    const view = new DataView(buffer);
    state.u64('pc', view, layout.PC);
    for (let n = 1; n < 32; n += 1) state.u64(`x${n}`, view, layout.X + 8 * n);
    for (let n = 0; n < 32; n += 1) state.u64(`f${n}`, view, layout.F + 8 * n);
    state.u32('fflags', view, layout.FFLAGS);
    state.u32('frm', view, layout.FRM);
    state.u32('mstatus.FS', view, layout.FS);
    state.u32('reservation', view, layout.RESERVATION);
    for (const name of STORED) state.u64(name, view, offsetOf(name));
    for (let n = 0; n < PMP_ENTRIES; n += 1) state.u64(`pmpaddr${n}`, view, PMP_ADDRESSES + 8 * n);
  }

  get(name: StoredCsr): bigint {
    return this.u64[offsetOf(name) / 8];
  }

  set(name: StoredCsr, value: bigint): void {
    this.u64[offsetOf(name) / 8] = value;
  }

  /** The low half, unsigned. */
  low(name: StoredCsr): number {
    return this.u32[offsetOf(name) / 4];
  }

  setLow(name: StoredCsr, value: number): void {
    this.u32[offsetOf(name) / 4] = value;
  }

  get pc(): bigint {
    return this.u64[layout.PC / 8];
  }

  set pc(value: bigint) {
    this.u64[layout.PC / 8] = value;
  }

  x(n: number): bigint {
    return this.u64[layout.X / 8 + n];
  }

  setX(n: number, value: bigint): void {
    if (n !== 0) this.u64[layout.X / 8 + n] = value;
  }

  pmpaddr(n: number): bigint {
    return this.u64[PMP_ADDRESSES / 8 + n];
  }

  setPmpaddr(n: number, value: bigint): void {
    this.u64[PMP_ADDRESSES / 8 + n] = value;
  }

  /** The configuration byte of PMP entry n. */
  pmpcfg(n: number): number {
    return this.bytes[offsetOf(n < 8 ? 'pmpcfg0' : 'pmpcfg2') + (n & 7)];
  }
}
