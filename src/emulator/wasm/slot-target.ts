// What generated code of both kinds of interpreter functions shares: operands and results through a decoded slot.

import type {OperandName} from '../isa/expression.ts';
import type {Instruction} from '../isa/instruction.ts';
import * as layout from '../layout.ts';
import {CodeWriter} from './encoder.ts';
import type {Push} from './lower.ts';
import {SYSTEM_ACTIONS} from './slot.ts';
import {traitsOf} from './traits.ts';

export type FloatOperand = Extract<OperandName, `${'fs' | 'single' | 'low'}${number}`>;

/** What a single that is not properly boxed counts as (F chapter, "NaN Boxing of Narrower Values"). */
export const CANONICAL_NAN = 0x7fc0_0000;

/** What both targets share: registers and immediates in a decoded slot. */
export abstract class SlotTarget {
  readonly code = new CodeWriter();
  protected readonly functions: ReadonlyMap<string, number>;
  protected abstract readonly word: number;
  protected abstract readonly bits: number;
  /** Leaves for the trap handler, PC and LEFT being in memory. */
  protected abstract leave(): void;
  /** Makes sure that PC and LEFT are in memory. */
  protected abstract spill(): void;

  constructor(functions: ReadonlyMap<string, number>) {
    this.functions = functions;
  }

  functionIndex(name: string): number {
    const index = this.functions.get(name);
    if (index === undefined) throw new Error(`no function is called ${name}`);
    return index;
  }

  protected register(base: number, bit: number): void {
    this.registerOffset(bit);
    this.code.memory('i64.load', base);
  }

  /** Pushes 8 × the register field that starts at `bit`. */
  protected registerOffset(bit: number): void {
    const mask = bit === 10 ? 0x1f8 : 0xf8;
    this.code
      .localGet(this.word)
      .i32Const(bit - 3)
      .op('i32.shr_u')
      .i32Const(mask)
      .op('i32.and');
  }

  /** An operand in an FP register; the digit of its name says which. */
  protected floatOperand(name: FloatOperand): void {
    const {code} = this;
    const bit = 11 + 5 * Number(name.at(-1));
    this.registerOffset(bit);
    if (name.startsWith('fs')) code.memory('f64.load', layout.F);
    else code.memory('f32.load', layout.F);
    if (!name.startsWith('single')) return;
    code.i32Const(CANONICAL_NAN).op('f32.reinterpret_i32');
    this.registerOffset(bit);
    code
      .memory('i32.load', layout.F + 4)
      .i32Const(-1)
      .op('i32.eq')
      .select();
  }

  protected immediate(): void {
    this.code.localGet(this.bits).i64Const(32n).op('i64.shr_s');
  }

  /** The effective rounding mode; a reserved one is an illegal instruction. */
  protected roundingMode(scratch: number): void {
    const {code} = this;
    this.immediate();
    code.op('i32.wrap_i64').localTee(scratch).i32Const(7).op('i32.eq');
    code.if(
      () => code.i32Const(0).memory('i32.load', layout.FRM),
      () => code.localGet(scratch),
      'i32',
    );
    code
      .localTee(scratch)
      .i32Const(4)
      .op('i32.gt_u')
      .if(() => this.illegal());
    code.localGet(scratch);
  }

  setRd(value: Push): void {
    this.registerOffset(10);
    value();
    this.code.memory('i64.store', layout.X);
  }

  setFd(value: Push): void {
    this.registerOffset(10);
    value();
    this.code.memory('f64.store', layout.F);
  }

  setFdSingle(value: Push): void {
    this.registerOffset(10);
    value();
    this.code.memory('f32.store', layout.F);
    this.registerOffset(10);
    this.code.i32Const(-1).memory('i32.store', layout.F + 4);
  }

  /** mstatus.FS is checked before, and becomes dirty with, whatever changes the FP state. */
  protected floatingPointState(instruction: Instruction): void {
    const {code} = this;
    const {usesFloatingPoint, dirtiesFloatingPoint} = traitsOf(instruction);
    if (!usesFloatingPoint) return;
    code
      .i32Const(0)
      .memory('i32.load', layout.FS)
      .op('i32.eqz')
      .hint('unlikely')
      .if(() => this.illegal());
    if (dirtiesFloatingPoint) code.i32Const(0).i32Const(3).memory('i32.store', layout.FS);
  }

  protected illegal(): void {
    this.spill();
    this.code
      .i32Const(SYSTEM_ACTIONS.indexOf('illegal'))
      .i32Const(0)
      .call(this.functionIndex('system'))
      .op('i32.eqz')
      .op('i32.eqz');
    this.code.if(() => this.leave());
  }
}
