// A virtio entropy device (virtio 1.2, 5.4). The machine has no randomness of its own: a request waits until an `entropy`
// input supplies the bytes. One request is taken from the ring at a time.

import {assert, FtvmError} from '../../errors.ts';
import type {BlobField} from '../state-table.ts';
import type {Device} from './device.ts';
import {VirtioMmio, type VirtioOptions} from './virtio-mmio.ts';
import {type Segment, scatter, totalBytes, type Virtqueue} from './virtqueue.ts';

const DEVICE_ID = 4;
const QUEUE_SIZE = 16;

/** Bytes that one request gets at most; a driver that wants more asks again. Linux asks for 64 or fewer. */
const REQUEST_LIMIT_BYTES = 4096;

export class VirtioEntropy extends VirtioMmio implements Device {
  /** The pending request, empty when there is none: u16 head, then segments of u64 address and u32 length. */
  readonly #pending: BlobField;

  constructor(options: VirtioOptions) {
    super(options, {
      deviceId: DEVICE_ID,
      features: 0n,
      config: new Uint8Array(0),
      queues: [{name: 'queue', maxSize: QUEUE_SIZE}],
    });
    this.#pending = options.state.blob(`${options.name}.pending`, 2 + SEGMENT_ENCODED_BYTES * REQUEST_LIMIT_BYTES);
  }

  /** Bytes that the pending request wants; 0 when there is none. */
  get wantedBytes(): number {
    return this.#pending.bytes.length === 0 ? 0 : totalBytes(decodePending(this.#pending.bytes).segments);
  }

  /** Completes the pending request. Longer bytes are cut; shorter ones complete it with fewer. Throws an FtvmError
   *  (`divergence`) when there is no request. */
  supply(bytes: Uint8Array): void {
    if (this.#pending.bytes.length === 0) {
      throw new FtvmError('divergence', `${this.name}: ${bytes.length} random bytes, but no request waits for them`, {
        hint: 'the log does not belong to this machine; compare machine versions with `ftvm dump`',
      });
    }
    const {head, segments} = decodePending(this.#pending.bytes);
    this.#pending.bytes = new Uint8Array(0);
    const queue = this.#queue;
    if (!this.operational(queue)) return;
    const before = queue.usedIndex;
    queue.push({head, writtenBytes: scatter(this.memory, segments, bytes)});
    this.#takeNext(queue, before);
  }

  protected processQueue(): void {
    this.#takeNext(this.#queue, this.#queue.usedIndex);
  }

  protected forget(): void {
    this.#pending.bytes = new Uint8Array(0);
  }

  get #queue(): Virtqueue {
    const [queue] = this.queues;
    assert(queue !== undefined, 'an entropy device has one queue');
    return queue;
  }

  #takeNext(queue: Virtqueue, usedBefore: number): void {
    if (this.#pending.bytes.length === 0) {
      const peeked = queue.peek();
      // A request without room for a single byte could never complete: no bytes are not random bytes.
      if (peeked.kind === 'broken' || (peeked.kind === 'chain' && totalBytes(peeked.chain.writable) === 0)) {
        this.markBroken();
        return;
      }
      if (peeked.kind === 'chain') {
        this.#pending.bytes = encodePending(peeked.chain.head, firstBytes(peeked.chain.writable));
        queue.advance();
      }
    }
    this.finishRound(queue, usedBefore);
  }
}

const SEGMENT_ENCODED_BYTES = 12;

function encodePending(head: number, segments: readonly Segment[]): Uint8Array {
  const bytes = new Uint8Array(2 + SEGMENT_ENCODED_BYTES * segments.length);
  const view = new DataView(bytes.buffer);
  view.setUint16(0, head, true);
  segments.forEach((segment, index) => {
    view.setBigUint64(2 + SEGMENT_ENCODED_BYTES * index, BigInt(segment.address), true);
    view.setUint32(10 + SEGMENT_ENCODED_BYTES * index, segment.lengthBytes, true);
  });
  return bytes;
}

function decodePending(bytes: Uint8Array): {head: number; segments: Segment[]} {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const segments: Segment[] = [];
  for (let at = 2; at < bytes.length; at += SEGMENT_ENCODED_BYTES) {
    segments.push({address: Number(view.getBigUint64(at, true)), lengthBytes: view.getUint32(at + 8, true)});
  }
  return {head: view.getUint16(0, true), segments};
}

/** The segments that hold the first REQUEST_LIMIT_BYTES bytes; empty ones fall away. */
function firstBytes(segments: readonly Segment[]): Segment[] {
  const result: Segment[] = [];
  let left = REQUEST_LIMIT_BYTES;
  for (const segment of segments) {
    const lengthBytes = Math.min(left, segment.lengthBytes);
    if (lengthBytes > 0) result.push({address: segment.address, lengthBytes});
    left -= lengthBytes;
  }
  return result;
}
