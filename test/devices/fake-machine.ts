// What the device tests need of a machine: a strict guest memory, interrupt lines that remember their level, a base image in
// memory, and a driver that builds virtqueues as a guest would.

import assert from 'node:assert/strict';
import type {BaseImage} from '../../src/emulator/config.ts';
import type {Device, GuestMemory, IrqLine} from '../../src/emulator/devices/device.ts';
import type {StateTable} from '../../src/emulator/state-table.ts';

export const RAM_BASE = 0x8000_0000;

/** RAM that refuses every access outside itself, and more accesses than `accessLimit`: a device that does not check first, or
 *  that loops, fails its test. */
export class FakeMemory implements GuestMemory {
  readonly bytes: Uint8Array;
  accesses = 0;
  accessLimit = Number.POSITIVE_INFINITY;
  readonly #view: DataView;

  constructor(lengthBytes = 0x40000) {
    this.bytes = new Uint8Array(lengthBytes);
    this.#view = new DataView(this.bytes.buffer);
  }

  contains(address: number, lengthBytes: number): boolean {
    return this.#holds(address, lengthBytes);
  }

  #holds(address: number, lengthBytes: number): boolean {
    return address >= RAM_BASE && lengthBytes >= 0 && address + lengthBytes <= RAM_BASE + this.bytes.length;
  }

  read(address: number, lengthBytes: number): Uint8Array {
    const start = this.#offset(address, lengthBytes);
    return this.bytes.slice(start, start + lengthBytes);
  }

  write(address: number, bytes: Uint8Array): void {
    this.bytes.set(bytes, this.#offset(address, bytes.length));
  }

  readU16(address: number): number {
    return this.#view.getUint16(this.#offset(address, 2), true);
  }

  readU32(address: number): number {
    return this.#view.getUint32(this.#offset(address, 4), true);
  }

  readU64(address: number): bigint {
    return this.#view.getBigUint64(this.#offset(address, 8), true);
  }

  writeU8(address: number, value: number): void {
    this.#view.setUint8(this.#offset(address, 1), value);
  }

  writeU16(address: number, value: number): void {
    this.#view.setUint16(this.#offset(address, 2), value, true);
  }

  writeU32(address: number, value: number): void {
    this.#view.setUint32(this.#offset(address, 4), value, true);
  }

  writeU64(address: number, value: bigint): void {
    this.#view.setBigUint64(this.#offset(address, 8), value, true);
  }

  #offset(address: number, lengthBytes: number): number {
    this.accesses++;
    assert(this.accesses <= this.accessLimit, 'the device loops');
    assert(this.#holds(address, lengthBytes), `access outside RAM: ${lengthBytes} bytes at ${address.toString(16)}`);
    return address - RAM_BASE;
  }
}

export class FakeLine implements IrqLine {
  level = false;
  /** How often the line rose. */
  rises = 0;

  set(level: boolean): void {
    if (level && !this.level) this.rises++;
    this.level = level;
  }
}

export class FakeImage implements BaseImage {
  readonly bytes: Uint8Array;

  constructor(bytes: Uint8Array) {
    this.bytes = bytes;
  }

  get sizeBytes(): number {
    return this.bytes.length;
  }

  read(offsetBytes: number, into: Uint8Array): void {
    assert(offsetBytes >= 0 && offsetBytes + into.length <= this.bytes.length, 'read outside the base image');
    into.set(this.bytes.subarray(offsetBytes, offsetBytes + into.length));
  }
}

/** Copies every entry of one state table into another of the same shape: a restore. */
export function copyState(from: StateTable, to: StateTable): void {
  assert.deepEqual(
    to.entries.map((entry) => entry.name),
    from.entries.map((entry) => entry.name),
  );
  for (const [index, entry] of from.entries.entries()) to.entries[index]?.write(entry.read().slice());
}

/** The whole state, for comparison. */
export function dumpState(state: StateTable): Record<string, string> {
  return Object.fromEntries(state.entries.map((entry) => [entry.name, Buffer.from(entry.read()).toString('hex')]));
}

/** The seed of the random tests: theirs to print, FTVM_TEST_SEED to repeat a run. */
export const SEED = Number(process.env.FTVM_TEST_SEED ?? Date.now() & 0x7fffffff);

export type Piece = {address: number; lengthBytes: number; writable: boolean};

export const FEATURE_INDIRECT = 1n << 28n;
export const FEATURE_EVENT_IDX = 1n << 29n;
export const FEATURE_VERSION_1 = 1n << 32n;

/** Brings a virtio-mmio device up as virtio 1.2, 3.1.1 prescribes; returns the status that the device then shows. */
export function bringUp(device: Device, features: bigint, queues: RingDriver[]): number {
  const write = (offset: number, value: number) => device.write(offset, 4, value);
  write(0x70, 0);
  write(0x70, 1);
  write(0x70, 3);
  write(0x24, 0);
  write(0x20, Number(features & 0xffff_ffffn));
  write(0x24, 1);
  write(0x20, Number(features >> 32n));
  write(0x70, 3 | 8);
  for (const queue of queues) queue.announce(device);
  write(0x70, 3 | 8 | 4);
  return device.read(0x70, 4);
}

