// Generates the interpreter's main loop, in which every instruction of the tables is lowered with its operands taken
// from a decoded slot at run time. It counts every step, stops exactly where LEFT says, and leaves everything that needs the
// hart (translation misses, CSRs, traps) to imported slow paths. What it keeps in locals is written back before each of those.

import type {GuestAccess, OperandName, SystemAction, ValueType} from '../isa/expression.ts';
import type {Instruction} from '../isa/instruction.ts';
import * as layout from '../layout.ts';
import type {CodeWriter, Label} from './encoder.ts';
import {LOADS, PAGE_MASK, STORES, sizeOf, typedAs} from './guest-access.ts';
import {lowerStatements, type Push, type Target} from './lower.ts';
import {INSTRUCTION_OPERATIONS} from './operations.ts';
import {ACCESS_KINDS, OPERATION, OPERATION_MASK, SYSTEM_ACTIONS} from './slot.ts';
import {SlotTarget} from './slot-target.ts';
import {traitsOf} from './traits.ts';
import {CALL_DEPTH} from './translated-code.ts';

/** Locals of `run`. What only some instructions need (page, caches) stays in memory: fewer locals have to live from one to the next. */
const RUN = {
  left: 0,
  slot: 1,
  word: 2,
  entry: 3,
  bits: 4,
  pc: 5,
  address: 6,
  /** The steps left at which a visit is counted, and the slot of the place that was visited last. */
  countAt: 7,
  last: 8,
} as const;
export const RUN_LOCALS: readonly ValueType[] = ['i32', 'i32', 'i32', 'i32', 'i64', 'i64', 'i64', 'i32', 'i32'];

/** What an operation does; `isRare`: it may call functions. */
type Body = {operation: number; isRare: boolean; lower(): void};

const PAGE_SLOT_BYTES = layout.SLOTS_PER_PAGE * layout.SLOT_BYTES;

/**
 * How the interpreter works with the translator. Once in `period` interpreted steps the place that was visited last is counted, to which most of them
 * were due; or, where the period is 0, the present one each time. The slot of a place that was counted `threshold` times is emptied: who decodes it asks
 * for its translation, and once that is there, makes it the operation `translated`.
 */
export type TranslatorOptions = {threshold: number; period: number};

/** The main loop. */
export class InterpreterTarget extends SlotTarget implements Target {
  protected override readonly word = RUN.word;
  protected override readonly bits = RUN.bits;
  readonly extraLocals: ValueType[] = [];
  readonly #cold: ReadonlyMap<Instruction, number>;
  readonly #translator: (TranslatorOptions & {regionType: number}) | undefined;
  #instruction: Instruction | undefined;
  /** From its start to where `slot` is. */
  #passedBytes = 0;
  #reload: Label = {depth: 0};
  #redirect: Label = {depth: 0};
  #head: Label = {depth: 0};
  #next: Label = {depth: 0};

  constructor(
    functions: ReadonlyMap<string, number>,
    options: {
      cold: ReadonlyMap<Instruction, number>;
      translator: (TranslatorOptions & {regionType: number}) | undefined;
    },
  ) {
    super(functions);
    this.#cold = options.cold;
    this.#translator = options.translator;
  }

  /**
   * reload: go on from what the slow path left in memory. redirect: go on at local `pc`, on whatever page. head: go on at `slot`,
   * a place that may start translated code. next: go on at `slot`.
   */
  lowerRun(): void {
    const {code} = this;
    if (this.#translator !== undefined) {
      code.i32Const(0).memory('i32.load', layout.COUNT_AT).localSet(RUN.countAt);
      // Some place.
      code.i32Const(layout.DECODED).localSet(RUN.last);
    }
    code.loop((reload) => {
      this.#reload = reload;
      code.i32Const(0).memory('i64.load', layout.PC).localSet(RUN.pc);
      this.#fill();
      code.loop((redirect) => {
        this.#redirect = redirect;
        this.#enterPage();
        const translator = this.#translator;
        if (translator === undefined) {
          this.#steps();
          this.#head = this.#next;
          return;
        }
        code.loop((head) => {
          this.#head = head;
          this.#visit(translator);
          this.#steps();
        });
      });
    });
  }

