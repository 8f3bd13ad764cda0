// The platform-level interrupt controller: sifive,plic-1.0.0 as in QEMU's `virt` machine, at 0xc000000, 95 sources, and for
// hart h the contexts 2h (machine mode) and 2h + 1 (supervisor mode).
// Gateways are level-triggered: a high line makes its source pending, once, until the completion; a line that is still high then
// makes it pending again. A request stays until it is claimed, even if its line falls before (docs/decisions/plic-gateways.md).
// Source: RISC-V Platform-Level Interrupt Controller Specification 1.0.0; layout in QEMU's include/hw/riscv/virt.h.

import {assert} from '../../errors.ts';
import type {NumberField, StateTable} from '../state-table.ts';
import type {Device, IrqLine} from './device.ts';

/** Highest source number; source 0 does not exist. */
export const PLIC_SOURCES = 95;

const WORDS = (PLIC_SOURCES + 1) / 32;
const PRIORITY_MASK = 7;

// Layout (all registers are 32 bits):
// | offset                | size     | what                                             |
// | 0x000000 + 4s         | 0x180    | priority of source s                             |
// | 0x001000 + 4w         | 0x0c     | pending bits of sources 32w to 32w + 31          |
// | 0x002000 + 0x80c + 4w | 0x0c     | enable bits for context c                        |
// | 0x200000 + 0x1000c    | 8        | threshold; claim (read) and complete (write)     |
const PENDING_BASE = 0x1000;
const ENABLE_BASE = 0x2000;
const ENABLE_STRIDE = 0x80;
const CONTEXT_BASE = 0x200000;
const CONTEXT_STRIDE = 0x1000;
const THRESHOLD = 0;
const CLAIM_COMPLETE = 4;

type Context = {threshold: NumberField; enable: DataView; output: IrqLine};

export class Plic implements Device {
  readonly name = 'plic';
  readonly #priority: Uint8Array;
  readonly #level: DataView;
  readonly #pending: DataView;
  readonly #inService: DataView;
  readonly #contexts: Context[];

  /** `harts`: for each hart the two lines that the PLIC drives, external interrupts of machine and of supervisor mode. */
  constructor(options: {state: StateTable; harts: {meip: IrqLine; seip: IrqLine}[]}) {
    const {state} = options;
    this.#priority = state.bytes('plic.priority', PLIC_SOURCES + 1);
    this.#level = viewOf(state.bytes('plic.level', WORDS * 4));
    this.#pending = viewOf(state.bytes('plic.pending', WORDS * 4));
    this.#inService = viewOf(state.bytes('plic.inService', WORDS * 4));
    this.#contexts = options.harts
      .flatMap((hart) => [hart.meip, hart.seip])
      .map((output, index) => ({
        threshold: state.u8(`plic.threshold.${index}`),
        enable: viewOf(state.bytes(`plic.enable.${index}`, WORDS * 4)),
        output,
      }));
  }

