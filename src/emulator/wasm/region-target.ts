// The translator's target: operands are constants and locals. A region's x and f registers live in locals; where the region is
// left they go back to memory, and only those that may differ from it. Every slow path is given pc and the steps left exactly.

import {
  Builder,
  type Expr,
  type GuestAccess,
  type OperandName,
  type SystemAction,
  type ValueType,
} from '../isa/expression.ts';
import {BINARY32, BINARY64} from '../isa/softfloat/format.ts';
import type {Inline} from '../isa/softfloat/inline.ts';
import * as layout from '../layout.ts';
import {CodeWriter, type Label} from './encoder.ts';
import {type FloatUse, FS_DIRTY, pushSafe} from './float-state.ts';
import type {FlowBlock} from './flow-graph.ts';
import {LOADS, STORES, sizeOf, typedAs} from './guest-access.ts';
import type {KnownPages, PagePlan} from './known-pages.ts';
import {lowerExpr, lowerStatements, type Push, type Target} from './lower.ts';
import {accessRam, type RamAccess, type RamOutcome} from './ram-access.ts';
import type {Step} from './region.ts';
import {registersOf} from './register-use.ts';
import {ACCESS_KINDS, SYSTEM_ACTIONS} from './slot.ts';
import {CANONICAL_NAN} from './slot-target.ts';
import {traitsOf} from './traits.ts';

/** Parameters (translated-code.ts), then locals. */
const LEFT = 0;
const BASE = 2;
const PARAMETERS = 3;

/** Registers whose locals are ahead of memory. */
export type Dirty = {x: number; f: number};

/** What of a step differs between instructions and places. */
type Present = {
  step: Step /** Steps of the block from this one on. */;
  ahead: number;
  localTypes: readonly ValueType[];
};

const BOX = 0xffff_ffff_0000_0000n;

export class RegionTarget implements Target {
  readonly code = new CodeWriter();
  readonly localTypes: ValueType[] = [];
  readonly #functions: ReadonlyMap<string, number>;
  readonly #inline: ReadonlyMap<string, Inline>;
  readonly #floatUse: FloatUse;
  readonly #pages: KnownPages;
  #plans: ReadonlyMap<Step, PagePlan> | undefined;
  #isInlining = false;
  readonly #named = new Map<string, number>();
  #present: Present | undefined;
  dirty: Dirty = {x: 0, f: 0};
  #writesBackLate = false;
  /**
   * Registers whose single is in a local of its own in this block: taken `from` the register; `written`, and the register's f64 too; or the
   * register's f64 is `behind`. Boxing and unboxing what goes from one instruction to the next would cost more than to compute it.
   */
  readonly #singles = new Map<number, 'from' | 'written' | 'behind'>();
  /** Whether mstatus.FS was found on, or made dirty, since the block's start. */
  #floatingPoint: 'unknown' | 'on' | 'dirty' = 'unknown';
  /** The end of the region for what the hart has interrupted: registers are in memory. */
  interrupted: Label = {depth: 0};
  /** What a branch or jump does; set by who lowers the block's end. */
  onBranch: ((condition: Push) => void) | undefined;
  onJump: ((target: Push) => void) | undefined;

  constructor(options: {
    functions: ReadonlyMap<string, number>;
    inline: ReadonlyMap<string, Inline>;
    floatUse: FloatUse;
    pages: KnownPages;
  }) {
    this.#pages = options.pages;
    this.#functions = options.functions;
    this.#inline = options.inline;
    this.#floatUse = options.floatUse;
  }

  /** The local of this name, made when it is first asked for. */
  local(name: string, type: ValueType): number {
    let index = this.#named.get(name);
    if (index === undefined) {
      index = PARAMETERS + this.localTypes.length;
      this.localTypes.push(type);
      this.#named.set(name, index);
    }
    return index;
  }

  /** In innermost loops registers go to memory only where the region is left; else also at once. */
  startBlock(block: FlowBlock): void {
    this.dirty = {x: block.dirtyX, f: block.dirtyF};
    this.#writesBackLate = block.loop !== undefined;
    this.#plans = this.#pages.plansOf(block);
    this.#floatingPoint = 'unknown';
    this.#singles.clear();
  }

