// The virtio transport over memory-mapped registers, version 2 (virtio 1.2, 4.2.2), which the virtio devices share: one slot of
// the `virt` machine each, at 0x10001000 + n * 0x1000, irq 1 + n.
// Queues are processed inside the guest's own store to QueueNotify, or inside the delivery of an input, never otherwise
// (paper 3.5). A fault of the guest's sets DEVICE_NEEDS_RESET; it never throws.

import type {BigIntField, NumberField, StateTable} from '../state-table.ts';
import type {GuestMemory, IrqLine} from './device.ts';
import {Virtqueue} from './virtqueue.ts';

/** What every virtio device is built from. `name` is the prefix of its state entries: `disk0`, `net0`, `entropy`. */
export type VirtioOptions = {state: StateTable; name: string; irq: IrqLine; memory: GuestMemory};

/** How a device presents itself. `features` without those of the transport. */
export type VirtioPresentation = {
  deviceId: number;
  features: bigint;
  config: Uint8Array;
  queues: {name: string; maxSize: number}[];
};

export const MAGIC = 0x74726976; // "virt"
export const VERSION = 2;
export const VENDOR = 0x554d4551; // "QEMU": some drivers look at it

const FEATURE_INDIRECT_DESC = 1n << 28n;
const FEATURE_EVENT_IDX = 1n << 29n;
const FEATURE_VERSION_1 = 1n << 32n;
const TRANSPORT_FEATURES = FEATURE_INDIRECT_DESC | FEATURE_EVENT_IDX | FEATURE_VERSION_1;

const STATUS_DRIVER_OK = 0x04;
const STATUS_FEATURES_OK = 0x08;
const STATUS_NEEDS_RESET = 0x40;

const INTERRUPT_USED = 1;
const INTERRUPT_CONFIG = 2;

const CONFIG_BASE = 0x100;
/** Register offsets (virtio 1.2, table 4.1). */
export const REGISTER = {
  magic: 0x000,
  version: 0x004,
  deviceId: 0x008,
  vendorId: 0x00c,
  deviceFeatures: 0x010,
  deviceFeaturesSelect: 0x014,
  driverFeatures: 0x020,
  driverFeaturesSelect: 0x024,
  queueSelect: 0x030,
  queueSizeMax: 0x034,
  queueSize: 0x038,
  queueReady: 0x044,
  queueNotify: 0x050,
  interruptStatus: 0x060,
  interruptAcknowledge: 0x064,
  status: 0x070,
  queueDescriptorLow: 0x080,
  queueDescriptorHigh: 0x084,
  queueDriverLow: 0x090,
  queueDriverHigh: 0x094,
  queueDeviceLow: 0x0a0,
  queueDeviceHigh: 0x0a4,
  sharedMemoryLengthLow: 0x0b0,
  sharedMemoryLengthHigh: 0x0b4,
  sharedMemoryBaseLow: 0x0b8,
  sharedMemoryBaseHigh: 0x0bc,
  configGeneration: 0x0fc,
} as const;

/** What the devices in the slots have in common; each device extends it. */
export abstract class VirtioMmio {
  readonly name: string;
  protected readonly memory: GuestMemory;
  protected readonly queues: readonly Virtqueue[];
  readonly #irq: IrqLine;
  readonly #presentation: VirtioPresentation;

  readonly #status: NumberField;
  readonly #interruptStatus: NumberField;
  readonly #driverFeatures: BigIntField;
  readonly #deviceFeaturesSelect: NumberField;
  readonly #driverFeaturesSelect: NumberField;
  readonly #queueSelect: NumberField;