  #steps(): void {
    this.code.loop((next) => {
      this.#next = next;
      if (this.#translator === undefined) this.#head = next;
      this.#step();
    });
  }

  /** At a place that may start translated code. */
  #visit({threshold, period}: TranslatorOptions): void {
    const {code} = this;
    const note = (): CodeWriter => code.localGet(RUN.slot).localSet(RUN.last);
    if (period === 0) note();
    code.localGet(RUN.left).localGet(RUN.countAt).op('i32.le_s').hint('unlikely');
    code.if(() => this.#count(threshold, period));
    if (period > 0) note();
  }

  /** Counts the place of `last`, unless it is translated or asked for. */
  #count(threshold: number, period: number): void {
    const {code} = this;
    code.localGet(RUN.left).i32Const(period).op('i32.sub').localSet(RUN.countAt);
    // Its entry: its slot's place in the decoded page, halved.
    code.localGet(RUN.last).i32Const(layout.DECODED).op('i32.sub').i32Const(layout.DECODED_PAGE_BYTES).op('i32.rem_u');
    code.localTee(RUN.entry).i32Const(1).op('i32.shr_u').localGet(RUN.last).op('i32.add');
    code.localGet(RUN.entry).op('i32.sub').localTee(RUN.entry).memory('i32.load', layout.ENTRIES).localTee(RUN.word);
    code
      .i32Const(threshold - 1)
      .op('i32.add')
      .i32Const(threshold)
      .op('i32.lt_u');
    code.if(() => {
      code.localGet(RUN.entry).localGet(RUN.word).i32Const(1).op('i32.sub').memory('i32.store', layout.ENTRIES);
      code
        .localGet(RUN.word)
        .i32Const(1 - threshold)
        .op('i32.eq');
      code.if(() => {
        code.localGet(RUN.last).i64Const(0n).memory('i64.store');
      });
    });
  }

  /** Calls the translated code of this place. If that has done nothing, because too few steps are left for it, its first instruction is fetched. */
  #translated(regionType: number): void {
    const {code} = this;
    code
      .localGet(RUN.left)
      .i32Const(1)
      .op('i32.add')
      .i32Const(CALL_DEPTH)
      .i32Const(0)
      .memory('i64.load', layout.PAGE_ADDRESS);
    this.immediate();
    code.op('i32.wrap_i64').callIndirect(regionType);
    code.i64Const(-2n).op('i64.and').localSet(RUN.pc);
    code.i32Const(1).op('i32.sub').localTee(RUN.entry).localGet(RUN.left).op('i32.ne');
    code.if(() => {
      // Its steps are not the interpreter's.
      code
        .localGet(RUN.countAt)
        .localGet(RUN.entry)
        .op('i32.add')
        .localGet(RUN.left)
        .op('i32.sub')
        .localSet(RUN.countAt);
      code.localGet(RUN.entry).i32Const(1).op('i32.add').localSet(RUN.left).branch(this.#redirect);
    });
    this.#refetch();
  }

  /** Sets page, pageAddress and slot from pc, if the fetch cache holds its page. */
  #enterPage(): void {
    const {code} = this;
    code
      .localGet(RUN.left)
      .op('i32.eqz')
      .if(() => {
        this.#store64(layout.PC, () => code.localGet(RUN.pc));
        this.#store32(layout.LEFT, () => code.i32Const(0));
        code.return();
      });
    code.i32Const(0).memory('i32.load', layout.FETCH_CACHE);
    code
      .localGet(RUN.pc)
      .op('i32.wrap_i64')
      .i32Const(8)
      .op('i32.shr_u')
      .i32Const((layout.TLB_ENTRIES - 1) << 4)
      .op('i32.and');
    code.op('i32.add').localTee(RUN.entry).memory('i64.load');
    code
      .localGet(RUN.pc)
      .i64Const(PAGE_MASK)
      .op('i64.and')
      .localTee(RUN.address)
      .op('i64.ne')
      .hint('unlikely')
      .if(() => {
        this.#store64(layout.PC, () => code.localGet(RUN.pc));
        this.#store32(layout.LEFT, () => code.localGet(RUN.left));
        code.call(this.functionIndex('fetch')).branch(this.#reload);
      });
    this.#store64(layout.PAGE_ADDRESS, () => code.localGet(RUN.address));
    this.#store32(layout.PAGE, () => code.localGet(RUN.entry).memory('i32.load', 8));
    code.i32Const(0).memory('i32.load', layout.PAGE);
    code
      .localGet(RUN.pc)
      .op('i32.wrap_i64')
      .i32Const(0xfff)
      .op('i32.and')
      .i32Const(2)
      .op('i32.shl')
      .op('i32.add')
      .localSet(RUN.slot);
  }

  /**
   * Counts a step, takes the slot's word, and dispatches. Which slot is the next is known to the operation: the host's CPU, which predicts that, need not
   * have read this slot to begin with the next one. Operations that call functions are set aside: V8 then keeps the loop's
   * locals in registers everywhere else.
   */
  #step(): void {
    const {code} = this;
    code.localGet(RUN.left).i32Const(0).op('i32.le_s').hint('unlikely');
    code.if(
      () => this.#stopOrTakeRefetched(),
      () => {
        code.localGet(RUN.left).i32Const(1).op('i32.sub').localSet(RUN.left);
        code.localGet(RUN.slot).memory('i64.load').localSet(RUN.bits);
      },
    );
    code.localGet(RUN.bits).op('i32.wrap_i64').localSet(RUN.word);
    const regionType = this.#translator?.regionType;
    const translated: Body[] =
      regionType === undefined
        ? []
        : [
            {
              operation: OPERATION.translated,
              isRare: false,
              lower: () => this.#aside(() => this.#translated(regionType)),
            },
          ];
    const instructions = INSTRUCTION_OPERATIONS.map(({operation, instruction, lengthBytes}): Body => {
      const lower = () => this.#execute(instruction, lengthBytes);
      const isRare = traitsOf(instruction).isSystem || this.#cold.has(instruction);
      return {operation, isRare, lower};
    });
    const bodies: Body[] = [
      {operation: OPERATION.undecoded, isRare: true, lower: () => this.#undecoded()},
      {operation: OPERATION.pageEnd, isRare: false, lower: () => this.#pageEnd()},
      {operation: OPERATION.refetch, isRare: true, lower: () => this.#refetch()},
      ...translated,
      ...instructions,
    ];
    const [rare, common] = [bodies.filter(({isRare}) => isRare), bodies.filter(({isRare}) => !isRare)];
    this.#dispatch(common, () => this.#aside(() => this.#dispatch(rare, () => this.illegal())));
  }

  /** For what calls functions: a branch that is always taken, and said not to be. */
  #aside(lower: () => void): void {
    this.code.localGet(RUN.left).i32Const(-1).op('i32.ne').hint('unlikely').if(lower);
  }

  /** Does what the word's operation asks for, and goes on at `next`. */
  #dispatch(bodies: readonly Body[], otherwise: () => void): void {
    const {code} = this;
    const labels: Label[] = [];
    const nest = (count: number): void => {
      if (count === 0) {
        code.block((other) => {
          const table = Array.from(
            {length: OPERATION.firstInstruction + INSTRUCTION_OPERATIONS.length},
            (_, n) => labels[n] ?? other,
          );
          code.localGet(RUN.word).i32Const(OPERATION_MASK).op('i32.and').branchTable(table, other);
        });
        this.#passedBytes = 0;
        otherwise();
      } else {
        const {operation, lower} = bodies[count - 1];
        code.block((label) => {
          labels[operation] = label;
          nest(count - 1);
        });
        this.#passedBytes = 0;
        lower();
      }
      code.branch(this.#next);
    };
    nest(bodies.length);
  }

  /** Nothing is left; or an instruction was fetched anew, and its step has been counted: LEFT is inverted. */
  #stopOrTakeRefetched(): void {
    const {code} = this;
    code
      .localGet(RUN.left)
      .op('i32.eqz')
      .if(() => {
        this.#store64(layout.PC, () => this.operand('pc'));
        this.#store32(layout.LEFT, () => code.i32Const(0));
        code.return();
      });
    code.localGet(RUN.left).i32Const(-1).op('i32.xor').localSet(RUN.left);
    code.i32Const(0).memory('i64.load', layout.REFETCH_SLOT).localSet(RUN.bits);
  }

  /** The slot was never used: decode it and look again. That is no step. */
  #undecoded(): void {
    const {code} = this;
    this.#uncount();
    code.localGet(RUN.slot).call(this.functionIndex('decode'));
  }

  /** Ran off the page: go on at the same address through the fetch cache. That is no step either. */
  #pageEnd(): void {
    const {code} = this;
    this.#uncount();
    this.operand('pc');
    code.localSet(RUN.pc).branch(this.#redirect);
  }

  /** The next turn of the loop takes what is fetched. */
  #refetch(): void {
    const {code} = this;
    this.spill();
    code.call(this.functionIndex('refetch')).if(() => this.leave());
    this.#fill();
    code.localGet(RUN.left).i32Const(-1).op('i32.xor').localSet(RUN.left);
  }

  #execute(instruction: Instruction, lengthBytes: number): void {
    const {code} = this;
    this.#instruction = instruction;
    this.#passedBytes = lengthBytes;
    code
      .localGet(RUN.slot)
      .i32Const((lengthBytes / 2) * layout.SLOT_BYTES)
      .op('i32.add')
      .localSet(RUN.slot);
    this.#reserveLocals(instruction);
    const cold = this.#cold.get(instruction);
    if (cold === undefined) {
      this.floatingPointState(instruction);
      lowerStatements(this, instruction.statements);
      return;
    }
    this.spill();
    code
      .localGet(RUN.bits)
      .call(cold)
      .if(() => this.leave());
    this.#fill();
  }

  #uncount(): void {
    this.code.localGet(RUN.left).i32Const(1).op('i32.add').localSet(RUN.left);
  }

  /** Instructions share the locals that their trees need. */
  #reserveLocals(instruction: Instruction): void {
    if (this.#cold.has(instruction)) return;
    const used: Record<string, number> = {};
    for (const type of instruction.localTypes) {
      used[type] = (used[type] ?? 0) + 1;
      if (this.extraLocals.filter((other) => other === type).length < used[type]) this.extraLocals.push(type);
    }
  }

  localIndex(id: number): number {
    const types = this.#instruction?.localTypes ?? [];
    const type = types[id];
    let rank = types.slice(0, id).filter((other) => other === type).length;
    const index = this.extraLocals.findIndex((other) => other === type && rank-- === 0);
    return RUN_LOCALS.length + index;
  }

  operand(name: OperandName): void {
    const {code} = this;
    switch (name) {
      case 'rs1':
        return this.register(layout.X, 16);
      case 'rs2':
        return this.register(layout.X, 21);
      case 'fs1':
      case 'fs2':
      case 'fs3':
      case 'single1':
      case 'single2':
      case 'single3':
      case 'low1':
      case 'low2':
        return this.floatOperand(name);
      case 'imm':
        return this.immediate();
      case 'rm':
        return this.roundingMode(RUN.entry);
      case 'nextPc':
        code
          .localGet(RUN.slot)
          .i32Const(0)
          .memory('i32.load', layout.PAGE)
          .op('i32.sub')
          .i32Const(2)
          .op('i32.shr_u')
          .op('i64.extend_i32_u');
        code.i32Const(0).memory('i64.load', layout.PAGE_ADDRESS).op('i64.add');
        return;
      case 'pc':
        this.operand('nextPc');
        if (this.#passedBytes > 0) code.i64Const(BigInt(this.#passedBytes)).op('i64.sub');
        return;
    }
  }

  branch(condition: Push): void {
    const {code} = this;
    condition();
    code.if(() => {
      this.immediate();
      code.op('i32.wrap_i64').i32Const(2).op('i32.shl').localGet(RUN.slot).op('i32.add').localTee(RUN.slot);
      code.i32Const(0).memory('i32.load', layout.PAGE).op('i32.sub').i32Const(PAGE_SLOT_BYTES).op('i32.lt_u');
      if (this.#translator === undefined) {
        code.branchIf(this.#next);
      } else if (this.#instruction?.name === 'jal') {
        code.branchIf(this.#head);
      } else {
        // Only a branch backwards leads to the head of a loop.
        code.if(() => {
          this.immediate();
          code.i64Const(0n).op('i64.lt_s').branchIf(this.#head).branch(this.#next);
        });
      }
      code
        .localGet(RUN.slot)
        .i32Const(0)
        .memory('i32.load', layout.PAGE)
        .op('i32.sub')
        .i32Const(2)
        .op('i32.shr_s')
        .op('i64.extend_i32_s');
      code.i32Const(0).memory('i64.load', layout.PAGE_ADDRESS).op('i64.add').localSet(RUN.pc).branch(this.#redirect);
    });
  }

  jump(target: Push): void {
    const {code} = this;
    target();
    code
      .localTee(RUN.pc)
      .i32Const(0)
      .memory('i64.load', layout.PAGE_ADDRESS)
      .op('i64.xor')
      .i64Const(12n)
      .op('i64.shr_u')
      .op('i64.eqz')
      .if(
        () => {
          code.localGet(RUN.pc).op('i32.wrap_i64').i32Const(0xfff).op('i32.and').i32Const(2).op('i32.shl');
          code.i32Const(0).memory('i32.load', layout.PAGE).op('i32.add').localSet(RUN.slot).branch(this.#head);
        },
        () => code.branch(this.#redirect),
      );
  }

  guestLoad(access: GuestAccess, address: Push): void {
    const {code} = this;
    const value = typedAs(access);
    this.#cacheHit(access, layout.TLB_READ, address);
    code.hint('likely').if(
      () => {
        this.#hostAddress(layout.TLB_READ);
        code.memory(LOADS[access]);
      },
      () => {
        this.#slowAccess('interpretLoad', access);
        code.i32Const(0).memory(value.load, layout.VALUE);
      },
      value.type,
    );
  }

  guestStore(access: GuestAccess, address: Push, value: Push): void {
    const {code} = this;
    this.#cacheHit(access, layout.TLB_WRITE, address);
    code.hint('likely').if(
      () => {
        this.#hostAddress(layout.TLB_WRITE);
        value();
        code.memory(STORES[access]);
      },
      () => {
        code.i32Const(0);
        value();
        code.memory(typedAs(access).store, layout.VALUE);
        this.#slowAccess('interpretStore', access);
      },
    );
  }

  atomicAddress(): never {
    throw new Error('atomics are cold');
  }

  system(action: SystemAction): void {
    const {code} = this;
    this.spill();
    code.i32Const(SYSTEM_ACTIONS.indexOf(action));
    this.immediate();
    code
      .op('i32.wrap_i64')
      .call(this.functionIndex('interpretSystem'))
      .if(() => this.leave());
    this.#fill();
  }

  /** Pushes whether the cache holds the address's page and the access does not leave it: misaligned ones miss too. */
  #cacheHit(access: GuestAccess, cache: number, address: Push): void {
    const {code} = this;
    address();
    code
      .localTee(RUN.address)
      .op('i32.wrap_i64')
      .i32Const(8)
      .op('i32.shr_u')
      .i32Const((layout.TLB_ENTRIES - 1) << 4)
      .op('i32.and');
    code.i32Const(0).memory('i32.load', layout.DATA_CACHE).op('i32.add').localTee(RUN.entry).memory('i64.load', cache);
    code
      .localGet(RUN.address)
      .i64Const(PAGE_MASK | BigInt(sizeOf(access) - 1))
      .op('i64.and')
      .op('i64.eq');
  }

  #hostAddress(cache: number): void {
    this.code
      .localGet(RUN.address)
      .op('i32.wrap_i64')
      .localGet(RUN.entry)
      .memory('i32.load', cache + 8)
      .op('i32.add');
  }

  #slowAccess(path: 'interpretLoad' | 'interpretStore', access: GuestAccess): void {
    this.spill();
    this.code
      .localGet(RUN.address)
      .i32Const(ACCESS_KINDS[access])
      .call(this.functionIndex(path))
      .if(() => this.leave());
    this.#fill();
  }

  protected override leave(): void {
    this.code.branch(this.#reload);
  }

  protected override spill(): void {
    this.#store64(layout.PC, () => this.operand('pc'));
    this.#store32(layout.LEFT, () => this.code.localGet(RUN.left));
  }

  #fill(): void {
    this.code.i32Const(0).memory('i32.load', layout.LEFT).localSet(RUN.left);
  }

  #store64(offset: number, value: Push): void {
    this.code.i32Const(0);
    value();
    this.code.memory('i64.store', offset);
  }

  #store32(offset: number, value: Push): void {
    this.code.i32Const(0);
    value();
    this.code.memory('i32.store', offset);
  }
}
