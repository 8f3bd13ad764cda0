// The hart: runs the generated interpreter in slices, serves its slow paths, takes interrupts at exact positions.

import {FtvmError} from '../../errors.ts';
import type {Bus} from '../devices/bus.ts';
import * as layout from '../layout.ts';
import {Ram, type RamObserver} from '../memory.ts';
import type {StateTable} from '../state-table.ts';
import {CAUSE, INTERRUPT, MENVCFG_STCE, MSTATUS, PRIVILEGE} from '../status.ts';
import {generateInterpreter, type HartFunctions} from '../wasm/interpreter-module.ts';
import {type SlowPaths, SYSTEM_ACTIONS} from '../wasm/slot.ts';
import {type HostArithmetic, PLAIN_ARITHMETIC} from '../wasm/translated-code.ts';
import {CodeCache} from './code-cache.ts';
import {Csrs} from './csrs.ts';
import {DataPath, DEFERRED, following} from './data-path.ts';
import {FAULT, Mmu} from './mmu.ts';
import {Pmp} from './pmp.ts';
import {Registers} from './registers.ts';
import {type Compiler, Translations} from './translations.ts';
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
const TIMERS = (1 << INTERRUPT.MTI) | (1 << INTERRUPT.STI);

/**
 * What executes the guest's instructions. `threshold`: how often a place is counted before it is translated; 0 and 1 mean at once. It is counted
 * each time that it is visited, or, where a `period` is given, for each so many interpreted steps. `arithmetic`: what was found out about the
 * host. None of it changes a result.
 */
