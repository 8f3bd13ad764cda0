// A virtio network device (virtio 1.2, 5.1) without offloads and without a control queue.
// Frames to send leave inside the guest's own notification; received ones come as an input: many frames, one interrupt
// (DESIGN 3; paper 3.5). Frames for which the guest has no buffers wait in the state; what exceeds the limits below, and what
// arrives while no driver is up, is dropped and counted, the same way in every run.

import {assert} from '../../errors.ts';
import type {BlobField, NumberField} from '../state-table.ts';
import type {Device} from './device.ts';
import {VirtioMmio, type VirtioOptions} from './virtio-mmio.ts';
import {type Chain, gather, scatter, totalBytes, type Virtqueue} from './virtqueue.ts';

const DEVICE_ID = 1;
const QUEUE_SIZE = 256;
const RECEIVE_QUEUE = 0;
const TRANSMIT_QUEUE = 1;

/** struct virtio_net_hdr with num_buffers, which version 1 always has (5.1.6). */
const HEADER_BYTES = 12;
const HEADER_BUFFER_COUNT = 10;

/** Ethernet header alone, and the largest frame an MTU of 65535 makes: header, one tag, payload. */
const FRAME_MIN_BYTES = 14;
const FRAME_LIMIT_BYTES = 65535 + 18;

/** Received frames that wait for buffers. */
const WAITING_LIMIT_FRAMES = 256;
const WAITING_LIMIT_BYTES = 512 * 1024;

const FEATURE_MAC = 1n << 5n;
const FEATURE_MRG_RXBUF = 1n << 15n;
const FEATURE_STATUS = 1n << 16n;

const LINK_UP = 1;

export class VirtioNet extends VirtioMmio implements Device {
  readonly #emit: (frame: Uint8Array) => void;
  /** Frames that wait for buffers, each as u32 length and bytes. */
  readonly #waiting: BlobField;
  readonly #waitingFrames: NumberField;
  readonly #droppedFrames: NumberField;

  /** `mac`: 6 bytes. `emit` is called with each Ethernet frame that the guest sends. */
  constructor(options: VirtioOptions & {mac: Uint8Array; emit: (frame: Uint8Array) => void}) {
    super(options, {
      deviceId: DEVICE_ID,
      features: FEATURE_MAC | FEATURE_MRG_RXBUF | FEATURE_STATUS,
      config: Uint8Array.of(...options.mac, LINK_UP, 0, 0, 0, 0, 0),
      queues: [
        {name: 'receive', maxSize: QUEUE_SIZE},
        {name: 'transmit', maxSize: QUEUE_SIZE},
      ],
    });
    const {state, name} = options;
    this.#emit = options.emit;
    this.#waiting = state.blob(`${name}.waiting`, WAITING_LIMIT_BYTES);
    this.#waitingFrames = state.u32(`${name}.waitingFrames`);
    this.#droppedFrames = state.u32(`${name}.droppedFrames`);
  }

  /** Frames dropped since the driver's last reset of the device, modulo 2^32. */
  get droppedFrames(): number {
    return this.#droppedFrames.value;
  }

  /** Received frames that wait for buffers. */
  get backlogFrames(): number {
    return this.#waitingFrames.value;
  }

  /** Delivers Ethernet frames, in order; one interrupt at most. */
  receive(frames: readonly Uint8Array[]): void {
    const queue = this.#receiveQueue;
    if (!this.operational(queue)) {
      this.#droppedFrames.value += frames.length;
      return;
    }
    const before = queue.usedIndex;
    this.#fillWaiting(queue);
    for (const frame of frames) this.#receiveOne(queue, frame);
    if (this.operational(queue)) this.finishRound(queue, before);
  }

  protected processQueue(queueIndex: number): void {
    if (queueIndex === TRANSMIT_QUEUE) {
      this.#transmitAll();
      return;
    }
    const queue = this.#receiveQueue;
    const before = queue.usedIndex;
    this.#fillWaiting(queue);
    if (this.operational(queue)) this.finishRound(queue, before);
  }

  protected forget(): void {
    this.#waiting.bytes = new Uint8Array(0);
    this.#waitingFrames.value = 0;
    this.#droppedFrames.value = 0;
  }

