// Cold instructions: those that call functions, or reach memory atomically, live in functions of their own, so that the
// interpreter's main loop stays small.

import type {OperandName, ValueType} from '../isa/expression.ts';
import type {Instruction} from '../isa/instruction.ts';
import * as layout from '../layout.ts';
import type {CodeWriter, ModuleWriter} from './encoder.ts';
import {PAGE_MASK} from './guest-access.ts';
import {lowerStatements, type Push, type Target} from './lower.ts';
import {SlotTarget} from './slot-target.ts';

/** A cold instruction: a function (bits) → status, called with PC and LEFT in memory. */
class ColdTarget extends SlotTarget implements Target {
  protected override readonly word = 1;
  protected override readonly bits = 0;
  readonly #scratch = 2;
  readonly #address = 3;
  static readonly locals: readonly ValueType[] = ['i32', 'i32', 'i64'];

  lower(instruction: Instruction): void {
    this.code.localGet(this.bits).op('i32.wrap_i64').localSet(this.word);
    this.floatingPointState(instruction);
    lowerStatements(this, instruction.statements);
    this.code.i32Const(0);
  }

  localIndex(id: number): number {
    return 4 + id;
  }

  operand(name: OperandName): void {
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
        return this.roundingMode(this.#scratch);
      default:
        throw new Error(`a cold instruction cannot use ${name}`);
    }
  }

  atomicAddress(sizeBytes: 4 | 8, intent: 'read' | 'write', address: Push): void {
    const {code} = this;
    const cache = intent === 'write' ? layout.TLB_WRITE : layout.TLB_READ;
    const wrapped = (): CodeWriter => code.localGet(this.#address).op('i32.wrap_i64');
    address();
    code.localSet(this.#address);
    wrapped()
      .i32Const(8)
      .op('i32.shr_u')
      .i32Const((layout.TLB_ENTRIES - 1) << 4)
      .op('i32.and');
    code
      .i32Const(0)
      .memory('i32.load', layout.DATA_CACHE)
      .op('i32.add')
      .localTee(this.#scratch)
      .memory('i64.load', cache);
    code
      .localGet(this.#address)
      .i64Const(PAGE_MASK | BigInt(sizeBytes - 1))
      .op('i64.and')
      .op('i64.eq')
      .if(
        () => {
          wrapped()
            .localGet(this.#scratch)
            .memory('i32.load', cache + 8)
            .op('i32.add');
          code.i32Const(layout.RAM).op('i32.sub');
        },
        () => {
          wrapped().localGet(this.#address).i64Const(32n).op('i64.shr_u').op('i32.wrap_i64');
          code
            .i32Const(sizeBytes)
            .i32Const(intent === 'write' ? 1 : 0)
            .call(this.functionIndex('atomic'));
          code
            .localTee(this.#scratch)
            .i32Const(-1)
            .op('i32.eq')
            .if(() => this.leave());
          code.localGet(this.#scratch);
        },
        'i32',
      );
  }

  protected override leave(): void {
    this.code.i32Const(1).return();
  }

  protected override spill(): void {}

  branch = notCold;
  jump = notCold;
  guestLoad = notCold;
  guestStore = notCold;
  system = notCold;
}

function notCold(): never {
  throw new Error('only the main loop can do this');
}

/** Adds the function of a cold instruction and returns its index. */
export function addColdFunction(
  module: ModuleWriter,
  functions: ReadonlyMap<string, number>,
  instruction: Instruction,
): number {
  const index = module.declare({params: ['i64'], results: ['i32']});
  const target = new ColdTarget(functions);
  target.lower(instruction);
  module.define(index, {
    params: ['i64'],
    results: ['i32'],
    locals: [...ColdTarget.locals, ...instruction.localTypes],
    code: target.code,
  });
  return index;
}