  /** Ends what holds within a block only: whatever comes next finds registers in their f64 locals. */
  endBlock(): void {
    for (const [register, state] of this.#singles) if (state === 'behind') this.#catchUp(register);
  }

  /** `ahead`: steps of the block that are counted already, and have not been executed: this one and those behind it. */
  lowerStep(step: Step, ahead: number): void {
    const {instruction, word} = step;
    const isSame = ((word >>> 15) & 31) === ((word >>> 20) & 31);
    const {statements, localTypes} = (isSame && instruction.whenSame) || instruction;
    this.#present = {step, ahead, localTypes};
    const {usesFloatingPoint, dirtiesFloatingPoint} = traitsOf(instruction);
    if (usesFloatingPoint) this.#checkFloatingPoint(dirtiesFloatingPoint);
    this.#prepareFloats(step);
    lowerStatements(this, statements);
  }

  // Target

  localIndex(id: number): number {
    const types = this.#present?.localTypes ?? [];
    const rank = types.slice(0, id).filter((type) => type === types[id]).length;
    return this.local(`${types[id]}.${rank}`, types[id]);
  }

  functionIndex(name: string): number {
    const index = this.#functions.get(name);
    if (index === undefined) throw new Error(`no function is called ${name}`);
    return index;
  }

  operand(name: OperandName): void {
    const {word, offset, lengthBytes, instruction} = this.#step;
    switch (name) {
      case 'rs1':
        return this.pushX((word >>> 15) & 31);
      case 'rs2':
        return this.pushX((word >>> 20) & 31);
      case 'fs1':
        return this.#pushF((word >>> 15) & 31);
      case 'fs2':
        return this.#pushF((word >>> 20) & 31);
      case 'fs3':
        return this.#pushF((word >>> 27) & 31);
      case 'single1':
        return this.#pushSingle((word >>> 15) & 31);
      case 'single2':
        return this.#pushSingle((word >>> 20) & 31);
      case 'single3':
        return this.#pushSingle((word >>> 27) & 31);
      case 'low1':
        return this.#pushLow((word >>> 15) & 31);
      case 'low2':
        return this.#pushLow((word >>> 20) & 31);
      case 'imm':
        this.code.i64Const(BigInt(instruction.format.immediate(word)));
        return;
      case 'rm':
        return this.#roundingMode(instruction.format.immediate(word));
      case 'pc':
        return this.pushPc(offset);
      case 'nextPc':
        return this.pushPc(offset + lengthBytes);
    }
  }

  inlineCall(callee: string, args: readonly Expr[]): boolean {
    const inline = this.#inline.get(callee);
    // What stands in place of a call may itself call the function.
    if (inline === undefined || this.#isInlining || this.#present === undefined) return false;
    const present = this.#present;
    const builder = new Builder(present.localTypes.length);
    const mode = present.step.instruction.format.immediate(present.step.word);
    if (mode === 5 || mode === 6) return false;
    const isMode = (arg: Expr): boolean => arg.kind === 'operand' && arg.operand === 'rm';
    const result = inline(builder, ...args.map((arg) => (isMode(arg) && mode !== 7 ? builder.i32(mode) : arg)));
    if (result === undefined) return false;
    this.#present = {...present, localTypes: [...present.localTypes, ...builder.locals.map(({type}) => type)]};
    this.#isInlining = true;
    lowerStatements(this, builder.statements);
    lowerExpr(this, result);
    this.#isInlining = false;
    return true;
  }

  safe(format: 'f32' | 'f64'): void {
    this.code.localGet(this.#safe(format));
  }

  setRd(value: Push): void {
    const rd = (this.#step.word >>> 7) & 31;
    if (rd === 0) {
      value();
      this.code.drop();
      return;
    }
    if (this.#writesBackLate) {
      value();
      this.code.localSet(this.#x(rd));
      this.dirty.x |= 1 << rd;
    } else {
      this.code.i32Const(0);
      value();
      this.code.localTee(this.#x(rd)).memory('i64.store', layout.X + 8 * rd);
    }
  }

  setFd(value: Push): void {
    const fd = (this.#step.word >>> 7) & 31;
    value();
    this.code.localSet(this.#f(fd));
    this.#singles.delete(fd);
    this.#floatWritten(fd);
  }

  setFdSingle(value: Push): void {
    const fd = (this.#step.word >>> 7) & 31;
    value();
    this.code.localSet(this.#s(fd));
    this.#singles.set(fd, 'behind');
    this.#floatWritten(fd);
  }

  #floatWritten(fd: number): void {
    if (this.#writesBackLate) this.dirty.f |= 1 << fd;
    else this.spill({x: 0, f: 1 << fd});
  }

  branch(condition: Push): void {
    if (this.onBranch === undefined) throw new Error('a branch within a block');
    this.onBranch(condition);
  }

  jump(target: Push): void {
    if (this.onJump === undefined) throw new Error('a jump within a block');
    this.onJump(target);
  }

  guestLoad(access: GuestAccess, address: Push): void {
    const {code} = this;
    const value = typedAs(access);
    this.#accessRam(
      {sizeBytes: sizeOf(access), cache: layout.TLB_READ, address, result: value.type},
      {
        found: () => code.memory(LOADS[access]),
        missed: () => {
          this.#pushPlace();
          code.localGet(this.#address).i32Const(ACCESS_KINDS[access]).call(this.functionIndex('loadSlow'));
          this.#leaveIf();
          code.i32Const(0).memory(value.load, layout.VALUE);
        },
      },
    );
  }

  guestStore(access: GuestAccess, address: Push, value: Push): void {
    const {code} = this;
    this.#accessRam(
      {sizeBytes: sizeOf(access), cache: layout.TLB_WRITE, address},
      {
        found: () => {
          value();
          code.memory(STORES[access]);
        },
        missed: () => {
          this.#pushPlace();
          code.localGet(this.#address);
          value();
          if (access === 'f32') code.op('i32.reinterpret_f32').op('i64.extend_i32_u');
          if (access === 'f64') code.op('i64.reinterpret_f64');
          // Bits 8 and up: the instruction's length, for a store that is done and must be left.
          code.i32Const(ACCESS_KINDS[access] | (this.#step.lengthBytes << 8)).call(this.functionIndex('storeSlow'));
          this.#leaveIf();
        },
      },
    );
  }

  atomicAddress(sizeBytes: 4 | 8, intent: 'read' | 'write', address: Push): void {
    const {code} = this;
    const cache = intent === 'write' ? layout.TLB_WRITE : layout.TLB_READ;
    this.#accessRam(
      {sizeBytes, cache, address, result: 'i32'},
      {
        found: () => code.i32Const(layout.RAM).op('i32.sub'),
        missed: () => {
          const offset = this.local('scratch', 'i32');
          this.#pushPlace();
          code
            .localGet(this.#address)
            .i32Const(sizeBytes)
            .i32Const(intent === 'write' ? 1 : 0);
          code.call(this.functionIndex('atomicSlow')).localTee(offset).i32Const(-1).op('i32.eq');
          this.#leaveIf();
          code.localGet(offset);
        },
      },
    );
  }

  /** CSR accesses and fences. The hart works on the registers in memory. */
  system(action: SystemAction): void {
    const {code} = this;
    const step = this.#step;
    this.spill(this.dirty);
    this.dirty = {x: 0, f: 0};
    this.#pushPlace();
    code.i32Const(SYSTEM_ACTIONS.indexOf(action)).i32Const(step.word).call(this.functionIndex('systemSlow'));
    this.#leaveIf();
    this.reload({x: registersOf(step).writesX, f: 0});
    this.loadFloatState();
    if (action === 'csr') this.loadDataCache();
  }

  // What is needed at a block's ends

  pushX(register: number): void {
    if (register === 0) this.code.i64Const(0n);
    else this.code.localGet(this.#x(register));
  }

  /** The virtual address of an offset in the page. */
  pushPc(offset: number): void {
    this.code.localGet(BASE);
    if (offset !== 0) this.code.i64Const(BigInt(offset)).op('i64.add');
  }

  pushLeft(more = 0): void {
    this.code.localGet(LEFT);
    if (more !== 0) this.code.i32Const(more).op('i32.add');
  }

  /** Writes registers back to memory. */
  spill({x, f}: Dirty): void {
    for (let n = 0; n < 32; n += 1) {
      if (((x >>> n) & 1) === 1)
        this.code
          .i32Const(0)
          .localGet(this.#x(n))
          .memory('i64.store', layout.X + 8 * n);
      if (((f >>> n) & 1) === 1) this.#spillFloat(n);
    }
  }

  #spillFloat(register: number): void {
    const {code} = this;
    const place = layout.F + 8 * register;
    if (this.#singles.get(register) === 'behind') {
      code.i32Const(0).localGet(this.#s(register)).memory('f32.store', place);
      code
        .i32Const(0)
        .i32Const(-1)
        .memory('i32.store', place + 4);
    } else {
      code.i32Const(0).localGet(this.#f(register)).memory('f64.store', place);
    }
  }

  reload({x, f}: Dirty): void {
    for (let n = 0; n < 32; n += 1) {
      if (((x >>> n) & 1) === 1)
        this.code
          .i32Const(0)
          .memory('i64.load', layout.X + 8 * n)
          .localSet(this.#x(n));
      if (((f >>> n) & 1) === 1)
        this.code
          .i32Const(0)
          .memory('f64.load', layout.F + 8 * n)
          .localSet(this.#f(n));
    }
  }

  get #step(): Step {
    if (this.#present === undefined) throw new Error('no instruction is being lowered');
    return this.#present.step;
  }

  get #address(): number {
    return this.local('address', 'i64');
  }

  #x(register: number): number {
    return this.local(`x${register}`, 'i64');
  }

  /**
   * FP registers are f64, which WebAssembly moves bit by bit: V8 takes an operand from there, and puts a result there, without a detour
   * through an integer register.
   */
  #f(register: number): number {
    return this.local(`f${register}`, 'f64');
  }

  /** A register's single, in a block where it is there. */
  #s(register: number): number {
    return this.local(`s${register}`, 'f32');
  }

  #pushF(register: number): void {
    this.code.localGet(this.#f(register));
  }

  #pushSingle(register: number): void {
    this.code.localGet(this.#s(register));
  }

  #pushLow(register: number): void {
    const state = this.#singles.get(register);
    if (state === 'written' || state === 'behind') this.code.localGet(this.#s(register));
    else this.code.localGet(this.#f(register)).op('i64.reinterpret_f64').op('i32.wrap_i64').op('f32.reinterpret_i32');
  }

  /** Before anything that is done on some ways only: the locals that a step will read. */
  #prepareFloats({instruction, word}: Step): void {
    const {operands} = traitsOf(instruction);
    for (const [index, shift] of [
      [1, 15],
      [2, 20],
      [3, 27],
    ] as const) {
      const register = (word >>> shift) & 31;
      const state = this.#singles.get(register);
      if (operands.has(`fs${index}`) && state === 'behind') this.#catchUp(register);
      if (operands.has(`single${index}`) && state === undefined) this.#unbox(register);
    }
  }

  #catchUp(register: number): void {
    const {code} = this;
    code.localGet(this.#s(register)).op('i32.reinterpret_f32').op('i64.extend_i32_u').i64Const(BOX).op('i64.or');
    code.op('f64.reinterpret_i64').localSet(this.#f(register));
    this.#singles.set(register, 'written');
  }

  #unbox(register: number): void {
    const {code} = this;
    this.#pushLow(register);
    code.i32Const(CANONICAL_NAN).op('f32.reinterpret_i32');
    code.localGet(this.#f(register)).op('i64.reinterpret_f64').i64Const(BOX).op('i64.ge_u');
    code.select().localSet(this.#s(register));
    this.#singles.set(register, 'from');
  }

  #accessRam(access: Omit<RamAccess, 'plan' | 'dataCache'>, outcome: RamOutcome): void {
    const plan = this.#plans?.get(this.#step);
    const missed = (): void => {
      outcome.missed();
      if (plan !== undefined) this.forgetPages([plan.key, ...plan.kept]);
    };
    accessRam(this, {...access, plan, dataCache: this.dataCache}, {...outcome, missed});
  }

  /** The locals of these keys are no page's: -1 is no page's address. */
  forgetPages(keys: readonly string[]): void {
    for (const key of keys) this.code.i64Const(-1n).localSet(this.local(`page.${key}`, 'i64'));
  }

  /** V8 drops the load where no access follows. */
  loadDataCache(): void {
    this.code.i32Const(0).memory('i32.load', layout.DATA_CACHE).localSet(this.dataCache);
  }

  /** The local that holds DATA_CACHE, which CSR accesses (mstatus.SUM) change, and what is called. */
  get dataCache(): number {
    return this.local('dataCache', 'i32');
  }

  /** Pushes pc and the steps left behind the present step, for a slow path. */
  #pushPlace(): void {
    const {step, ahead} = this.#present as Present;
    this.pushPc(step.offset);
    this.pushLeft(ahead - 1);
  }

  /** Takes a status: if it is not 0, leaves with what the hart has put into memory. */
  #leaveIf(): void {
    const {code, dirty} = this;
    if (dirty.x === 0 && dirty.f === 0) {
      code.hint('unlikely').branchIf(this.interrupted);
      return;
    }
    code.hint('unlikely').if(() => {
      this.spill(dirty);
      code.branch(this.interrupted);
    });
  }

  /** The end that `interrupted` leads to. */
  leaveFromMemory(): void {
    const {code} = this;
    code.i32Const(0).memory('i32.load', layout.LEFT);
    code.i32Const(0).memory('i64.load', layout.PC).i64Const(1n).op('i64.or');
  }

  /** Leaves before this step, which is the interpreter's: it will trap, or the code is not what was translated. */
  leaveBefore(step: Step, ahead: number): void {
    this.spill(this.dirty);
    this.pushLeft(ahead);
    this.pushPc(step.offset);
    this.code.return();
  }

  #leaveBefore(): void {
    const {step, ahead} = this.#present as Present;
    this.leaveBefore(step, ahead);
  }

  /**
   * Takes mstatus.FS and what of fcsr matters into locals, where the region is entered and after whatever may change them. FS becoming dirty, and NX
   * accruing, within the region is not seen: code is slower then, until it is entered again, which is soon; a local that changes in loops
   * would cost more.
   */
  loadFloatState(): void {
    const {code} = this;
    this.#floatingPoint = 'unknown';
    if (!this.#floatUse.any) return;
    code.i32Const(0).memory('i32.load', layout.FS).localSet(this.#fs);
    for (const format of [BINARY32, BINARY64]) {
      if (!this.#floatUse[format.name]) continue;
      pushSafe(code, format);
      code.localSet(this.#safe(format.name));
    }
  }

  #safe(format: 'f32' | 'f64'): number {
    return this.local(`safe ${format}`, 'i32');
  }

  get #fs(): number {
    return this.local('fs', 'i32');
  }

  #checkFloatingPoint(becomesDirty: boolean): void {
    const {code} = this;
    if (becomesDirty && this.#floatingPoint !== 'dirty') {
      code
        .localGet(this.#fs)
        .i32Const(FS_DIRTY)
        .op('i32.ne')
        .hint('unlikely')
        .if(() => {
          code
            .localGet(this.#fs)
            .op('i32.eqz')
            .if(() => this.#leaveBefore());
          code.i32Const(0).i32Const(FS_DIRTY).memory('i32.store', layout.FS);
        });
      this.#floatingPoint = 'dirty';
    } else if (this.#floatingPoint === 'unknown') {
      code
        .localGet(this.#fs)
        .op('i32.eqz')
        .hint('unlikely')
        .if(() => this.#leaveBefore());
      this.#floatingPoint = 'on';
    }
  }

  /** The effective rounding mode; a reserved one is an illegal instruction. */
  #roundingMode(field: number): void {
    const {code} = this;
    if (field <= 4) {
      code.i32Const(field);
      return;
    }
    if (field < 7) {
      code.i32Const(1).if(() => this.#leaveBefore());
      code.i32Const(0);
      return;
    }
    const mode = this.local('scratch', 'i32');
    code.i32Const(0).memory('i32.load', layout.FRM).localTee(mode).i32Const(4).op('i32.gt_u');
    code.hint('unlikely').if(() => this.#leaveBefore());
    code.localGet(mode);
  }
}
