// A virtio block device (virtio 1.2, 5.2) over a private overlay.
// A request reads guest memory when it is issued: what it needs waits in the state as a bounce buffer. Its effect, on guest
// memory and on the overlay, happens when its completion is delivered as an input; completions come in the order of issue, so
// that overlapping requests are serialised (DESIGN 3; paper 3.4).
// Requests beyond the limits below stay in the guest's ring until an earlier one has completed.

import {assert, FtvmError} from '../../errors.ts';
import type {DiskStatus} from '../input.ts';
import type {BlobField, NumberField} from '../state-table.ts';
import type {Device} from './device.ts';
import type {DiskOverlay} from './disk-overlay.ts';
import {VirtioMmio, type VirtioOptions} from './virtio-mmio.ts';
import {type Chain, gather, type Segment, scatter, totalBytes, type Virtqueue} from './virtqueue.ts';

export type DiskRequestKind = 'read' | 'write' | 'flush' | 'discard' | 'identify';

const DEVICE_ID = 2;
const SECTOR_BYTES = 512;
const ID_BYTES = 20;
const HEADER_BYTES = 16;
const RANGE_BYTES = 16;

/** Requests in flight, and size of the queue. A power of two: a request's slot is its number modulo this. */
const QUEUE_SIZE = 128;
const SEGMENT_LIMIT_BYTES = 65536;
const SEGMENTS_LIMIT = 62;
/** Data of one request: what a driver that heeds SIZE_MAX and SEG_MAX cannot exceed. */
const REQUEST_LIMIT_BYTES = SEGMENT_LIMIT_BYTES * SEGMENTS_LIMIT;
/** Bounce buffers in flight; one more request may be issued while they are below it. */
const IN_FLIGHT_LIMIT_BYTES = 16 * 1024 * 1024;
/** A discard or a write of zeroes: sectors of one range (2 GiB and 128 MiB), and ranges of one request. */
const DISCARD_LIMIT_SECTORS = 2 ** 22;
const ZEROES_LIMIT_SECTORS = 2 ** 18;
const RANGES_LIMIT = 16;

const FEATURE_SIZE_MAX = 1n << 1n;
const FEATURE_SEG_MAX = 1n << 2n;
const FEATURE_BLK_SIZE = 1n << 6n;
const FEATURE_FLUSH = 1n << 9n;
const FEATURE_TOPOLOGY = 1n << 10n;
const FEATURE_DISCARD = 1n << 13n;
const FEATURE_WRITE_ZEROES = 1n << 14n;

/** Request types (5.2.6). */
const TYPE_IN = 0;
const TYPE_OUT = 1;
const TYPE_FLUSH = 4;
const TYPE_GET_ID = 8;
const TYPE_DISCARD = 11;
const TYPE_WRITE_ZEROES = 13;

const STATUS_OK = 0;
const STATUS_IOERR = 1;
const STATUS_UNSUPP = 2;

const KINDS: Readonly<Record<number, DiskRequestKind>> = {
  [TYPE_IN]: 'read',
  [TYPE_OUT]: 'write',
  [TYPE_FLUSH]: 'flush',
  [TYPE_GET_ID]: 'identify',
  [TYPE_DISCARD]: 'discard',
  [TYPE_WRITE_ZEROES]: 'discard',
};

/** A request in flight. `into`: guest memory for data, without the status byte. `data`: the bounce buffer. */
type Request = {
  type: number;
  acceptable: boolean;
  head: number;
  sector: bigint;
  statusAddress: number;
  into: Segment[];
  data: Uint8Array;
};

export class VirtioBlock extends VirtioMmio implements Device {
  readonly #overlay: DiskOverlay;
  /** Requests issued and completed since the device's reset, modulo 2^32; request number n waits in slot n % QUEUE_SIZE. */
  readonly #issued: NumberField;
  readonly #completed: NumberField;
  readonly #slots: BlobField[];

  constructor(options: VirtioOptions & {overlay: DiskOverlay}) {
    super(options, {
      deviceId: DEVICE_ID,
      features:
        FEATURE_SIZE_MAX |
        FEATURE_SEG_MAX |
        FEATURE_BLK_SIZE |
        FEATURE_FLUSH |
        FEATURE_TOPOLOGY |
        FEATURE_DISCARD |
        FEATURE_WRITE_ZEROES,
      config: blockConfig(options.overlay.sizeBytes),
      queues: [{name: 'queue', maxSize: QUEUE_SIZE}],
    });
    const {state, name} = options;
    this.#overlay = options.overlay;
    this.#issued = state.u32(`${name}.issued`);
    this.#completed = state.u32(`${name}.completed`);
    const limitBytes = REQUEST_LIMIT_BYTES + ENCODED_BYTES + SEGMENT_ENCODED_BYTES * 2048;
    this.#slots = Array.from({length: QUEUE_SIZE}, (_, slot) => state.blob(`${name}.request.${slot}`, limitBytes));
  }