  get #receiveQueue(): Virtqueue {
    return this.#queueAt(RECEIVE_QUEUE);
  }

  #queueAt(index: number): Virtqueue {
    const queue = this.queues[index];
    assert(queue !== undefined, 'a network device has two queues');
    return queue;
  }

  #receiveOne(queue: Virtqueue, frame: Uint8Array): void {
    const sizeFits = frame.length >= FRAME_MIN_BYTES && frame.length <= FRAME_LIMIT_BYTES;
    if (!sizeFits || !this.operational(queue)) {
      this.#droppedFrames.value += 1;
      return;
    }
    // Frames keep their order: while one waits, those after it wait too.
    if (this.#waitingFrames.value === 0 && this.#deliver(queue, frame) !== 'wait') return;
    const encoded = new Uint8Array(this.#waiting.bytes.length + 4 + frame.length);
    if (this.#waitingFrames.value >= WAITING_LIMIT_FRAMES || encoded.length > WAITING_LIMIT_BYTES) {
      this.#droppedFrames.value += 1;
      return;
    }
    encoded.set(this.#waiting.bytes);
    new DataView(encoded.buffer).setUint32(this.#waiting.bytes.length, frame.length, true);
    encoded.set(frame, this.#waiting.bytes.length + 4);
    this.#waiting.bytes = encoded;
    this.#waitingFrames.value += 1;
  }

  #fillWaiting(queue: Virtqueue): void {
    while (this.#waitingFrames.value > 0 && this.operational(queue)) {
      const {bytes} = this.#waiting;
      const length = new DataView(bytes.buffer, bytes.byteOffset).getUint32(0, true);
      if (this.#deliver(queue, bytes.subarray(4, 4 + length)) === 'wait') return;
      this.#waiting.bytes = bytes.subarray(4 + length);
      this.#waitingFrames.value -= 1;
    }
  }

  /** Puts one frame into the guest's buffers: one chain, or as many as it takes when MRG_RXBUF is negotiated (5.1.6.4). */
  #deliver(queue: Virtqueue, frame: Uint8Array): 'done' | 'wait' {
    const chains: Chain[] = [];
    const mergeable = this.negotiated(FEATURE_MRG_RXBUF);
    let room = 0;
    while (room < HEADER_BYTES + frame.length) {
      // Not even all buffers of a full ring, or not the one that must do, can hold the frame.
      if (chains.length >= (mergeable ? queue.size.value : 1)) {
        this.#droppedFrames.value += 1;
        return 'done';
      }
      const peeked = queue.peek(chains.length);
      if (peeked.kind === 'empty') return 'wait';
      const chainBytes = peeked.kind === 'chain' ? totalBytes(peeked.chain.writable) : 0;
      if (peeked.kind === 'broken' || chainBytes === 0) {
        this.markBroken();
        return 'wait';
      }
      chains.push(peeked.chain);
      room += chainBytes;
    }

    const packet = new Uint8Array(HEADER_BYTES + frame.length);
    new DataView(packet.buffer).setUint16(HEADER_BUFFER_COUNT, chains.length, true);
    packet.set(frame, HEADER_BYTES);
    let offset = 0;
    for (const chain of chains) {
      const writtenBytes = scatter(this.memory, chain.writable, packet.subarray(offset));
      queue.push({head: chain.head, writtenBytes});
      offset += writtenBytes;
    }
    queue.advance(chains.length);
    return 'done';
  }

  #transmitAll(): void {
    const queue = this.#queueAt(TRANSMIT_QUEUE);
    const before = queue.usedIndex;
    // A ring holds at most `size` entries; the guest does not run meanwhile, so the loop ends.
    for (let peeked = queue.peek(); peeked.kind !== 'empty'; peeked = queue.peek()) {
      if (peeked.kind === 'broken') {
        this.markBroken();
        return;
      }
      const {head, readable} = peeked.chain;
      const frameBytes = totalBytes(readable) - HEADER_BYTES;
      queue.advance();
      if (frameBytes >= FRAME_MIN_BYTES && frameBytes <= FRAME_LIMIT_BYTES) {
        this.#emit(gather(this.memory, readable).subarray(HEADER_BYTES));
      } else {
        this.#droppedFrames.value += 1;
      }
      queue.push({head, writtenBytes: 0});
    }
    this.finishRound(queue, before);
  }
}
