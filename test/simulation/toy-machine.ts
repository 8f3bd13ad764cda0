// A toy machine: the session's view of a guest, without a hart. It works for some steps, emits a line of 16 bytes (its number, and a
// hash of everything that ever came in), waits for its timer or for input, and now and then asks for random bytes or for a durable disk. Whoever loses or
// changes an input prints other hashes.

import type {Input} from '../../src/emulator/input.ts';
import type {MachineInterface, PendingRequests, Stop} from '../../src/emulator/machine-interface.ts';
import type {Output} from '../../src/emulator/output.ts';
import {PAGE_BYTES, type PagedMemory} from '../../src/emulator/paged-memory.ts';
import {StateTable} from '../../src/emulator/state-table.ts';

export const LINE_BYTES = 16;
const MASK = (1n << 64n) - 1n;

export class ToyMachine implements MachineInterface {
  readonly state = new StateTable();
  readonly memories: readonly PagedMemory[];
  readonly #memory = new ToyMemory();
  readonly #position = this.state.u64('position');
  readonly #ordinal = this.state.u64('outputOrdinal');
  readonly #hash = this.state.u64('hash');
  readonly #lines = this.state.u64('lines');
  readonly #ticks = this.state.u64('ticks');
  readonly #base = this.state.u64('base');
  readonly #stepsPerTick = this.state.u64('stepsPerTick');
  readonly #waiting = this.state.u8('waiting');
  readonly #workEnd = this.state.u64('workEnd');
  readonly #deadline = this.state.u64('deadline');
  readonly #wantsEntropy = this.state.u8('wantsEntropy');
  readonly #wantsFlush = this.state.u8('wantsFlush');
  #outputs: Output[] = [];

  readonly #onLine: (number: number, hash: bigint) => void;

  constructor(stepsPerTick: number, onLine: (number: number, hash: bigint) => void = () => {}) {
    this.#onLine = onLine;
    this.memories = [this.#memory];
    this.#stepsPerTick.value = BigInt(stepsPerTick);
    this.#hash.value = 0x1234_5678_9abc_def0n;
    this.#workEnd.value = 1000n;
  }

  get position(): bigint {
    return this.#position.value;
  }

  get outputOrdinal(): bigint {
    return this.#ordinal.value;
  }

  get mtime(): bigint {
    return this.#ticks.value + (this.position - this.#base.value) / this.#stepsPerTick.value;
  }

  get stepsPerTick(): number {
    return Number(this.#stepsPerTick.value);
  }

  readonly consoleRoomBytes = 65_536;
  readonly nicBacklogs = [];

  deliver(input: Input): void {
    switch (input.kind) {
      case 'clock':
        this.#ticks.value = input.ticks;
        this.#base.value = this.position;
        this.#stepsPerTick.value = BigInt(input.stepsPerTick);
        this.#mix(input.ticks);
        return;
      case 'console':
      case 'entropy':
        for (const byte of input.bytes) this.#mix(BigInt(byte) + this.position);
        if (input.kind === 'entropy') this.#wantsEntropy.value = 0;
        if (this.#waiting.value === 1 && this.#wantsFlush.value === 0) this.#wake();
        return;
      case 'disk':
        this.#mix(this.position);
        this.#wantsFlush.value = 0;
        if (this.#waiting.value === 1) this.#wake();
        return;
      default:
        return;
    }
  }

  runUntil(target: bigint): Stop {
    if (this.#waiting.value === 1) {
      if (target <= this.position || this.#wantsFlush.value === 1) return this.#idle();
      this.#ticks.value = this.#deadline.value > this.mtime ? this.#deadline.value : this.mtime;
      this.#base.value = this.position;
      this.#wake();
    }
    if (target < this.#workEnd.value) {
      this.#position.value = target;
      return {kind: 'reached'};
    }
    this.#position.value = this.#workEnd.value;
    this.#printLine();
    this.#waiting.value = 1;
    this.#deadline.value = this.mtime + 40_000n + (this.#hash.value % 160_000n);
    return this.#idle();
  }

  takeOutputs(): Output[] {
    const outputs = this.#outputs;
    this.#outputs = [];
    return outputs;
  }

  pendingRequests(): PendingRequests {
    return {
      disks: [this.#wantsFlush.value === 1 ? [{kind: 'flush'}] : []],
      entropyBytes: this.#wantsEntropy.value === 1 ? 8 : 0,
    };
  }

  invalidate(): void {}

  #idle(): Stop {
    // It goes on only once its disk is durable.
    return {kind: 'idle', deadlineTicks: this.#wantsFlush.value === 1 ? undefined : this.#deadline.value};
  }

  #wake(): void {
    this.#waiting.value = 0;
    this.#workEnd.value = this.position + 50_000n + (this.#hash.value % 200_000n);
  }

  #printLine(): void {
    this.#lines.value += 1n;
    this.#mix(this.#lines.value);
    if (this.#lines.value % 7n === 0n) this.#wantsEntropy.value = 1;
    if (this.#lines.value % 13n === 0n) this.#wantsFlush.value = 1;
    this.#memory.write(Number(this.#hash.value % 16n), this.#hash.value);
    const bytes = Buffer.alloc(LINE_BYTES);
    bytes.writeBigUInt64LE(this.#lines.value, 0);
    bytes.writeBigUInt64LE(this.#hash.value, 8);
    this.#onLine(Number(this.#lines.value), this.#hash.value);
    this.#outputs.push({kind: 'console', ordinal: this.#ordinal.value + 1n, bytes});
    this.#ordinal.value += BigInt(LINE_BYTES);
  }

  #mix(value: bigint): void {
    let hash = this.#hash.value ^ value;
    hash = (hash * 0x9e37_79b9_7f4a_7c15n) & MASK;
    this.#hash.value = hash ^ (hash >> 29n);
  }
}

class ToyMemory implements PagedMemory {
  readonly name = 'ram';
  readonly pageCount = 16;
  readonly #pages = Array.from({length: 16}, () => new Uint8Array(PAGE_BYTES));
  readonly #dirty = new Set<number>();

  write(page: number, value: bigint): void {
    new DataView(this.#pages[page].buffer).setBigUint64(0, value, true);
    this.#dirty.add(page);
  }

  page(index: number): Uint8Array {
    return this.#pages[index];
  }

  setPage(index: number, bytes: Uint8Array | undefined): void {
    if (bytes === undefined) this.#pages[index].fill(0);
    else this.#pages[index].set(bytes);
    this.#dirty.add(index);
  }

  present(): Iterable<number> {
    return this.#pages.keys();
  }

  filled(): readonly number[] {
    return [...this.present()];
  }

  takeDirty(): number[] {
    const dirty = [...this.#dirty].sort((a, b) => a - b);
    this.#dirty.clear();
    return dirty;
  }
}
