// Data accesses that miss the translation caches: page-crossing ones, devices, faults. Misaligned loads and stores
// of RAM simply work, atomics and devices want alignment.

import type {Bus} from '../devices/bus.ts';
import * as layout from '../layout.ts';
import type {Ram} from '../memory.ts';
import {PAGE_BYTES} from '../paged-memory.ts';
import {CAUSE} from '../status.ts';
import {SIGNED} from '../wasm/slot.ts';
import {FAULT, type Mmu} from './mmu.ts';
import type {Registers} from './registers.ts';
import type {Traps} from './traps.ts';

/** The status of an access that was not made. */
export const DEFERRED = 2;
/** Whether accesses to devices are made, or only found out. */
type Devices = 'access' | 'defer';

export class DataPath {
  readonly #registers: Registers;
  readonly #ram: Ram;
  readonly #mmu: Mmu;
  readonly #bus: Bus;
  readonly #traps: Traps;
  /** Bytes of an access, gathered from the pieces of two pages. */
  readonly #buffer = new DataView(new ArrayBuffer(8));

  constructor(parts: {registers: Registers; ram: Ram; mmu: Mmu; bus: Bus; traps: Traps}) {
    this.#registers = parts.registers;
    this.#ram = parts.ram;
    this.#mmu = parts.mmu;
    this.#bus = parts.bus;
    this.#traps = parts.traps;
  }