  /** The requests in flight, oldest first. */
  pending(): DiskRequestKind[] {
    return Array.from({length: this.#inFlight}, (_, index) => KINDS[this.#slot(index).bytes[0] ?? 0] ?? 'identify');
  }

  /** Completes the oldest `count` requests, in order, each with `status`; one interrupt at most. Throws an FtvmError
   *  (`divergence`) when there are fewer, and whatever the base image throws. */
  complete(count: number, status: DiskStatus): void {
    if (count > this.#inFlight) {
      throw new FtvmError(
        'divergence',
        `${this.name}: ${count} completions, but ${this.#inFlight} requests in flight`,
        {
          hint: 'the log does not belong to this machine; compare machine versions with `ftvm dump`',
        },
      );
    }
    const queue = this.#queue;
    const before = queue.usedIndex;
    // After a fault of the driver's, or when it took the queue away, requests end without a trace, as at a reset.
    const operational = this.operational(queue);
    for (let done = 0; done < count; done++) {
      const slot = this.#slot(0);
      if (operational) this.#finish(decodeRequest(slot.bytes), status);
      slot.bytes = new Uint8Array(0);
      this.#completed.value += 1;
    }
    if (operational) this.#issueAll(before);
  }

  protected processQueue(): void {
    this.#issueAll(this.#queue.usedIndex);
  }

  protected forget(): void {
    for (const slot of this.#slots) slot.bytes = new Uint8Array(0);
    this.#issued.value = 0;
    this.#completed.value = 0;
  }

  get #queue(): Virtqueue {
    const [queue] = this.queues;
    assert(queue !== undefined, 'a block device has one queue');
    return queue;
  }

  get #inFlight(): number {
    return (this.#issued.value - this.#completed.value) >>> 0;
  }

  /** Slot of the request that is `index` places from the oldest. */
  #slot(index: number): BlobField {
    const slot = this.#slots[(this.#completed.value + index) % QUEUE_SIZE];
    assert(slot !== undefined, 'slot numbers are modulo the number of slots');
    return slot;
  }

  #hasRoom(): boolean {
    if (this.#inFlight >= QUEUE_SIZE) return false;
    let bytes = 0;
    for (let index = 0; index < this.#inFlight; index++) bytes += this.#slot(index).bytes.length;
    return bytes < IN_FLIGHT_LIMIT_BYTES;
  }

  #issueAll(usedBefore: number): void {
    const queue = this.#queue;
    while (this.#hasRoom()) {
      const peeked = queue.peek();
      if (peeked.kind === 'empty') break;
      if (peeked.kind === 'broken' || !this.#issue(peeked.chain)) {
        this.markBroken();
        return;
      }
      queue.advance();
    }
    this.finishRound(queue, usedBefore);
  }

  /** Takes a request in. False when it has no header or no status byte: the driver is broken. */
  #issue(chain: Chain): boolean {
    const outBytes = totalBytes(chain.readable);
    const inBytes = totalBytes(chain.writable);
    if (outBytes < HEADER_BYTES || inBytes < 1) return false;
    const {front: into, lastAddress: statusAddress} = splitLastByte(chain.writable);

    const tooLarge = outBytes - HEADER_BYTES > REQUEST_LIMIT_BYTES || inBytes - 1 > REQUEST_LIMIT_BYTES;
    const out = gather(this.memory, tooLarge ? firstBytes(chain.readable, HEADER_BYTES) : chain.readable);
    const view = new DataView(out.buffer);
    const type = view.getUint32(0, true);
    const data = out.subarray(HEADER_BYTES);
    if (KINDS[type] === undefined) {
      this.memory.writeU8(statusAddress, STATUS_UNSUPP);
      this.#queue.push({head: chain.head, writtenBytes: 1});
      return true;
    }
    const request: Request = {
      type,
      acceptable: !tooLarge && this.#wellSized(type, {inBytes: inBytes - 1, outBytes: data.length}),
      head: chain.head,
      sector: view.getBigUint64(8, true),
      statusAddress,
      into: type === TYPE_IN || type === TYPE_GET_ID ? into : [],
      data: type === TYPE_IN || type === TYPE_FLUSH || type === TYPE_GET_ID ? new Uint8Array(0) : data,
    };
    this.#slot(this.#inFlight).bytes = encodeRequest(request);
    this.#issued.value += 1;
    return true;
  }

