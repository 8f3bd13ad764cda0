// The hart: runs the generated interpreter in slices, serves its slow paths, takes interrupts at exact positions.

import {FtvmError} from '../../errors.ts';
import type {Bus} from '../devices/bus.ts';
import * as layout from '../layout.ts';
import {Ram, type RamObserver} from '../memory.ts';
import type {StateTable} from '../state-table.ts';
import {generateInterpreter} from '../wasm/interpreter.ts';
import {type SlowPaths, SYSTEM_ACTIONS} from '../wasm/slot.ts';
import {CodeCache} from './code-cache.ts';
import {Csrs} from './csrs.ts';
import {DataPath} from './data-path.ts';
import {FAULT, Mmu} from './mmu.ts';
import {Pmp} from './pmp.ts';
import {PRIVILEGE, Registers} from './registers.ts';
import {CAUSE, INTERRUPT, MENVCFG_STCE, MSTATUS} from './status.ts';
import {Traps} from './traps.ts';

/** What the hart asks of the machine around it. */
export type HartPort = {
  readonly bus: Bus;
  mtime(position: bigint): bigint;
  mtimecmp(): bigint;
};

/** Steps in one call of generated code: V8 replaces a slow version of a function only when it is entered anew. */
const CHUNK_STEPS = 1 << 20;
const WAITING = 1;

export class Hart implements RamObserver {
  readonly registers: Registers;
  readonly ram: Ram;
  readonly #port: HartPort;
  readonly #mmu: Mmu;
  readonly #pmp: Pmp;
  readonly #code: CodeCache;
  readonly #traps: Traps;
  readonly #csrs: Csrs;
  readonly #data: DataPath;
  readonly #run: () => void;
  /** Position at the start of the chunk that runs now, and its steps. */
  #chunkStart = 0n;
  #chunkSteps = 0;
  /** Counts changes of satp and PMP: the page of code that runs may be another now. */
  #generation = 0;

