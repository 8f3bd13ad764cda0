// The memory map: from a guest-physical address to a device and the offset in it. RAM is not here; the hart looks there first.
// An address without a device is undefined, and the hart raises an access fault. It holds wiring only, no state.

import {assert} from '../../errors.ts';
import type {Device} from './device.ts';

export type BusHit = {device: Device; offset: number};

type Region = {base: number; end: number; device: Device};

export class Bus {
  readonly #regions: Region[] = [];
  /** The region of the last hit: a driver's accesses come in runs. Not visible to the guest. */
  #last: Region | undefined;

  /** Maps `device` at [base, base + lengthBytes). Regions must not overlap. */
  map(region: {base: number; lengthBytes: number; device: Device}): void {
    const {base, device} = region;
    const end = base + region.lengthBytes;
    for (const other of this.#regions) {
      assert(end <= other.base || base >= other.end, `${device.name} overlaps ${other.device.name} in the memory map`);
    }
    this.#regions.push({base, end, device});
  }

  /** Where `address` leads; undefined when there is no device. */
  find(address: number): BusHit | undefined {
    const region = this.#regionOf(address);
    return region === undefined ? undefined : {device: region.device, offset: address - region.base};
  }

  /** Reads from a device; undefined when there is none, or when the access leaves it. Unsigned. */
  read(address: number, sizeBytes: 1 | 2 | 4): number | undefined {
    const region = this.#regionOf(address);
    if (region === undefined || address + sizeBytes > region.end) return undefined;
    return region.device.read(address - region.base, sizeBytes) >>> 0;
  }

  /** Writes to a device; false when there is none, or when the access leaves it. */
  write(address: number, sizeBytes: 1 | 2 | 4, value: number): boolean {
    const region = this.#regionOf(address);
    if (region === undefined || address + sizeBytes > region.end) return false;
    region.device.write(address - region.base, sizeBytes, value);
    return true;
  }

  #regionOf(address: number): Region | undefined {
    const last = this.#last;
    if (last !== undefined && address >= last.base && address < last.end) return last;
    const region = this.#regions.find((candidate) => address >= candidate.base && address < candidate.end);
    if (region !== undefined) this.#last = region;
    return region;
  }
}