  /** Loads into VALUE; `kind` as ACCESS_KINDS. Returns 1 after a trap. */
  load(low: number, high: number, kind: number, devices: Devices = 'access'): number {
    const size = kind & 15;
    const first = Math.min(size, PAGE_BYTES - (low & (PAGE_BYTES - 1)));
    const address = this.#mmu.data(low, high, first, 'load');
    if (address < 0) return this.#fault('load', address, low, high);
    if (first === size) {
      if (!this.#ram.contains(address, size)) {
        if (devices === 'defer') return DEFERRED;
        if (!this.#loadDevice(address, size)) return this.#fault('load', FAULT.access, low, high);
      } else {
        this.#loadRam(address - layout.RAM_BASE, kind);
        return 0;
      }
    } else {
      const [nextLow, nextHigh] = following(low, high, first);
      const second = this.#mmu.data(nextLow, nextHigh, size - first, 'load');
      if (second < 0) return this.#fault('load', second, nextLow, nextHigh);
      if (!this.#ram.contains(address, first)) return this.#fault('load', FAULT.access, low, high);
      if (!this.#ram.contains(second, size - first)) return this.#fault('load', FAULT.access, nextLow, nextHigh);
      for (let n = 0; n < size; n += 1) {
        const at = n < first ? address + n : second + n - first;
        this.#buffer.setUint8(n, this.#ram.bytes[at - layout.RAM_BASE]);
      }
    }
    this.#extend(kind);
    return 0;
  }

  /** Stores VALUE. Returns 1 after a trap. */
  store(low: number, high: number, kind: number, devices: Devices = 'access'): number {
    const size = kind & 15;
    const first = Math.min(size, PAGE_BYTES - (low & (PAGE_BYTES - 1)));
    const address = this.#mmu.data(low, high, first, 'store');
    if (address < 0) return this.#fault('store', address, low, high);
    const {bytes} = this.#registers;
    if (first === size) {
      if (!this.#ram.contains(address, size)) {
        if (devices === 'defer') return DEFERRED;
        return this.#storeDevice(address, size) ? 0 : this.#fault('store', FAULT.access, low, high);
      }
      const offset = address - layout.RAM_BASE;
      this.#ram.written(offset, size);
      this.#storeRam(offset, size);
      return 0;
    }
    const [nextLow, nextHigh] = following(low, high, first);
    const second = this.#mmu.data(nextLow, nextHigh, size - first, 'store');
    if (second < 0) return this.#fault('store', second, nextLow, nextHigh);
    if (!this.#ram.contains(address, first)) return this.#fault('store', FAULT.access, low, high);
    if (!this.#ram.contains(second, size - first)) return this.#fault('store', FAULT.access, nextLow, nextHigh);
    this.#ram.written(address - layout.RAM_BASE, first);
    this.#ram.written(second - layout.RAM_BASE, size - first);
    for (let n = 0; n < size; n += 1) {
      const at = n < first ? address + n : second + n - first;
      this.#ram.bytes[at - layout.RAM_BASE] = bytes[layout.VALUE + n];
    }
    return 0;
  }

  /** Offset in RAM for an atomic access, or -1 after a trap. */
  atomic(low: number, high: number, sizeBytes: number, access: 'load' | 'store'): number {
    if ((low & (sizeBytes - 1)) !== 0) {
      this.#traps.exception(access === 'load' ? CAUSE.loadMisaligned : CAUSE.storeMisaligned, low, high);
      return -1;
    }
    const address = this.#mmu.data(low, high, sizeBytes, access);
    if (address < 0 || !this.#ram.contains(address, sizeBytes)) {
      this.#fault(access, address < 0 ? address : FAULT.access, low, high);
      return -1;
    }
    const offset = address - layout.RAM_BASE;
    if (access === 'store') this.#ram.written(offset, sizeBytes);
    return offset;
  }

  #loadRam(offset: number, kind: number): void {
    const {view} = this.#ram;
    const {i32} = this.#registers;
    const word = layout.VALUE / 4;
    switch (kind) {
      case 8:
        i32[word] = view.getInt32(offset, true);
        i32[word + 1] = view.getInt32(offset + 4, true);
        return;
      case 4:
        i32[word] = view.getInt32(offset, true);
        break;
      case 2:
        i32[word] = view.getUint16(offset, true);
        break;
      case 1:
        i32[word] = view.getUint8(offset);
        break;
      case SIGNED + 4:
        i32[word] = view.getInt32(offset, true);
        i32[word + 1] = i32[word] >> 31;
        return;
      case SIGNED + 2:
        i32[word] = view.getInt16(offset, true);
        i32[word + 1] = i32[word] >> 31;
        return;
      default:
        i32[word] = view.getInt8(offset);
        i32[word + 1] = i32[word] >> 31;
        return;
    }
    i32[word + 1] = 0;
  }

  #storeRam(offset: number, size: number): void {
    const {view} = this.#ram;
    const {i32} = this.#registers;
    const value = i32[layout.VALUE / 4];
    switch (size) {
      case 8:
        view.setInt32(offset, value, true);
        view.setInt32(offset + 4, i32[layout.VALUE / 4 + 1], true);
        return;
      case 4:
        view.setInt32(offset, value, true);
        return;
      case 2:
        view.setInt16(offset, value, true);
        return;
      default:
        view.setInt8(offset, value);
    }
  }

  /** Puts the gathered bytes into VALUE, extended to 64 bits. */
  #extend(kind: number): void {
    const {i32} = this.#registers;
    const word = layout.VALUE / 4;
    const size = kind & 15;
    if (size === 8) {
      i32[word] = this.#buffer.getInt32(0, true);
      i32[word + 1] = this.#buffer.getInt32(4, true);
      return;
    }
    const unused = 32 - 8 * size;
    const value = this.#buffer.getInt32(0, true) << unused;
    const signed = (kind & SIGNED) !== 0;
    i32[word] = signed ? value >> unused : value >>> unused;
    i32[word + 1] = signed ? value >> 31 : 0;
  }

  #loadDevice(address: number, size: number): boolean {
    const found = address % size === 0 ? this.#bus.find(address) : undefined;
    if (found === undefined) return false;
    if (size === 8) {
      this.#buffer.setUint32(0, found.device.read(found.offset, 4), true);
      this.#buffer.setUint32(4, found.device.read(found.offset + 4, 4), true);
    } else {
      this.#buffer.setUint32(0, found.device.read(found.offset, size as 1 | 2 | 4), true);
    }
    return true;
  }

  #storeDevice(address: number, size: number): boolean {
    const found = address % size === 0 ? this.#bus.find(address) : undefined;
    if (found === undefined) return false;
    const {u32} = this.#registers;
    const low = u32[layout.VALUE / 4];
    const high = u32[layout.VALUE / 4 + 1];
    const {device, offset} = found;
    if (size === 8) {
      device.write(offset, 4, low);
      device.write(offset + 4, 4, high);
    } else {
      device.write(offset, size as 1 | 2 | 4, size === 4 ? low : low & ((1 << (8 * size)) - 1));
    }
    return true;
  }

  #fault(access: 'load' | 'store', fault: number, low: number, high: number): 1 {
    const page = access === 'load' ? CAUSE.loadPage : CAUSE.storePage;
    const other = access === 'load' ? CAUSE.loadAccess : CAUSE.storeAccess;
    this.#traps.exception(fault === FAULT.page ? page : other, low, high);
    return 1;
  }
}

/** The address `distance` bytes further on. */
export function following(low: number, high: number, distance: number): [number, number] {
  const next = (low + distance) | 0;
  return [next, next === 0 ? (high + 1) | 0 : high];
}