  /** As after power-on. The devices are reset with it, so no line is high. */
  reset(): void {
    this.#priority.fill(0);
    clear(this.#level);
    clear(this.#pending);
    clear(this.#inService);
    for (const context of this.#contexts) {
      context.threshold.value = 0;
      clear(context.enable);
    }
    this.#update();
  }

  /** The line of a source, for its device. */
  line(source: number): IrqLine {
    assert(Number.isInteger(source) && source >= 1 && source <= PLIC_SOURCES, `the PLIC has no source ${source}`);
    const {word, bit} = placeOf(source);
    return {
      set: (level) => {
        if (has(this.#level, word, bit) === level) return;
        put(this.#level, word, level ? {set: bit} : {clear: bit});
        if (!level || has(this.#inService, word, bit)) return;
        put(this.#pending, word, {set: bit});
        this.#update();
      },
    };
  }

  read(offset: number, sizeBytes: 1 | 2 | 4): number {
    if (sizeBytes !== 4 || (offset & 3) !== 0) return 0;
    if (offset < PENDING_BASE) return this.#priority[offset >> 2] ?? 0;
    if (offset < ENABLE_BASE) return this.#pendingAt(offset - PENDING_BASE);
    if (offset < CONTEXT_BASE) {
      const {context, word} = this.#enableAt(offset);
      return context !== undefined && word < WORDS ? context.enable.getUint32(word * 4, true) : 0;
    }
    const context = this.#contexts[Math.floor((offset - CONTEXT_BASE) / CONTEXT_STRIDE)];
    if (context === undefined) return 0;
    switch (offset % CONTEXT_STRIDE) {
      case THRESHOLD:
        return context.threshold.value;
      case CLAIM_COMPLETE:
        return this.#claim(context);
      default:
        return 0;
    }
  }

  write(offset: number, sizeBytes: 1 | 2 | 4, value: number): void {
    if (sizeBytes !== 4 || (offset & 3) !== 0) return;
    if (offset < PENDING_BASE) {
      const source = offset >> 2;
      if (source >= 1 && source <= PLIC_SOURCES) this.#priority[source] = value & PRIORITY_MASK;
    } else if (offset < ENABLE_BASE) {
      return; // Pending bits are read-only.
    } else if (offset < CONTEXT_BASE) {
      const {context, word} = this.#enableAt(offset);
      if (context === undefined || word >= WORDS) return;
      context.enable.setUint32(word * 4, word === 0 ? value & ~1 : value, true);
    } else {
      const context = this.#contexts[Math.floor((offset - CONTEXT_BASE) / CONTEXT_STRIDE)];
      if (context === undefined) return;
      const register = offset % CONTEXT_STRIDE;
      if (register === THRESHOLD) context.threshold.value = value & PRIORITY_MASK;
      else if (register === CLAIM_COMPLETE) this.#complete(context, value >>> 0);
    }
    this.#update();
  }

  #enableAt(offset: number): {context: Context | undefined; word: number} {
    const relative = offset - ENABLE_BASE;
    return {
      context: this.#contexts[Math.floor(relative / ENABLE_STRIDE)],
      word: (relative % ENABLE_STRIDE) >> 2,
    };
  }

  #pendingAt(offset: number): number {
    return offset < WORDS * 4 ? this.#pending.getUint32(offset, true) : 0;
  }

  /** The source to serve next: the highest priority above zero, and of equals the lowest number; 0 when there is none. */
  #best(context: Context): {source: number; priority: number} {
    let source = 0;
    let priority = 0;
    for (let word = 0; word < WORDS; word++) {
      let bits = this.#pending.getUint32(word * 4, true) & context.enable.getUint32(word * 4, true);
      while (bits !== 0) {
        const candidate = word * 32 + 31 - Math.clz32(bits & -bits);
        bits &= bits - 1;
        const candidatePriority = this.#priority[candidate] ?? 0;
        if (candidatePriority > priority) {
          source = candidate;
          priority = candidatePriority;
        }
      }
    }
    return {source, priority};
  }

  /** A claim ignores the threshold (specification, section 9). */
  #claim(context: Context): number {
    const {source} = this.#best(context);
    if (source === 0) return 0;
    const {word, bit} = placeOf(source);
    put(this.#pending, word, {clear: bit});
    put(this.#inService, word, {set: bit});
    this.#update();
    return source;
  }

  /** A completion of a source that is not enabled for the context is ignored (specification, section 10). */
  #complete(context: Context, source: number): void {
    if (source < 1 || source > PLIC_SOURCES) return;
    const {word, bit} = placeOf(source);
    if (!has(context.enable, word, bit) || !has(this.#inService, word, bit)) return;
    put(this.#inService, word, {clear: bit});
    if (has(this.#level, word, bit)) put(this.#pending, word, {set: bit});
  }

  #update(): void {
    for (const context of this.#contexts) {
      context.output.set(this.#best(context).priority > context.threshold.value);
    }
  }
}

/** Where a source's bit is: the offset of its word, and its mask in it. */
function placeOf(source: number): {word: number; bit: number} {
  return {word: (source >> 5) * 4, bit: 1 << (source & 31)};
}

function has(bits: DataView, word: number, bit: number): boolean {
  return (bits.getUint32(word, true) & bit) !== 0;
}

function put(bits: DataView, word: number, change: {set?: number; clear?: number}): void {
  bits.setUint32(word, (bits.getUint32(word, true) | (change.set ?? 0)) & ~(change.clear ?? 0), true);
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function clear(view: DataView): void {
  for (let offset = 0; offset < view.byteLength; offset++) view.setUint8(offset, 0);
}