/** The driver's side of one split virtqueue. Its rings lie at `base`, indirect tables behind them. */
export class RingDriver {
  readonly index: number;
  readonly size: number;
  readonly descriptors: number;
  readonly available: number;
  readonly used: number;
  readonly #memory: FakeMemory;
  #nextDescriptor = 0;
  #availIndex = 0;
  #usedSeen = 0;
  /** Where the indirect tables start. */
  readonly indirectTables: number;
  #indirectTable: number;

  constructor(memory: FakeMemory, options: {base: number; size: number; index?: number}) {
    this.#memory = memory;
    this.index = options.index ?? 0;
    this.size = options.size;
    this.descriptors = options.base;
    this.available = this.descriptors + 16 * this.size;
    this.used = this.available + alignUp(6 + 2 * this.size, 4);
    this.indirectTables = alignUp(this.used + 6 + 8 * this.size, 16);
    this.#indirectTable = this.indirectTables;
  }

  announce(device: Device): void {
    device.write(0x30, 4, this.index);
    device.write(0x38, 4, this.size);
    for (const [offset, address] of [
      [0x80, this.descriptors],
      [0x90, this.available],
      [0xa0, this.used],
    ] as const) {
      device.write(offset, 4, address);
      device.write(offset + 4, 4, 0);
    }
    device.write(0x44, 4, 1);
  }

  writeDescriptor(slot: number, descriptor: {address: number; lengthBytes: number; flags: number; next: number}): void {
    this.writeDescriptorAt(this.descriptors + 16 * slot, descriptor);
  }

  writeDescriptorAt(at: number, descriptor: {address: number; lengthBytes: number; flags: number; next: number}): void {
    this.#memory.writeU64(at, BigInt(descriptor.address));
    this.#memory.writeU32(at + 8, descriptor.lengthBytes);
    this.#memory.writeU16(at + 12, descriptor.flags);
    this.#memory.writeU16(at + 14, descriptor.next);
  }

  /** Makes a chain of the pieces available and returns its head; does not notify. */
  add(pieces: readonly Piece[], options: {indirect?: boolean} = {}): number {
    const head = this.#nextDescriptor % this.size;
    if (options.indirect) {
      const table = this.#indirectTable;
      this.#indirectTable += 16 * pieces.length;
      pieces.forEach((piece, index) => {
        const more = index < pieces.length - 1;
        this.writeDescriptorAt(table + 16 * index, {...piece, flags: flagsOf(piece, more), next: more ? index + 1 : 0});
      });
      this.writeDescriptor(head, {address: table, lengthBytes: 16 * pieces.length, flags: 4, next: 0});
      this.#nextDescriptor += 1;
    } else {
      pieces.forEach((piece, index) => {
        const more = index < pieces.length - 1;
        const slot = (this.#nextDescriptor + index) % this.size;
        this.writeDescriptor(slot, {...piece, flags: flagsOf(piece, more), next: more ? (slot + 1) % this.size : 0});
      });
      this.#nextDescriptor += pieces.length;
    }
    this.offer(head);
    return head;
  }

  /** Puts a head into the available ring, whatever it is. */
  offer(head: number): void {
    this.#memory.writeU16(this.available + 4 + 2 * (this.#availIndex % this.size), head);
    this.#availIndex = (this.#availIndex + 1) & 0xffff;
    this.#memory.writeU16(this.available + 2, this.#availIndex);
  }

  notify(device: Device): void {
    device.write(0x50, 4, this.index);
  }

  /** The next used element, or undefined. */
  takeUsed(): {head: number; writtenBytes: number} | undefined {
    if (this.#memory.readU16(this.used + 2) === this.#usedSeen) return undefined;
    const element = this.used + 4 + 8 * (this.#usedSeen % this.size);
    this.#usedSeen = (this.#usedSeen + 1) & 0xffff;
    return {head: this.#memory.readU32(element), writtenBytes: this.#memory.readU32(element + 4)};
  }

  /** The index at which the driver wants its next interrupt (EVENT_IDX). */
  setUsedEvent(value: number): void {
    this.#memory.writeU16(this.available + 4 + 2 * this.size, value);
  }

  /** The index at which the device wants its next notification (EVENT_IDX). */
  get availEvent(): number {
    return this.#memory.readU16(this.used + 4 + 8 * this.size);
  }

  setNoInterrupt(value: boolean): void {
    this.#memory.writeU16(this.available, value ? 1 : 0);
  }
}

function flagsOf(piece: Piece, more: boolean): number {
  return (more ? 1 : 0) | (piece.writable ? 2 : 0);
}

/** The least multiple of `unit` that is not below `value`; addresses of RAM do not fit the bitwise operators. */
function alignUp(value: number, unit: number): number {
  return Math.ceil(value / unit) * unit;
}