export type Engine =
  | {kind: 'interpreter'}
  | {
      kind: 'translator';
      threshold: number;
      period?: number;
      /** What would be generated for this threshold and period. */
      interpreter?: Uint8Array<ArrayBuffer> | undefined;
      /** `queue` leaves it to whoever takes the requests; `translate` (wasm/translate.ts) is called while the guest waits. */
      compiler: Compiler;
      arithmetic?: HostArithmetic;
    };

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
  /** Absent when the interpreter does everything. */
  readonly translations: Translations | undefined;
  readonly #functions: HartFunctions & {run(): void};
  /** Position at the start of the chunk that runs now, and its steps. */
  #chunkStart = 0n;
  #chunkSteps = 0;
  readonly #period: number = 0;
  /** Counts changes of satp and PMP: the page of code that runs may be another now. */
  #generation = 0;

  constructor(options: {
    memory: WebAssembly.Memory;
    ramBytes: number;
    state: StateTable;
    port: HartPort;
    engine: Engine;
  }) {
    const {memory, ramBytes, state, port, engine} = options;
    this.#port = port;
    this.ram = new Ram(memory, ramBytes);
    this.registers = new Registers(memory, state);
    this.#pmp = new Pmp(this.registers, this.ram.pageCount);
    this.#code = new CodeCache(memory, this.ram, this.#pmp);
    this.#mmu = new Mmu(this.registers, this.ram, this.#pmp, this.#code);
    this.#traps = new Traps(this.registers, () => this.#functions);
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
      rootChanged: () => {
        this.#mmu.rootChanged();
        this.#functions.setModes();
        this.#generation += 1;
      },
      pmpChanged: () => this.#pmpChanged(),
      interruptsChanged: ({deadline}) => {
        if (deadline) this.cut();
        else this.#interruptDue();
      },
    });
    this.ram.observer = this;
    if (engine.kind === 'translator') {
      this.#period = engine.period ?? 0;
      const {compiler, arithmetic = PLAIN_ARITHMETIC} = engine;
      const {ram} = this;
      const translations = new Translations({
        ...{memory, ram, pmp: this.#pmp, code: this.#code},
        neighbours: () => this.#mmu.neighbours(),
        ...{threshold: Math.max(1, engine.threshold), compiler, arithmetic},
      });
      this.#code.onClear = () => translations.clear();
      this.translations = translations;
    }
    this.#functions = this.#instantiate(memory, engine);
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
    this.#mmu.flush();
    this.#mmu.rootChanged();
    this.#functions.setModes();
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
    const pending = this.#pending(position);
    registers.i32[layout.TIMERS / 4] = pending & TIMERS;
    const due = this.#traps.due(pending);
    if (due !== undefined) this.#traps.interrupt(due);
    this.#chunkStart = position;
    this.#chunkSteps = Math.min(steps, CHUNK_STEPS);
    registers.i32[layout.LEFT / 4] = this.#chunkSteps;
    const counted = this.#period === 0 ? 0 : this.#period - Number(position % BigInt(this.#period));
    registers.i32[layout.COUNT_AT / 4] = this.#chunkSteps - counted;
    registers.i32[layout.CUT / 4] = 0;
    this.#functions.run();
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
    this.translations?.overwritten(page, start, end);
    if (this.#code.isWrittenOften(page) && !this.#mmu.mayExecute(this.#code.pageOffset(page))) {
      this.#mmu.removeFetches(this.#code.pageOffset(page));
      this.translations?.release(page);
      this.#code.release(page);
    }
  }

  tableWritten(start: number, end: number): void {
    if (this.#mmu.tableWritten(start, end)) this.cut();
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

  #instantiate(memory: WebAssembly.Memory, engine: Engine): HartFunctions & {run(): void} {
    const paths: SlowPaths = {
      fetch: () => this.#fetch(),
      decode: (slot) => this.#decode(slot),
      refetch: () => this.#refetch(),
      load: (low, high, kind) => this.#stayed(this.#mmu.flushes, this.#data.load(low, high, kind)),
      store: (low, high, kind) => this.#stayed(this.#mmu.flushes, this.#data.store(low, high, kind)),
      atomic: (low, high, sizeBytes, write) =>
        this.#stayed(this.#mmu.flushes, this.#atomic(low, high, sizeBytes, write)),
      system: (action, bits) => this.#stayed(this.#mmu.flushes, this.#system(action, bits)),
      interruptsChanged: () => this.#interruptDue(),
      mxrChanged: () => {
        this.#mmu.flush();
        return 1;
      },
      loadTranslated: (low, high, kind) => this.#loadTranslated(low, high, kind),
      storeTranslated: (low, high, kind) => this.#storeTranslated(low, high, kind),
      atomicTranslated: (low, high, sizeBytes, write) => this.#atomicTranslated(low, high, sizeBytes, write),
      systemTranslated: (action, bits) => this.#systemTranslated(action, bits),
    };
    const module = interpreterModule(engine);
    const table = this.translations?.table;
    const {exports} = new WebAssembly.Instance(module, {env: {memory, ...paths, ...(table && {table})}});
    this.translations?.setFunctions(exports);
    return exports as HartFunctions & {run(): void};
  }

  /**
   * The result of a slow path of the interpreter, before which there had been so many flushes. It goes on within the page that it runs, whose
   * translation a flush has left unwatched: watch it again. That translation has not changed: if it had, the slice would have been cut.
   */
  #stayed(flushes: number, result: number): number {
    const {i32} = this.registers;
    if (flushes !== this.#mmu.flushes && i32[layout.LEFT / 4] !== 0)
      this.#mmu.fetch(i32[layout.PC / 4], i32[layout.PC / 4 + 1]);
    return result;
  }

  #atomic(low: number, high: number, sizeBytes: number, write: number): number {
    return this.#data.atomic(low, high, sizeBytes, write === 1 ? 'store' : 'load');
  }

  // Slow paths of translated code. Its frames rely on the translations of several pages, on code that may be overwritten, and on steps
  // that were set aside for it. Where any of that changes it must be left, with pc and steps left exact. Devices may do anything:
  // accesses to them are the interpreter's.

  #loadTranslated(low: number, high: number, kind: number): number {
    const before = this.#marks();
    const status = this.#data.load(low, high, kind & 0xff, 'defer');
    // A load that has changed nothing may as well be done again.
    if (status === DEFERRED || (status === 0 && before !== this.#marks())) return this.#undo();
    return status;
  }

  #storeTranslated(low: number, high: number, kind: number): number {
    const before = this.#marks();
    const status = this.#data.store(low, high, kind & 0xff, 'defer');
    if (status === DEFERRED) return this.#undo();
    if (status === 1 || before === this.#marks()) return status;
    this.registers.pc = BigInt.asUintN(64, this.registers.pc + BigInt(kind >>> 8));
    return 1;
  }

  #atomicTranslated(low: number, high: number, sizeBytes: number, write: number): number {
    const before = this.#marks();
    const offset = this.#atomic(low, high, sizeBytes, write);
    if (offset < 0 || before === this.#marks()) return offset;
    // The interpreter does it again: nothing has been stored yet.
    this.#undo();
    return -1;
  }

  #systemTranslated(action: number, bits: number): number {
    const before = this.#marks();
    const status = this.#system(action, bits);
    if (status === 1 || before === this.#marks()) return status;
    this.registers.pc = BigInt.asUintN(64, this.registers.pc + 4n);
    return 1;
  }

  /** What must not change while translated code runs on. */
  #marks(): number {
    // Each only grows but LEFT, which a cut makes 0: then CUT has grown by as much.
    return (
      this.#mmu.flushes + this.#mmu.removals + (this.translations?.drops ?? 0) + this.registers.i32[layout.CUT / 4]
    );
  }

  /** The present step is as if it had not begun. */
  #undo(): 1 {
    this.registers.i32[layout.LEFT / 4] += 1;
    return 1;
  }

  #fetch(): void {
    const {i32} = this.registers;
    const low = i32[layout.PC / 4];
    const high = i32[layout.PC / 4 + 1];
    const decoded = this.#mmu.fetch(low, high);
    if (decoded >= 0) return;
    // The step that could not be fetched counts.
    i32[layout.LEFT / 4] -= 1;
    this.#fetchFault(decoded, low, high);
  }

  #decode(slot: number): void {
    const translated = this.translations?.at(slot) ?? 0;
    if (translated > 0) this.#code.fillTranslated(slot, translated);
    else this.#code.fill(slot);
  }

  #refetch(): number {
    const {i32} = this.registers;
    const {flushes} = this.#mmu;
    const low = i32[layout.PC / 4];
    const half = this.#mmu.fetchHalfword(low, i32[layout.PC / 4 + 1]);
    if (half < 0) return this.#fetchFault(half, low, i32[layout.PC / 4 + 1]);
    let next = 0;
    if ((half & 3) === 3) {
      const [nextLow, nextHigh] = following(low, i32[layout.PC / 4 + 1], 2);
      next = this.#mmu.fetchHalfword(nextLow, nextHigh);
      if (next < 0) return this.#fetchFault(next, nextLow, nextHigh);
    }
    // The page that runs was forgotten, too, and may be decoded elsewhere now: the step is made from there.
    if (flushes !== this.#mmu.flushes) return this.#undo();
    this.#code.encode(layout.REFETCH_SLOT, half, next);
    return 0;
  }

  #fetchFault(fault: number, low: number, high: number): 1 {
    this.#traps.exception(fault === FAULT.page ? CAUSE.fetchPage : CAUSE.fetchAccess, low, high);
    return 1;
  }

  #system(action: number, bits: number): number {
    const {registers} = this;
    const privilege = registers.low('privilege');
    const status = registers.low('mstatus');
    switch (SYSTEM_ACTIONS[action]) {
      case 'csr': {
        const next = registers.pc + 4n;
        const generation = this.#generation;
        if (!this.#csrs.execute(bits)) return this.#illegal();
        if (generation === this.#generation) return 0;
        registers.pc = next;
        return 1;
      }
      case 'ebreak':
        this.#traps.exception(CAUSE.breakpoint, registers.i32[layout.PC / 4], registers.i32[layout.PC / 4 + 1]);
        return 1;
      case 'wfi':
        if (privilege === PRIVILEGE.U || (privilege === PRIVILEGE.S && (status & MSTATUS.TW) !== 0))
          return this.#illegal();
        registers.setLow('waiting', WAITING);
        this.cut();
        return 0;
      default:
        return this.#illegal();
    }
  }

  #illegal(): 1 {
    const {i32} = this.registers;
    const half = this.#mmu.fetchHalfword(i32[layout.PC / 4], i32[layout.PC / 4 + 1]);
    const [nextLow, nextHigh] = following(i32[layout.PC / 4], i32[layout.PC / 4 + 1], 2);
    const next = (half & 3) === 3 ? this.#mmu.fetchHalfword(nextLow, nextHigh) : 0;
    if (half < 0 || next < 0) throw new FtvmError('internal', 'an instruction vanished while it was executed');
    this.#traps.exception(CAUSE.illegalInstruction, half | (next << 16), 0);
    return 1;
  }

  #pmpChanged(): void {
    this.#pmp.update();
    this.#mmu.flush();
    this.#code.clear();
    this.#generation += 1;
  }

  /** Ends the chunk if an interrupt is to be taken. Returns whether it has, as a status. */
  #interruptDue(): 0 | 1 {
    if (this.#chunkSteps === 0) return 0;
    const {registers} = this;
    const pending = ((registers.low('mip') | registers.low('lines')) & ~TIMERS) | registers.i32[layout.TIMERS / 4];
    // STIP may be a bit of mip, without Sstc.
    const software = registers.low('mip') & TIMERS;
    if (pending === 0 && software === 0) return 0;
    if (this.#traps.due(this.#pending(this.#stepPosition())) === undefined) return 0;
    this.cut();
    return 1;
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

/** Modules are the same for all machines: a process that makes several compiles each once, and optimises it once. */
const interpreterModules = new Map<string, WebAssembly.Module>();

function interpreterModule(engine: Engine): WebAssembly.Module {
  const translator =
    engine.kind === 'translator' ? {threshold: Math.max(1, engine.threshold), period: engine.period ?? 0} : undefined;
  const key = `${translator?.threshold} ${translator?.period}`;
  const known = interpreterModules.get(key);
  if (known !== undefined) return known;
  const bytes = engine.kind === 'translator' ? engine.interpreter : undefined;
  const module = new WebAssembly.Module(bytes ?? generateInterpreter(translator));
  interpreterModules.set(key, module);
  return module;
}
