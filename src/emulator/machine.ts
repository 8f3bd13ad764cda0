// The machine: hart, RAM and devices, wired as QEMU's `virt` machine. It is pure and synchronous: the same configuration, images,
// base disks and inputs at the same positions give the same states and outputs, however the run is cut into slices.

import {assert, FtvmError, unreachable} from '../errors.ts';
import type {BaseImage, BootImages, Ending, MachineConfig} from './config.ts';
import {Bus} from './devices/bus.ts';
import {Clint} from './devices/clint.ts';
import {DiskOverlay} from './devices/disk-overlay.ts';
import {Finisher} from './devices/finisher.ts';
import {GoldfishRtc} from './devices/goldfish-rtc.ts';
import {Plic} from './devices/plic.ts';
import {Uart} from './devices/uart.ts';
import {VirtioBlock} from './devices/virtio-block.ts';
import {VirtioEmptySlot} from './devices/virtio-empty-slot.ts';
import {VirtioEntropy} from './devices/virtio-entropy.ts';
import {VirtioNet} from './devices/virtio-net.ts';
import {Clock} from './hart/clock.ts';
import {type Engine, Hart} from './hart/hart.ts';
import type {Translations} from './hart/translations.ts';
import {planBoot} from './image/boot.ts';
import * as map from './image/memory-map.ts';
import type {Input} from './input.ts';
import {RAM_LIMIT_BYTES, wasmPages} from './layout.ts';
import type {MachineInterface, PendingRequests, Stop} from './machine-interface.ts';
import type {Output} from './output.ts';
import {OutputQueue} from './output-queue.ts';
import {PAGE_BYTES, type PagedMemory} from './paged-memory.ts';
import {type BigIntField, type NumberField, StateTable} from './state-table.ts';
import {INTERRUPT} from './status.ts';

/** Raised by every change that makes a golden log diverge. */
export const MACHINE_VERSION = 1;

const RAM_UNIT_BYTES = 2 * 1024 * 1024;
/** How the state table says that the machine runs, or how it ended. */
const RUNNING = 0;
const POWERED_OFF = 1;
const RESET = 2;

export class Machine implements MachineInterface {
  readonly state = new StateTable();
  readonly memories: readonly PagedMemory[];
  readonly #config: MachineConfig;
  readonly #images: BootImages;
  readonly #position: BigIntField;
  readonly #endingKind: NumberField;
  readonly #endingCode: NumberField;
  readonly #outputs: OutputQueue;
  readonly #clock: Clock;
  readonly #hart: Hart;
  readonly #clint: Clint;
  readonly #plic: Plic;
  readonly #uart: Uart;
  readonly #rtc: GoldfishRtc;
  readonly #disks: readonly VirtioBlock[];
  readonly #nics: readonly VirtioNet[];
  readonly #entropy: VirtioEntropy | undefined;
  #resetRequested = false;