  constructor(options: VirtioOptions, presentation: VirtioPresentation) {
    const {state, name} = options;
    this.name = name;
    this.memory = options.memory;
    this.#irq = options.irq;
    this.#presentation = presentation;
    this.#status = state.u8(`${name}.status`);
    this.#interruptStatus = state.u8(`${name}.interruptStatus`);
    this.#driverFeatures = state.u64(`${name}.driverFeatures`);
    this.#deviceFeaturesSelect = state.u32(`${name}.deviceFeaturesSelect`);
    this.#driverFeaturesSelect = state.u32(`${name}.driverFeaturesSelect`);
    this.#queueSelect = state.u32(`${name}.queueSelect`);
    this.queues = presentation.queues.map(
      (queue) =>
        new Virtqueue({
          state,
          name: `${name}.${queue.name}`,
          memory: options.memory,
          maxSize: queue.maxSize,
          eventIndexNegotiated: () => this.negotiated(FEATURE_EVENT_IDX),
        }),
    );
  }

  /** The driver has made buffers available in a queue that is ready. */
  protected abstract processQueue(queueIndex: number): void;

  /** Forgets every request; called when the driver resets the device. */
  protected abstract forget(): void;

  reset(): void {
    for (const queue of this.queues) queue.reset();
    this.#status.value = 0;
    this.#interruptStatus.value = 0;
    this.#driverFeatures.value = 0n;
    this.#deviceFeaturesSelect.value = 0;
    this.#driverFeaturesSelect.value = 0;
    this.#queueSelect.value = 0;
    this.#irq.set(false);
    this.forget();
  }