  #wellSized(type: number, sizes: {inBytes: number; outBytes: number}): boolean {
    switch (type) {
      case TYPE_IN:
        return sizes.inBytes % SECTOR_BYTES === 0;
      case TYPE_OUT:
        return sizes.outBytes % SECTOR_BYTES === 0;
      case TYPE_DISCARD:
      case TYPE_WRITE_ZEROES:
        return sizes.outBytes % RANGE_BYTES === 0 && sizes.outBytes <= RANGE_BYTES * RANGES_LIMIT;
      default:
        return true;
    }
  }

  /** The request's effect, whole, now. */
  #finish(request: Request, status: DiskStatus): void {
    const outcome =
      status === 'ok' && request.acceptable ? this.#perform(request) : {status: STATUS_IOERR, dataBytes: 0};
    this.memory.writeU8(request.statusAddress, outcome.status);
    this.#queue.push({head: request.head, writtenBytes: outcome.dataBytes + 1});
  }

  #perform(request: Request): {status: number; dataBytes: number} {
    switch (request.type) {
      case TYPE_IN: {
        const data = new Uint8Array(totalBytes(request.into));
        const offset = this.#offsetOf(request.sector, data.length);
        if (offset === undefined) return {status: STATUS_IOERR, dataBytes: 0};
        this.#overlay.read(offset, data);
        return {status: STATUS_OK, dataBytes: scatter(this.memory, request.into, data)};
      }
      case TYPE_OUT: {
        const offset = this.#offsetOf(request.sector, request.data.length);
        const written = offset !== undefined && this.#overlay.write(offset, request.data);
        return {status: written ? STATUS_OK : STATUS_IOERR, dataBytes: 0};
      }
      case TYPE_GET_ID:
        return {status: STATUS_OK, dataBytes: scatter(this.memory, request.into, this.#id())};
      case TYPE_DISCARD:
      case TYPE_WRITE_ZEROES:
        return {status: this.#performRanges(request), dataBytes: 0};
      default:
        return {status: STATUS_OK, dataBytes: 0}; // A flush: the overlay needs none, its completion is what counts.
    }
  }

  /** Discards or zeroes each range of {u64 sector, u32 sectors, u32 flags}; none when one of them is wrong (5.2.6.2). */
  #performRanges(request: Request): number {
    const {data} = request;
    const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
    const zeroes = request.type === TYPE_WRITE_ZEROES;
    const ranges: {offset: number; lengthBytes: number}[] = [];
    for (let at = 0; at < data.length; at += RANGE_BYTES) {
      const sectors = view.getUint32(at + 8, true);
      // Bit 0, unmap, allows a write of zeroes to deallocate; it means nothing to a discard, and the others nothing at all.
      if (view.getUint32(at + 12, true) > (zeroes ? 1 : 0)) return STATUS_UNSUPP;
      const offset = this.#offsetOf(view.getBigUint64(at, true), sectors * SECTOR_BYTES);
      if (offset === undefined || sectors > (zeroes ? ZEROES_LIMIT_SECTORS : DISCARD_LIMIT_SECTORS))
        return STATUS_IOERR;
      ranges.push({offset, lengthBytes: sectors * SECTOR_BYTES});
    }
    for (const {offset, lengthBytes} of ranges) {
      if (!zeroes) this.#overlay.discard(offset, lengthBytes);
      else if (!this.#overlay.writeZeroes(offset, lengthBytes)) return STATUS_IOERR;
    }
    return STATUS_OK;
  }

  /** Offset in bytes of a range that lies on the disk, else undefined. */
  #offsetOf(sector: bigint, lengthBytes: number): number | undefined {
    const end = sector * BigInt(SECTOR_BYTES) + BigInt(lengthBytes);
    return end <= BigInt(this.#overlay.sizeBytes) ? Number(sector) * SECTOR_BYTES : undefined;
  }

  /** The serial number: the device's name, padded with zeros. */
  #id(): Uint8Array {
    const id = new Uint8Array(ID_BYTES);
    for (let index = 0; index < Math.min(this.name.length, ID_BYTES); index++) id[index] = this.name.charCodeAt(index);
    return id;
  }
}

