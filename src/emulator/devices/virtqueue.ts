// A split virtqueue as its device sees it (virtio 1.2, 2.7): descriptor table, available ring, used ring, all in guest memory.
// The guest may write anything there. Whatever it writes, no method throws, none loops longer than a ring is long, and
// nothing outside RAM is touched: a ring that breaks the rules is reported as `broken`, and the transport asks for a reset.

import type {BigIntField, NumberField, StateTable} from '../state-table.ts';
import type {GuestMemory} from './device.ts';

/** A piece of guest memory, wholly in RAM. */
export type Segment = {address: number; lengthBytes: number};

/** One request: what the device may read, then what it may write. `head` names it in the used ring. */
export type Chain = {head: number; readable: Segment[]; writable: Segment[]};

export type Peeked = {kind: 'chain'; chain: Chain} | {kind: 'empty'} | {kind: 'broken'};

const DESCRIPTOR_BYTES = 16;
const DESCRIPTOR_NEXT = 1;
const DESCRIPTOR_WRITE = 2;
const DESCRIPTOR_INDIRECT = 4;

const AVAILABLE_NO_INTERRUPT = 1;

/** Descriptors of one indirect table; Linux stays below its queue's size, QEMU's limit is the same. */
const INDIRECT_LIMIT = 1024;

export class Virtqueue {
  readonly maxSize: number;
  readonly #memory: GuestMemory;
  readonly #eventIndexNegotiated: () => boolean;

  readonly size: NumberField;
  readonly ready: NumberField;
  readonly descriptorAddress: BigIntField;
  readonly driverAddress: BigIntField;
  readonly deviceAddress: BigIntField;
  /** Available entries consumed, modulo 2^16. */
  readonly #availIndex: NumberField;
  /** Used entries produced, modulo 2^16. */
  readonly #usedIndex: NumberField;

  constructor(options: {
    state: StateTable;
    name: string;
    memory: GuestMemory;
    maxSize: number;
    eventIndexNegotiated: () => boolean;
  }) {
    const {state, name} = options;
    this.maxSize = options.maxSize;
    this.#memory = options.memory;
    this.#eventIndexNegotiated = options.eventIndexNegotiated;
    this.size = state.u32(`${name}.size`);
    this.ready = state.u8(`${name}.ready`);
    this.descriptorAddress = state.u64(`${name}.descriptorAddress`);
    this.driverAddress = state.u64(`${name}.driverAddress`);
    this.deviceAddress = state.u64(`${name}.deviceAddress`);
    this.#availIndex = state.u16(`${name}.availIndex`);
    this.#usedIndex = state.u16(`${name}.usedIndex`);
  }

  reset(): void {
    this.size.value = 0;
    this.ready.value = 0;
    this.descriptorAddress.value = 0n;
    this.driverAddress.value = 0n;
    this.deviceAddress.value = 0n;
    this.#availIndex.value = 0;
    this.#usedIndex.value = 0;
  }

  get usedIndex(): number {
    return this.#usedIndex.value;
  }

  /** Whether size and addresses obey 2.7: a power of two, aligned, in RAM. Checked once, when the driver says it is ready. */
  get wellFormed(): boolean {
    const size = this.size.value;
    if (size === 0 || size > this.maxSize || (size & (size - 1)) !== 0) return false;
    return (
      this.#inRam(this.descriptorAddress.value, {lengthBytes: DESCRIPTOR_BYTES * size, alignment: 16n}) &&
      this.#inRam(this.driverAddress.value, {lengthBytes: 6 + 2 * size, alignment: 2n}) &&
      this.#inRam(this.deviceAddress.value, {lengthBytes: 6 + 8 * size, alignment: 4n})
    );
  }