  protected negotiated(feature: bigint): boolean {
    return (this.#driverFeatures.value & feature) !== 0n;
  }

  /** Whether the device may touch a queue: the driver is up, and nothing is broken. */
  protected operational(queue: Virtqueue): boolean {
    return (
      (this.#status.value & (STATUS_DRIVER_OK | STATUS_NEEDS_RESET)) === STATUS_DRIVER_OK && queue.ready.value !== 0
    );
  }

  /** The driver broke a rule of the rings: nothing more happens until it resets the device (2.1.2). */
  protected markBroken(): void {
    this.#status.value |= STATUS_NEEDS_RESET;
    if ((this.#status.value & STATUS_DRIVER_OK) !== 0) this.#interrupt(INTERRUPT_CONFIG);
  }

  /** Ends a round of pushes: one interrupt at most, if the driver wants one since its used index was `usedBefore`. */
  protected finishRound(queue: Virtqueue, usedBefore: number): void {
    queue.requestNotification();
    if (queue.wantsInterrupt(usedBefore)) this.#interrupt(INTERRUPT_USED);
  }

  read(offset: number, sizeBytes: 1 | 2 | 4): number {
    if (offset >= CONFIG_BASE) return this.#readConfig(offset - CONFIG_BASE, sizeBytes);
    if (sizeBytes !== 4) return 0;
    switch (offset) {
      case REGISTER.magic:
        return MAGIC;
      case REGISTER.version:
        return VERSION;
      case REGISTER.deviceId:
        return this.#presentation.deviceId;
      case REGISTER.vendorId:
        return VENDOR;
      case REGISTER.deviceFeatures:
        return wordOf(this.#offeredFeatures, this.#deviceFeaturesSelect.value);
      case REGISTER.queueSizeMax:
        return this.#selectedQueue?.maxSize ?? 0;
      case REGISTER.queueReady:
        return this.#selectedQueue?.ready.value ?? 0;
      case REGISTER.interruptStatus:
        return this.#interruptStatus.value;
      case REGISTER.status:
        return this.#status.value;
      case REGISTER.sharedMemoryLengthLow:
      case REGISTER.sharedMemoryLengthHigh:
      case REGISTER.sharedMemoryBaseLow:
      case REGISTER.sharedMemoryBaseHigh:
        return 0xffff_ffff; // There is no shared memory (4.2.2.1).
      default:
        return 0; // ConfigGeneration too: the configuration never changes.
    }
  }

  write(offset: number, sizeBytes: 1 | 2 | 4, value: number): void {
    if (sizeBytes !== 4 || offset >= CONFIG_BASE) return;
    switch (offset) {
      case REGISTER.deviceFeaturesSelect:
        this.#deviceFeaturesSelect.value = value;
        break;
      case REGISTER.driverFeaturesSelect:
        this.#driverFeaturesSelect.value = value;
        break;
      case REGISTER.driverFeatures:
        this.#writeDriverFeatures(value);
        break;
      case REGISTER.queueSelect:
        this.#queueSelect.value = value;
        break;
      case REGISTER.queueReady:
        this.#writeQueueReady(value);
        break;
      case REGISTER.queueNotify:
        this.#notify(value >>> 0);
        break;
      case REGISTER.interruptAcknowledge:
        this.#interruptStatus.value &= ~value;
        this.#irq.set(this.#interruptStatus.value !== 0);
        break;
      case REGISTER.status:
        this.#writeStatus(value & 0xff);
        break;
      default:
        this.#writeQueueLayout(offset, value);
    }
  }

  get #offeredFeatures(): bigint {
    return this.#presentation.features | TRANSPORT_FEATURES;
  }

  get #selectedQueue(): Virtqueue | undefined {
    return this.queues[this.#queueSelect.value];
  }

  #interrupt(bit: number): void {
    this.#interruptStatus.value |= bit;
    this.#irq.set(true);
  }

  #readConfig(offset: number, sizeBytes: 1 | 2 | 4): number {
    const {config} = this.#presentation;
    let value = 0;
    for (let index = sizeBytes - 1; index >= 0; index--) value = value * 256 + (config[offset + index] ?? 0);
    return value;
  }

  #writeDriverFeatures(value: number): void {
    const select = this.#driverFeaturesSelect.value;
    if (select > 1 || (this.#status.value & STATUS_FEATURES_OK) !== 0) return;
    const shift = BigInt(32 * select);
    const kept = this.#driverFeatures.value & ~(0xffff_ffffn << shift);
    this.#driverFeatures.value = kept | (BigInt(value >>> 0) << shift);
  }

  #writeStatus(value: number): void {
    if (value === 0) {
      this.reset();
      return;
    }
    const features = this.#driverFeatures.value;
    const acceptable = (features & ~this.#offeredFeatures) === 0n && (features & FEATURE_VERSION_1) !== 0n;
    const allowed = acceptable ? value : value & ~STATUS_FEATURES_OK;
    this.#status.value = (allowed & ~STATUS_NEEDS_RESET) | (this.#status.value & STATUS_NEEDS_RESET);
  }

  #writeQueueReady(value: number): void {
    const queue = this.#selectedQueue;
    if (queue === undefined) return;
    const ready = (value & 1) !== 0;
    if (ready && !queue.wellFormed) this.markBroken();
    else queue.ready.value = ready ? 1 : 0;
  }

  #notify(queueIndex: number): void {
    const queue = this.queues[queueIndex];
    if (queue !== undefined && this.operational(queue)) this.processQueue(queueIndex);
  }

  /** Size and addresses; fixed while the queue is ready. */
  #writeQueueLayout(offset: number, value: number): void {
    const queue = this.#selectedQueue;
    if (queue === undefined || queue.ready.value !== 0) return;
    switch (offset) {
      case REGISTER.queueSize:
        queue.size.value = value;
        break;
      case REGISTER.queueDescriptorLow:
        setLow(queue.descriptorAddress, value);
        break;
      case REGISTER.queueDescriptorHigh:
        setHigh(queue.descriptorAddress, value);
        break;
      case REGISTER.queueDriverLow:
        setLow(queue.driverAddress, value);
        break;
      case REGISTER.queueDriverHigh:
        setHigh(queue.driverAddress, value);
        break;
      case REGISTER.queueDeviceLow:
        setLow(queue.deviceAddress, value);
        break;
      case REGISTER.queueDeviceHigh:
        setHigh(queue.deviceAddress, value);
        break;
    }
  }
}

function wordOf(features: bigint, select: number): number {
  return select > 1 ? 0 : Number((features >> BigInt(32 * select)) & 0xffff_ffffn);
}

function setLow(field: BigIntField, value: number): void {
  field.value = (field.value & 0xffff_ffff_0000_0000n) | BigInt(value >>> 0);
}

function setHigh(field: BigIntField, value: number): void {
  field.value = (field.value & 0xffff_ffffn) | (BigInt(value >>> 0) << 32n);
}