  constructor(options: {memory: WebAssembly.Memory; ramBytes: number; state: StateTable; port: HartPort}) {
    const {memory, ramBytes, state, port} = options;
    this.#port = port;
    this.ram = new Ram(memory, ramBytes);
    this.registers = new Registers(memory, state);
    this.#pmp = new Pmp(this.registers);
    this.#code = new CodeCache(memory, this.ram, this.#pmp);
    this.#mmu = new Mmu(this.registers, this.ram, this.#pmp, this.#code);
    this.#traps = new Traps(this.registers, this.#mmu);
    this.#data = new DataPath({
      registers: this.registers,
      ram: this.ram,
      mmu: this.#mmu,
      bus: port.bus,
      traps: this.#traps,
    });
    this.#csrs = new Csrs(this.registers, {
      position: () => this.#stepPosition(),
      mtime: () => this.mtimeNow(),
      pending: () => this.#pending(this.#stepPosition()),
      modeChanged: () => this.#mmu.modeChanged(),
      rootChanged: () => {
        this.#mmu.rootChanged();
        this.#generation += 1;
      },
      pmpChanged: () => this.#pmpChanged(),
      interruptsChanged: ({deadline}) => {
        if (deadline) this.cut();
        else this.#interruptDue();
      },
    });
    this.ram.observer = this;
    this.#run = this.#instantiate(memory);
    this.reset();
  }

  reset(): void {
    const {registers} = this;
    registers.bytes.fill(0, 0, layout.CSRS_END);
    this.#csrs.reset();
    this.invalidate();
  }

  /** Drops every cache, and takes the modes from the registers anew. */
  invalidate(): void {
    this.#pmp.update();
    this.#mmu.rootChanged();
    this.#mmu.modeChanged();
    this.#code.clear();
  }

  /** Whether the hart is in WFI and no enabled interrupt is pending. */
  waits(position: bigint): boolean {
    const {registers} = this;
    return registers.low('waiting') === WAITING && (this.#pending(position) & registers.low('mie')) === 0;
  }

  /** The next mtime at which an enabled timer interrupt becomes pending; undefined when there is none, or it is pending. */
  nextDeadline(mtime: bigint): bigint | undefined {
    const {registers} = this;
    const enabled = registers.low('mie');
    let next: bigint | undefined;
    const consider = (bit: number, deadline: bigint): void => {
      if (((enabled >>> bit) & 1) === 1 && deadline > mtime && (next === undefined || deadline < next)) next = deadline;
    };
    consider(INTERRUPT.MTI, this.#port.mtimecmp());
    if ((registers.get('menvcfg') & MENVCFG_STCE) !== 0n) consider(INTERRUPT.STI, registers.get('stimecmp'));
    return next;
  }

  /** Runs at most `steps` (> 0) from `position`, first taking an interrupt that is due. Returns the steps executed. */
  run(position: bigint, steps: number): number {
    const {registers} = this;
    registers.setLow('waiting', 0);
    const due = this.#traps.due(this.#pending(position));
    if (due !== undefined) this.#traps.interrupt(due);
    this.#chunkStart = position;
    this.#chunkSteps = Math.min(steps, CHUNK_STEPS);
    registers.i32[layout.LEFT / 4] = this.#chunkSteps;
    registers.i32[layout.CUT / 4] = 0;
    this.#run();
    const executed = this.#chunkSteps - registers.i32[layout.CUT / 4];
    this.#chunkSteps = 0;
    return executed;
  }

  /** Ends the chunk after the present step. */
  cut(): void {
    const {i32} = this.registers;
    i32[layout.CUT / 4] += i32[layout.LEFT / 4];
    i32[layout.LEFT / 4] = 0;
  }

  /** Sets an interrupt line at its bit of mip. */
  setLine(interrupt: number, level: boolean): void {
    const lines = this.registers.low('lines');
    const next = level ? lines | (1 << interrupt) : lines & ~(1 << interrupt);
    this.registers.setLow('lines', next);
    if ((next & ~lines) !== 0) this.#interruptDue();
  }

  /** mtime at the boundary before the present step. */
  mtimeNow(): bigint {
    return this.#port.mtime(this.#stepPosition());
  }

  /** Steps before the present one. */
  positionNow(): bigint {
    return this.#stepPosition();
  }

  // RamObserver

  codeWritten(page: number, start: number, end: number): void {
    this.#code.overwritten(page, start, end);
  }

  tableWritten(start: number, end: number): void {
    if (!this.#mmu.holdsValidEntry(start, end)) return;
    this.#mmu.flush();
    this.cut();
  }

  deviceWritten(offset: number, lengthBytes: number): void {
    const reservation = this.registers.u32[layout.RESERVATION / 4];
    const reserved = reservation & ~3;
    if (reservation !== 0 && reserved + 8 > offset && reserved < offset + lengthBytes)
      this.registers.u32[layout.RESERVATION / 4] = 0;
  }

  epochEnded(): void {
    this.#mmu.flush();
  }

  // Slow paths of generated code

  #instantiate(memory: WebAssembly.Memory): () => void {
    const paths: SlowPaths = {
      fetch: () => this.#fetch(),
      decode: (slot) => this.#code.fill(slot),
      refetch: () => this.#refetch(),
      load: (low, high, kind) => this.#data.load(low, high, kind),
      store: (low, high, kind) => this.#data.store(low, high, kind),
      atomic: (low, high, sizeBytes, write) => this.#data.atomic(low, high, sizeBytes, write === 1 ? 'store' : 'load'),
      system: (action, bits) => this.#system(action, bits),
    };
    const module = new WebAssembly.Module(generateInterpreter(memory.buffer.byteLength / 0x10000));
    return new WebAssembly.Instance(module, {env: {memory, ...paths}}).exports['run'] as () => void;
  }

  #fetch(): void {
    const {i32} = this.registers;
    const low = i32[layout.PC / 4];
    const high = i32[layout.PC / 4 + 1];
    const decoded = this.#mmu.fetch(low, high);
    if (decoded >= 0) return;
    // The step that could not be fetched counts.
    i32[layout.LEFT / 4] -= 1;
    this.#fetchFault(decoded, this.registers.pc);
  }

  #refetch(): number {
    const {i32, pc} = this.registers;
    const low = i32[layout.PC / 4];
    const half = this.#mmu.fetchHalfword(low, i32[layout.PC / 4 + 1]);
    if (half < 0) return this.#fetchFault(half, pc);
    let next = 0;
    if ((half & 3) === 3) {
      const following = BigInt.asIntN(64, pc + 2n);
      next = this.#mmu.fetchHalfword(Number(BigInt.asIntN(32, following)), Number(following >> 32n));
      if (next < 0) return this.#fetchFault(next, BigInt.asUintN(64, following));
    }
    this.#code.encode(layout.REFETCH_SLOT, half, next);
    return 0;
  }

  #fetchFault(fault: number, address: bigint): 1 {
    this.#traps.exception(fault === FAULT.page ? CAUSE.fetchPage : CAUSE.fetchAccess, address);
    return 1;
  }

  #system(action: number, bits: number): number {
    const {registers} = this;
    const privilege = registers.low('privilege');
    const status = registers.low('mstatus');
    switch (SYSTEM_ACTIONS[action]) {
      case 'csr': {
        const next = registers.pc + 4n;
        const mode = this.#modeKey();
        if (!this.#csrs.execute(bits)) return this.#illegal();
        if (mode === this.#modeKey()) return 0;
        registers.pc = next;
        return 1;
      }
      case 'ecall':
        this.#traps.exception(CAUSE.userCall + privilege, 0n);
        return 1;
      case 'ebreak':
        this.#traps.exception(CAUSE.breakpoint, registers.pc);
        return 1;
      case 'mret':
        if (privilege !== PRIVILEGE.M) return this.#illegal();
        this.#traps.mret();
        this.#interruptDue();
        return 1;
      case 'sret':
        if (privilege === PRIVILEGE.U || (privilege === PRIVILEGE.S && (status & MSTATUS.TSR) !== 0))
          return this.#illegal();
        this.#traps.sret();
        this.#interruptDue();
        return 1;
      case 'wfi':
        if (privilege === PRIVILEGE.U || (privilege === PRIVILEGE.S && (status & MSTATUS.TW) !== 0))
          return this.#illegal();
        registers.setLow('waiting', WAITING);
        this.cut();
        return 0;
      case 'sfence.vma':
        if (privilege === PRIVILEGE.U || (privilege === PRIVILEGE.S && (status & MSTATUS.TVM) !== 0))
          return this.#illegal();
        return 0;
      default:
        return this.#illegal();
    }
  }

  /** What generated code has derived its pointers from; when it changes it must go on from memory. */
  #modeKey(): number {
    const {i32} = this.registers;
    return i32[layout.DATA_CACHE / 4] + this.#generation * 0x10_0000;
  }

  #illegal(): 1 {
    const {i32, pc} = this.registers;
    const half = this.#mmu.fetchHalfword(i32[layout.PC / 4], i32[layout.PC / 4 + 1]);
    const following = BigInt.asIntN(64, pc + 2n);
    const next =
      (half & 3) === 3 ? this.#mmu.fetchHalfword(Number(BigInt.asIntN(32, following)), Number(following >> 32n)) : 0;
    if (half < 0 || next < 0) throw new FtvmError('internal', 'an instruction vanished while it was executed');
    this.#traps.exception(CAUSE.illegalInstruction, BigInt((half | (next << 16)) >>> 0));
    return 1;
  }

  #pmpChanged(): void {
    this.#pmp.update();
    this.#mmu.flush();
    this.#code.clear();
    this.#generation += 1;
  }

  #interruptDue(): void {
    if (this.#chunkSteps > 0 && this.#traps.due(this.#pending(this.#stepPosition())) !== undefined) this.cut();
  }

  /** mip at a position: software bits, lines, and timers. */
  #pending(position: bigint): number {
    const {registers} = this;
    const mtime = this.#port.mtime(position);
    let pending = registers.low('mip') | registers.low('lines');
    if (mtime >= this.#port.mtimecmp()) pending |= 1 << INTERRUPT.MTI;
    if ((registers.get('menvcfg') & MENVCFG_STCE) !== 0n) {
      pending &= ~(1 << INTERRUPT.STI);
      if (mtime >= registers.get('stimecmp')) pending |= 1 << INTERRUPT.STI;
    }
    return pending;
  }

  #stepPosition(): bigint {
    const {i32} = this.registers;
    if (this.#chunkSteps === 0) return this.#chunkStart;
    return this.#chunkStart + BigInt(this.#chunkSteps - i32[layout.LEFT / 4] - i32[layout.CUT / 4] - 1);
  }
}