  /**
   * A machine at power-on. `disks` are the base images, as many as the configuration says. Throws FtvmError `usage` for a
   * configuration that cannot be, `badImage` for images that cannot be started. The engine decides how fast the machine is, and
   * nothing else. `memory`, of zeros, is taken if it is there already.
   */
  constructor(
    config: MachineConfig,
    images: BootImages,
    disks: readonly BaseImage[] = [],
    engine: Engine = {kind: 'interpreter'},
    memory?: WebAssembly.Memory,
  ) {
    checkConfig(config);
    assert(disks.length === config.disks.length, 'not as many base images as disks');
    this.#config = config;
    this.#images = images;
    const {state} = this;
    this.#position = state.u64('position');
    this.#endingKind = state.u8('ending.kind');
    this.#endingCode = state.u32('ending.code');
    this.#outputs = new OutputQueue(state);
    this.#clock = new Clock(state, config.stepsPerTick);

    const bus = new Bus();
    const initial = wasmPages(config.ramBytes);
    assert(memory === undefined || memory.buffer.byteLength === initial * 0x10000, 'a memory of another size');
    this.#hart = new Hart({
      memory: memory ?? new WebAssembly.Memory({initial}),
      ramBytes: config.ramBytes,
      state,
      engine,
      port: {bus, mtime: (position) => this.#clock.mtime(position), mtimecmp: () => this.#clint.mtimecmp},
    });
    const hart = this.#hart;
    const line = (interrupt: number) => ({set: (level: boolean) => hart.setLine(interrupt, level)});
    this.#clint = new Clint(state, {
      mtime: () => hart.mtimeNow(),
      setMtime: (ticks) => this.#clock.set(hart.positionNow(), ticks),
      softwareInterrupt: (level) => hart.setLine(INTERRUPT.MSI, level),
      deadlineChanged: () => hart.cut(),
    });
    this.#plic = new Plic({state, harts: [{meip: line(INTERRUPT.MEI), seip: line(INTERRUPT.SEI)}]});
    this.#uart = new Uart({state, irq: this.#plic.line(map.UART_IRQ), emit: (byte) => this.#outputs.consoleByte(byte)});
    this.#rtc = new GoldfishRtc({
      state,
      irq: this.#plic.line(map.RTC_IRQ),
      epochNs: config.epochNs,
      mtime: () => (this.#inStep ? hart.mtimeNow() : this.mtime),
      deadlineChanged: () => hart.cut(),
    });
    const finisher = new Finisher({finish: (ending) => this.#finish(ending)});

    let slot = 0;
    const virtio = (name: string) => {
      const irq = this.#plic.line(map.virtioIrq(slot));
      slot += 1;
      return {state, name, irq, memory: hart.ram};
    };
    const overlays = disks.map((base, n) => new DiskOverlay({name: `disk${n}.overlay`, base}));
    this.#disks = overlays.map((overlay, n) => new VirtioBlock({...virtio(`disk${n}`), overlay}));
    this.#nics = config.nics.map(
      ({mac}, n) => new VirtioNet({...virtio(`net${n}`), mac, emit: (frame) => this.#emitPacket(n, frame)}),
    );
    this.#entropy = config.entropy ? new VirtioEntropy(virtio('entropy')) : undefined;
    this.memories = [hart.ram, ...overlays];

    const mapAt = ({base, sizeBytes}: map.DeviceRange, device: Parameters<Bus['map']>[0]['device']): void =>
      bus.map({base, lengthBytes: sizeBytes, device});
    mapAt(map.FINISHER, finisher);
    mapAt(map.RTC, this.#rtc);
    mapAt(map.CLINT, this.#clint);
    mapAt(map.PLIC, this.#plic);
    mapAt(map.UART, this.#uart);
    const inSlots = [...this.#disks, ...this.#nics, ...(this.#entropy === undefined ? [] : [this.#entropy])];
    for (let n = 0; n < map.VIRTIO_SLOT_COUNT; n += 1) mapAt(map.virtioSlot(n), inSlots[n] ?? new VirtioEmptySlot());

    this.#boot();
  }

  /** Translated code: who wants the guest fast takes the requests between slices, and installs what became of them. */
  get translations(): Translations | undefined {
    return this.#hart.translations;
  }

  get position(): bigint {
    return this.#position.value;
  }

  get outputOrdinal(): bigint {
    return this.#outputs.ordinal;
  }

  get mtime(): bigint {
    return this.#clock.mtime(this.position);
  }

  get stepsPerTick(): number {
    return this.#clock.stepsPerTick;
  }

  get consoleRoomBytes(): number {
    return this.#uart.roomBytes;
  }

  get nicBacklogs(): number[] {
    return this.#nics.map(({backlogFrames}) => backlogFrames);
  }

  /** How the guest ended, or undefined while it runs. */
  get ending(): Ending | undefined {
    switch (this.#endingKind.value) {
      case RUNNING:
        return undefined;
      case POWERED_OFF:
        return {kind: 'poweroff', code: this.#endingCode.value};
      default:
        return {kind: 'reset'};
    }
  }

  deliver(input: Input): void {
    assert(this.ending === undefined, 'an input for a machine that has ended');
    switch (input.kind) {
      case 'clock':
        if (input.ticks < this.mtime || input.stepsPerTick < 1) this.#refuse('a clock input would turn time back');
        this.#clock.set(this.position, input.ticks, input.stepsPerTick);
        this.#rtc.update();
        return;
      case 'rtc':
        this.#rtc.setOffset(input.offsetNs);
        return;
      case 'console':
        this.#uart.receive(input.bytes);
        return;
      case 'packet':
        this.#device(this.#nics[input.nic], `NIC ${input.nic}`).receive(input.frames);
        return;
      case 'disk':
        this.#device(this.#disks[input.disk], `disk ${input.disk}`).complete(input.count, input.status);
        return;
      case 'entropy':
        this.#device(this.#entropy, 'entropy device').supply(input.bytes);
        return;
      default:
        unreachable(input);
    }
  }

  runUntil(position: bigint): Stop {
    assert(position >= this.position, 'the machine cannot run backwards');
    if (this.ending === undefined && this.#hart.waits(this.position)) {
      // Leaving WFI belongs to the next step: mtime leaps to the deadline, without a record.
      const deadline = position > this.position ? this.#nextDeadline() : undefined;
      if (deadline !== undefined) {
        this.#clock.set(this.position, deadline);
        this.#rtc.update();
      }
      if (this.#hart.waits(this.position)) return {kind: 'idle', deadlineTicks: this.#nextDeadline()};
    }
    for (;;) {
      const {ending} = this;
      if (ending !== undefined) return {kind: 'halted', ending};
      if (this.position >= position) return {kind: 'reached'};
      this.#runSlice(position);
      if (this.#outputs.urgent) {
        this.#outputs.urgent = false;
        return {kind: 'output'};
      }
      if (this.ending === undefined && this.#hart.waits(this.position)) {
        return {kind: 'idle', deadlineTicks: this.#nextDeadline()};
      }
    }
  }

  takeOutputs(): Output[] {
    return this.#outputs.take();
  }

  pendingRequests(): PendingRequests {
    return {
      disks: this.#disks.map((disk) => disk.pending().map((kind) => ({kind}))),
      entropyBytes: this.#entropy?.wantedBytes ?? 0,
    };
  }

  invalidate(): void {
    this.#hart.invalidate();
  }

  #inStep = false;

  /** Runs to `position` or the next timer deadline, whichever is nearer, or less. */
  #runSlice(position: bigint): void {
    const deadline = this.#nextDeadline();
    const until = deadline === undefined ? position : earlier(position, this.#clock.positionOf(deadline));
    const distance = until - this.position;
    const steps = distance > SLICE_LIMIT ? Number(SLICE_LIMIT) : Number(distance);
    this.#inStep = true;
    const executed = this.#hart.run(this.position, steps);
    this.#inStep = false;
    this.#position.value += BigInt(executed);
    this.#rtc.update();
    if (this.#resetRequested) this.#reset();
  }

  /** The next mtime at which time alone makes something happen. */
  #nextDeadline(): bigint | undefined {
    const {mtime} = this;
    const timer = this.#hart.nextDeadline(mtime);
    const alarm = this.#rtc.nextAlarmTicks();
    if (alarm === undefined || alarm <= mtime) return timer;
    return timer === undefined ? alarm : earlier(timer, alarm);
  }

  #emitPacket(nic: number, frame: Uint8Array): void {
    this.#outputs.packet(nic, frame);
    this.#hart.cut();
  }

  #finish(ending: Ending): void {
    if (ending.kind === 'reset' && this.#config.reboot) {
      this.#resetRequested = true;
    } else {
      this.#endingKind.value = ending.kind === 'poweroff' ? POWERED_OFF : RESET;
      this.#endingCode.value = ending.kind === 'poweroff' ? ending.code : 0;
    }
    this.#hart.cut();
  }

  /** A reset in place: everything as at power-on, but for position, mtime, disks, and bytes typed ahead. */
  #reset(): void {
    this.#resetRequested = false;
    const {ram} = this.#hart;
    for (let page = 0; page < ram.pageCount; page += 1) ram.setPage(page, undefined);
    this.#hart.reset();
    for (const device of [this.#clint, this.#plic, this.#uart, this.#rtc, ...this.#disks, ...this.#nics])
      device.reset();
    this.#entropy?.reset();
    this.#boot();
  }

  #boot(): void {
    const {writes, registers} = planBoot(this.#config, this.#images);
    for (const {address, bytes} of writes) this.#hart.ram.write(address, bytes);
    this.#hart.registers.pc = registers.pc;
    this.#hart.registers.setX(10, registers.a0);
    this.#hart.registers.setX(11, registers.a1);
    this.#hart.registers.setX(12, registers.a2);
  }

  #device<T>(device: T | undefined, what: string): T {
    if (device === undefined) this.#refuse(`an input for ${what}, which this machine does not have`);
    return device;
  }

  /** An input that no run of this machine can have produced. */
  #refuse(what: string): never {
    throw new FtvmError('divergence', `${what}, at position ${this.position}`, {
      hint: 'The log was written by another machine. Compare the headers with ftvm dump.',
      details: {position: this.position},
    });
  }
}

/** A slice's steps must fit an i32. */
const SLICE_LIMIT = 1n << 30n;

function earlier(a: bigint, b: bigint): bigint {
  return a < b ? a : b;
}

function checkConfig(config: MachineConfig): void {
  const {ramBytes} = config;
  if (
    ramBytes < RAM_UNIT_BYTES ||
    ramBytes > RAM_LIMIT_BYTES ||
    ramBytes % RAM_UNIT_BYTES !== 0 ||
    ramBytes % PAGE_BYTES !== 0
  ) {
    throw new FtvmError(
      'usage',
      `${ramBytes} bytes of RAM: not a multiple of 2 MiB from 2 MiB to ${RAM_LIMIT_BYTES / 2 ** 20} MiB`,
    );
  }
  const devices = config.disks.length + config.nics.length + (config.entropy ? 1 : 0);
  if (devices > map.VIRTIO_SLOT_COUNT) {
    throw new FtvmError('usage', `${devices} virtio devices: there are ${map.VIRTIO_SLOT_COUNT} slots`, {
      hint: 'Take fewer disks or NICs.',
    });
  }
}