/** struct virtio_blk_config (5.2.4). */
function blockConfig(sizeBytes: number): Uint8Array {
  const config = new Uint8Array(60);
  const view = new DataView(config.buffer);
  view.setBigUint64(0, BigInt(Math.floor(sizeBytes / SECTOR_BYTES)), true); // capacity
  view.setUint32(8, SEGMENT_LIMIT_BYTES, true); // size_max
  view.setUint32(12, SEGMENTS_LIMIT, true); // seg_max
  view.setUint32(20, SECTOR_BYTES, true); // blk_size
  view.setUint8(24, 3); // topology.physical_block_exp: 4 KiB, the overlay's page
  view.setUint16(26, 8, true); // topology.min_io_size, in blocks
  view.setUint32(36, DISCARD_LIMIT_SECTORS, true); // max_discard_sectors
  view.setUint32(40, RANGES_LIMIT, true); // max_discard_seg
  view.setUint32(44, 8, true); // discard_sector_alignment
  view.setUint32(48, ZEROES_LIMIT_SECTORS, true); // max_write_zeroes_sectors
  view.setUint32(52, RANGES_LIMIT, true); // max_write_zeroes_seg
  return config;
}

// Encoding of a request in flight, little-endian:
// | offset | size | what                                   |
// | 0      | 1    | type                                   |
// | 1      | 1    | 1 when acceptable, 0: fails anyway     |
// | 2      | 2    | head                                   |
// | 4      | 4    | number of segments n                   |
// | 8      | 8    | sector                                 |
// | 16     | 8    | address of the status byte             |
// | 24     | 12 n | segments: address (8), length (4)      |
// | …      | rest | bounce buffer                          |
const ENCODED_BYTES = 24;
const SEGMENT_ENCODED_BYTES = 12;

function encodeRequest(request: Request): Uint8Array {
  const headBytes = ENCODED_BYTES + SEGMENT_ENCODED_BYTES * request.into.length;
  const bytes = new Uint8Array(headBytes + request.data.length);
  const view = new DataView(bytes.buffer);
  view.setUint8(0, request.type);
  view.setUint8(1, request.acceptable ? 1 : 0);
  view.setUint16(2, request.head, true);
  view.setUint32(4, request.into.length, true);
  view.setBigUint64(8, request.sector, true);
  view.setBigUint64(16, BigInt(request.statusAddress), true);
  request.into.forEach((segment, index) => {
    view.setBigUint64(ENCODED_BYTES + SEGMENT_ENCODED_BYTES * index, BigInt(segment.address), true);
    view.setUint32(ENCODED_BYTES + SEGMENT_ENCODED_BYTES * index + 8, segment.lengthBytes, true);
  });
  bytes.set(request.data, headBytes);
  return bytes;
}

function decodeRequest(bytes: Uint8Array): Request {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const segments = view.getUint32(4, true);
  return {
    type: view.getUint8(0),
    acceptable: view.getUint8(1) === 1,
    head: view.getUint16(2, true),
    sector: view.getBigUint64(8, true),
    statusAddress: Number(view.getBigUint64(16, true)),
    into: Array.from({length: segments}, (_, index) => ({
      address: Number(view.getBigUint64(ENCODED_BYTES + SEGMENT_ENCODED_BYTES * index, true)),
      lengthBytes: view.getUint32(ENCODED_BYTES + SEGMENT_ENCODED_BYTES * index + 8, true),
    })),
    data: bytes.subarray(ENCODED_BYTES + SEGMENT_ENCODED_BYTES * segments),
  };
}

/** Parts the last byte from segments that hold at least one; empty segments fall away. */
function splitLastByte(segments: readonly Segment[]): {front: Segment[]; lastAddress: number} {
  const front = segments.filter((segment) => segment.lengthBytes > 0);
  const last = front.pop();
  assert(last !== undefined, 'a chain without a byte for the status was refused before');
  if (last.lengthBytes > 1) front.push({address: last.address, lengthBytes: last.lengthBytes - 1});
  return {front, lastAddress: last.address + last.lengthBytes - 1};
}

/** The segments that hold the first `lengthBytes` bytes. */
function firstBytes(segments: readonly Segment[], lengthBytes: number): Segment[] {
  const result: Segment[] = [];
  let left = lengthBytes;
  for (const segment of segments) {
    const part = Math.min(left, segment.lengthBytes);
    if (part > 0) result.push({address: segment.address, lengthBytes: part});
    left -= part;
  }
  return result;
}