  /** The chain that lies `ahead` entries beyond the next one, without consuming it. */
  peek(ahead = 0): Peeked {
    const driver = Number(this.driverAddress.value);
    const size = this.size.value;
    const waiting = (this.#memory.readU16(driver + 2) - this.#availIndex.value) & 0xffff;
    if (waiting > size) return {kind: 'broken'};
    if (ahead >= waiting) return {kind: 'empty'};
    const slot = (this.#availIndex.value + ahead) & (size - 1);
    return this.#walk(this.#memory.readU16(driver + 4 + 2 * slot));
  }

  /** Consumes the next `count` available entries. */
  advance(count = 1): void {
    this.#availIndex.value = (this.#availIndex.value + count) & 0xffff;
  }

  /** Hands a chain back; `writtenBytes` were written into its writable part. */
  push(options: {head: number; writtenBytes: number}): void {
    const device = Number(this.deviceAddress.value);
    const element = device + 4 + 8 * (this.#usedIndex.value & (this.size.value - 1));
    this.#memory.writeU32(element, options.head);
    this.#memory.writeU32(element + 4, options.writtenBytes);
    this.#usedIndex.value = (this.#usedIndex.value + 1) & 0xffff;
    this.#memory.writeU16(device + 2, this.#usedIndex.value);
  }

  /** Asks to be notified of the next entry after those consumed (2.7.10; without EVENT_IDX the driver always notifies). */
  requestNotification(): void {
    if (!this.#eventIndexNegotiated()) return;
    this.#memory.writeU16(Number(this.deviceAddress.value) + 4 + 8 * this.size.value, this.#availIndex.value);
  }

  /** Whether the driver wants an interrupt for what was pushed since the used index was `before` (2.7.7). */
  wantsInterrupt(before: number): boolean {
    const pushed = (this.#usedIndex.value - before) & 0xffff;
    if (pushed === 0) return false;
    const driver = Number(this.driverAddress.value);
    if (!this.#eventIndexNegotiated()) return (this.#memory.readU16(driver) & AVAILABLE_NO_INTERRUPT) === 0;
    const usedEvent = this.#memory.readU16(driver + 4 + 2 * this.size.value);
    return ((this.#usedIndex.value - usedEvent - 1) & 0xffff) < pushed;
  }

  #walk(head: number): Peeked {
    let table = Number(this.descriptorAddress.value);
    let count = this.size.value;
    let index = head;
    let indirect = false;
    const readable: Segment[] = [];
    const writable: Segment[] = [];
    for (let visited = 0; visited < count; visited++) {
      if (index >= count) return {kind: 'broken'};
      const descriptor = table + DESCRIPTOR_BYTES * index;
      const address = Number(this.#memory.readU64(descriptor));
      const lengthBytes = this.#memory.readU32(descriptor + 8);
      const flags = this.#memory.readU16(descriptor + 12);
      if (!Number.isSafeInteger(address) || !this.#memory.contains(address, lengthBytes)) return {kind: 'broken'};

      if ((flags & DESCRIPTOR_INDIRECT) !== 0) {
        // A table takes the place of the rest of the chain; it holds no further table (2.7.5.3).
        count = lengthBytes / DESCRIPTOR_BYTES;
        const valid = Number.isInteger(count) && count > 0 && count <= INDIRECT_LIMIT;
        if (indirect || !valid || (flags & DESCRIPTOR_NEXT) !== 0) return {kind: 'broken'};
        indirect = true;
        table = address;
        index = 0;
        visited = -1;
        continue;
      }

      const isWritable = (flags & DESCRIPTOR_WRITE) !== 0;
      if (!isWritable && writable.length > 0) return {kind: 'broken'};
      (isWritable ? writable : readable).push({address, lengthBytes});
      if ((flags & DESCRIPTOR_NEXT) === 0) return {kind: 'chain', chain: {head, readable, writable}};
      index = this.#memory.readU16(descriptor + 14);
    }
    return {kind: 'broken'}; // More steps than descriptors: the chain loops.
  }

  #inRam(address: bigint, demand: {lengthBytes: number; alignment: bigint}): boolean {
    if (address % demand.alignment !== 0n || address > BigInt(Number.MAX_SAFE_INTEGER)) return false;
    return this.#memory.contains(Number(address), demand.lengthBytes);
  }
}

export function totalBytes(segments: readonly Segment[]): number {
  return segments.reduce((sum, segment) => sum + segment.lengthBytes, 0);
}

/** Reads segments into one array. The caller has bounded their total. */
export function gather(memory: GuestMemory, segments: readonly Segment[]): Uint8Array {
  const result = new Uint8Array(totalBytes(segments));
  let offset = 0;
  for (const segment of segments) {
    result.set(memory.read(segment.address, segment.lengthBytes), offset);
    offset += segment.lengthBytes;
  }
  return result;
}

/** Writes `bytes` into segments, as far as they reach; returns how many were written. */
export function scatter(memory: GuestMemory, segments: readonly Segment[], bytes: Uint8Array): number {
  let offset = 0;
  for (const segment of segments) {
    const part = bytes.subarray(offset, offset + segment.lengthBytes);
    if (part.length > 0) memory.write(segment.address, part);
    offset += part.length;
  }
  return offset;
}
