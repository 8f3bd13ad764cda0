// Expressions and statements: the small language in which everything that becomes WebAssembly is written once: the
// instructions' semantics (isa/), and the functions that they call (soft-float). A tree says what is computed; lowering
// (wasm/) decides where operands come from: the instruction word for the interpreter, constants for the translator.
// An expression that is used twice must be bound with `let`: a tree node is evaluated wherever it stands.

/** v128 only within an expression. */
export type ValueType = 'i32' | 'i64' | 'f32' | 'f64' | 'v128';

/** A wasm local of the function being built. */
export type Local = {readonly id: number; readonly type: ValueType};

/** WebAssembly's numeric operators that are used here, by their names in the specification. */
export type Operator = keyof typeof OPERATORS;

/**
 * What an instruction's fields give. `rs1`, `rs2`, `imm` are i64; `fs1`, `fs2`, `fs3` are the 64 bits of an FP register (f64); `single1`,
 * `single2`, `single3` the single in it, or the canonical NaN where it is not properly boxed (f32); `low1`, `low2` its low half as it
 * is (f32); `rm` is the effective rounding mode (i32, 0 to 4; reserved ones trap); `pc` is the instruction's address, `nextPc`
 * the following one's.
 */
export type OperandName =
  | 'rs1'
  | 'rs2'
  | 'fs1'
  | 'fs2'
  | 'fs3'
  | 'single1'
  | 'single2'
  | 'single3'
  | 'low1'
  | 'low2'
  | 'imm'
  | 'rm'
  | 'pc'
  | 'nextPc';

/** Parts of the hart's state that instructions reach beside registers, each an i32: accrued FP exceptions, and the LR/SC
 *  reservation: 0 for none, else the RAM offset with bit 0 set for a word, bit 1 for a doubleword. */
export type Cell = 'fflags' | 'reservation';

/** Widths of guest memory accesses: integers, sign- or zero-extended to i64; values of FP registers, moved bit by bit. */
export type GuestAccess = 'i8' | 'u8' | 'i16' | 'u16' | 'i32' | 'u32' | 'i64' | 'f32' | 'f64';

/** WebAssembly's loads and stores, by their names in the specification. */
export type HostLoad =
  | 'i32.load'
  | 'i64.load'
  | 'f32.load'
  | 'f64.load'
  | 'i32.load8_u'
  | 'i32.load16_u'
  | 'i64.load8_s'
  | 'i64.load8_u'
  | 'i64.load16_s'
  | 'i64.load16_u'
  | 'i64.load32_s'
  | 'i64.load32_u';
export type HostStore =
  | 'i32.store'
  | 'i64.store'
  | 'f32.store'
  | 'f64.store'
  | 'i32.store8'
  | 'i32.store16'
  | 'i64.store8'
  | 'i64.store16'
  | 'i64.store32';

export type Expr = {readonly type: ValueType} & (
  | {readonly kind: 'const'; readonly value: bigint}
  | {readonly kind: 'operator'; readonly operator: Operator; readonly args: readonly Expr[]}
  | {readonly kind: 'local'; readonly local: Local}
  | {readonly kind: 'operand'; readonly operand: OperandName}
  | {readonly kind: 'cell'; readonly cell: Cell}
  /** What inline floating point compares with (softfloat/inline.ts): an i32. */
  | {readonly kind: 'safe'; readonly format: 'f32' | 'f64'}
  | {readonly kind: 'ramLoad'; readonly access: HostLoad; readonly address: Expr}
  /** From a place of the module's memory, which is a constant plus `index` bytes. */
  | {readonly kind: 'stateLoad'; readonly access: HostLoad; readonly offset: number; readonly index: Expr}
  | {readonly kind: 'guestLoad'; readonly access: GuestAccess; readonly address: Expr}
  | {
      readonly kind: 'atomicAddress';
      readonly sizeBytes: 4 | 8;
      readonly intent: 'read' | 'write';
      readonly address: Expr;
    }
  | {readonly kind: 'choose'; readonly condition: Expr; readonly then: Expr; readonly otherwise: Expr}
  | {readonly kind: 'select'; readonly condition: Expr; readonly then: Expr; readonly otherwise: Expr}
  | {readonly kind: 'call'; readonly callee: string; readonly args: readonly Expr[]}
);

export type Statement =
  | {readonly kind: 'set'; readonly local: Local; readonly value: Expr}
  | {readonly kind: 'setCell'; readonly cell: Cell; readonly value: Expr}
  | {readonly kind: 'ramStore'; readonly access: HostStore; readonly address: Expr; readonly value: Expr}
  | {
      readonly kind: 'stateStore';
      readonly access: HostStore;
      readonly offset: number;
      readonly index: Expr;
      readonly value: Expr;
    }
  | {readonly kind: 'guestStore'; readonly access: GuestAccess; readonly address: Expr; readonly value: Expr}
  | {
      readonly kind: 'if';
      readonly condition: Expr;
      readonly hint?: 'unlikely' | undefined;
      readonly then: Statement[];
      readonly otherwise: Statement[];
    }
  | {readonly kind: 'while'; readonly condition: Expr; readonly body: Statement[]}
  | {readonly kind: 'return'; readonly value: Expr}
  | {readonly kind: 'setRd'; readonly value: Expr}
  | {readonly kind: 'setFd'; readonly value: Expr}
  | {readonly kind: 'setFdSingle'; readonly value: Expr}
  | {readonly kind: 'branch'; readonly condition: Expr}
  | {readonly kind: 'jump'; readonly target: Expr}
  | {readonly kind: 'system'; readonly action: SystemAction};

/** What the hart does outside generated code: CSR accesses, environment calls and returns, fences that change translation. */
export type SystemAction = 'csr' | 'ecall' | 'ebreak' | 'mret' | 'sret' | 'wfi' | 'sfence.vma' | 'illegal';

/** Builds statement lists. Operators take their type from their first argument. */
export class Builder {
  readonly locals: Local[] = [];
  readonly #firstLocal: number;
  #current: Statement[] = [];

  /** `firstLocal`: how many locals (parameters) exist already. */
  constructor(firstLocal = 0) {
    this.#firstLocal = firstLocal;
  }

  get statements(): readonly Statement[] {
    return this.#current;
  }

  // Constants and locals

  i32(value: number): Expr {
    return {kind: 'const', type: 'i32', value: BigInt(value)};
  }

  i64(value: bigint | number): Expr {
    return {kind: 'const', type: 'i64', value: BigInt(value)};
  }

  /** A constant of the type of `like`. */
  constant(like: Expr, value: bigint | number): Expr {
    return {kind: 'const', type: like.type, value: BigInt(value)};
  }

  /** Evaluates now, once; the result may be used any number of times, and reassigned with `set`. */
  let(value: Expr): LocalExpr {
    const local: Local = {id: this.#firstLocal + this.locals.length, type: value.type};
    this.locals.push(local);
    this.emit({kind: 'set', local, value});
    return {kind: 'local', type: local.type, local};
  }

  set(target: LocalExpr, value: Expr): void {
    this.emit({kind: 'set', local: target.local, value});
  }

  // Operators

  op(operator: Operator, ...args: Expr[]): Expr {
    return {kind: 'operator', type: OPERATORS[operator].result, operator, args};
  }

  add(a: Expr, b: Expr): Expr {
    return this.#typed('add', a, b);
  }

  sub(a: Expr, b: Expr): Expr {
    return this.#typed('sub', a, b);
  }

  mul(a: Expr, b: Expr): Expr {
    return this.#typed('mul', a, b);
  }

  and(a: Expr, b: Expr): Expr {
    return this.#typed('and', a, b);
  }

  or(a: Expr, b: Expr): Expr {
    return this.#typed('or', a, b);
  }

  xor(a: Expr, b: Expr): Expr {
    return this.#typed('xor', a, b);
  }

  shl(a: Expr, b: Expr): Expr {
    return this.#typed('shl', a, b);
  }

  /** Logical shift right. */
  shrU(a: Expr, b: Expr): Expr {
    return this.#typed('shr_u', a, b);
  }

  /** Arithmetic shift right. */
  shrS(a: Expr, b: Expr): Expr {
    return this.#typed('shr_s', a, b);
  }

  eq(a: Expr, b: Expr): Expr {
    return this.#typed('eq', a, b);
  }

  ne(a: Expr, b: Expr): Expr {
    return this.#typed('ne', a, b);
  }

  ltS(a: Expr, b: Expr): Expr {
    return this.#typed('lt_s', a, b);
  }

  ltU(a: Expr, b: Expr): Expr {
    return this.#typed('lt_u', a, b);
  }

  geS(a: Expr, b: Expr): Expr {
    return this.#typed('ge_s', a, b);
  }

  geU(a: Expr, b: Expr): Expr {
    return this.#typed('ge_u', a, b);
  }

  gtS(a: Expr, b: Expr): Expr {
    return this.#typed('gt_s', a, b);
  }

  gtU(a: Expr, b: Expr): Expr {
    return this.#typed('gt_u', a, b);
  }

  /** 1 when `a` is zero. */
  eqz(a: Expr): Expr {
    return this.#typed('eqz', a);
  }

  not(a: Expr): Expr {
    return this.xor(a, this.constant(a, -1));
  }

  neg(a: Expr): Expr {
    return this.sub(this.constant(a, 0), a);
  }

  /** i64 → i32, the low half. */
  wrap(a: Expr): Expr {
    return this.op('i32.wrap_i64', a);
  }

  /** i32 → i64, zero-extended (comparison results, unsigned words). */
  zext(a: Expr): Expr {
    return this.op('i64.extend_i32_u', a);
  }

  /** i32 → i64, sign-extended. */
  sext(a: Expr): Expr {
    return this.op('i64.extend_i32_s', a);
  }

  /** The low 32 bits of an i64, sign-extended. */
  sext32(a: Expr): Expr {
    return this.op('i64.extend32_s', a);
  }

  /** The low 32 bits of an i64, zero-extended. */
  zext32(a: Expr): Expr {
    return this.and(a, this.i64(0xffff_ffffn));
  }

  /** Evaluates only the chosen branch. */
  choose(condition: Expr, then: Expr, otherwise: Expr): Expr {
    return {kind: 'choose', type: then.type, condition, then, otherwise};
  }

  /** Evaluates both branches. */
  select(condition: Expr, then: Expr, otherwise: Expr): Expr {
    return {kind: 'select', type: then.type, condition, then, otherwise};
  }

  /** A call of a function of the module, by its name; `type` is its result's. */
  call(type: ValueType, callee: string, ...args: Expr[]): Expr {
    return {kind: 'call', type, callee, args};
  }

  // State

  cell(cell: Cell): Expr {
    return {kind: 'cell', type: 'i32', cell};
  }

  safe(format: 'f32' | 'f64'): Expr {
    return {kind: 'safe', type: 'i32', format};
  }

  setCell(cell: Cell, value: Expr): void {
    this.emit({kind: 'setCell', cell, value});
  }

  /** A register of the hart that has an offset in the module's memory; `index` bytes further on in a file of them. */
  stateLoad(access: HostLoad, offset: number, index: Expr = this.i32(0)): Expr {
    return {kind: 'stateLoad', type: access.startsWith('i32') ? 'i32' : 'i64', access, offset, index};
  }

  stateStore(access: HostStore, offset: number, value: Expr, index: Expr = this.i32(0)): void {
    this.emit({kind: 'stateStore', access, offset, index, value});
  }

  /** The flags accrued in fflags so far (i32). */
  accruedFlags(): Expr {
    return this.cell('fflags');
  }

  // Control

  if(condition: Expr, then: () => void, otherwise: () => void = () => {}): void {
    this.emit({kind: 'if', condition, then: this.#nested(then), otherwise: this.#nested(otherwise)});
  }

  ifUnlikely(condition: Expr, then: () => void): void {
    this.emit({kind: 'if', condition, hint: 'unlikely', then: this.#nested(then), otherwise: []});
  }

  while(condition: Expr, body: () => void): void {
    this.emit({kind: 'while', condition, body: this.#nested(body)});
  }

  return(value: Expr): void {
    this.emit({kind: 'return', value});
  }

  /** Accrues FP exception flags (i32: NV 16, DZ 8, OF 4, UF 2, NX 1) into fflags. */
  raise(flags: Expr): void {
    this.setCell('fflags', this.or(this.cell('fflags'), flags));
  }

  protected emit(statement: Statement): void {
    this.#current.push(statement);
  }

  #nested(body: () => void): Statement[] {
    const outer = this.#current;
    const inner: Statement[] = [];
    this.#current = inner;
    body();
    this.#current = outer;
    return inner;
  }

  #typed(operation: string, ...args: Expr[]): Expr {
    return this.op(`${args[0].type}.${operation}` as Operator, ...args);
  }
}

/** A function of the generated module, called by instructions and by other functions by its name. */
export type FunctionDefinition = {
  readonly name: string;
  readonly params: readonly ValueType[];
  readonly result: ValueType;
  /** Builds the body, which must `return` on every path. */
  build(b: Builder, ...params: LocalExpr[]): void;
};

export type LocalExpr = Extract<Expr, {kind: 'local'}>;

/** WebAssembly's numeric instructions: opcode, for some with more bytes behind it (binary format, section 5.4.7), and type of the result. */
export const OPERATORS = {
  'i32.eqz': {code: 0x45, result: 'i32'},
  'i32.eq': {code: 0x46, result: 'i32'},
  'i32.ne': {code: 0x47, result: 'i32'},
  'i32.lt_s': {code: 0x48, result: 'i32'},
  'i32.lt_u': {code: 0x49, result: 'i32'},
  'i32.gt_s': {code: 0x4a, result: 'i32'},
  'i32.gt_u': {code: 0x4b, result: 'i32'},
  'i32.le_s': {code: 0x4c, result: 'i32'},
  'i32.le_u': {code: 0x4d, result: 'i32'},
  'i32.ge_s': {code: 0x4e, result: 'i32'},
  'i32.ge_u': {code: 0x4f, result: 'i32'},
  'i64.eqz': {code: 0x50, result: 'i32'},
  'i64.eq': {code: 0x51, result: 'i32'},
  'i64.ne': {code: 0x52, result: 'i32'},
  'i64.lt_s': {code: 0x53, result: 'i32'},
  'i64.lt_u': {code: 0x54, result: 'i32'},
  'i64.gt_s': {code: 0x55, result: 'i32'},
  'i64.gt_u': {code: 0x56, result: 'i32'},
  'i64.le_s': {code: 0x57, result: 'i32'},
  'i64.le_u': {code: 0x58, result: 'i32'},
  'i64.ge_s': {code: 0x59, result: 'i32'},
  'i64.ge_u': {code: 0x5a, result: 'i32'},
  'f32.eq': {code: 0x5b, result: 'i32'},
  'f32.ne': {code: 0x5c, result: 'i32'},
  'f32.lt': {code: 0x5d, result: 'i32'},
  'f32.gt': {code: 0x5e, result: 'i32'},
  'f32.le': {code: 0x5f, result: 'i32'},
  'f32.ge': {code: 0x60, result: 'i32'},
  'f64.eq': {code: 0x61, result: 'i32'},
  'f64.ne': {code: 0x62, result: 'i32'},
  'f64.lt': {code: 0x63, result: 'i32'},
  'f64.gt': {code: 0x64, result: 'i32'},
  'f64.le': {code: 0x65, result: 'i32'},
  'f64.ge': {code: 0x66, result: 'i32'},
  'i32.clz': {code: 0x67, result: 'i32'},
  'i32.ctz': {code: 0x68, result: 'i32'},
  'i32.popcnt': {code: 0x69, result: 'i32'},
  'i32.add': {code: 0x6a, result: 'i32'},
  'i32.sub': {code: 0x6b, result: 'i32'},
  'i32.mul': {code: 0x6c, result: 'i32'},
  'i32.div_s': {code: 0x6d, result: 'i32'},
  'i32.div_u': {code: 0x6e, result: 'i32'},
  'i32.rem_s': {code: 0x6f, result: 'i32'},
  'i32.rem_u': {code: 0x70, result: 'i32'},
  'i32.and': {code: 0x71, result: 'i32'},
  'i32.or': {code: 0x72, result: 'i32'},
  'i32.xor': {code: 0x73, result: 'i32'},
  'i32.shl': {code: 0x74, result: 'i32'},
  'i32.shr_s': {code: 0x75, result: 'i32'},
  'i32.shr_u': {code: 0x76, result: 'i32'},
  'i32.rotl': {code: 0x77, result: 'i32'},
  'i32.rotr': {code: 0x78, result: 'i32'},
  'i64.clz': {code: 0x79, result: 'i64'},
  'i64.ctz': {code: 0x7a, result: 'i64'},
  'i64.popcnt': {code: 0x7b, result: 'i64'},
  'i64.add': {code: 0x7c, result: 'i64'},
  'i64.sub': {code: 0x7d, result: 'i64'},
  'i64.mul': {code: 0x7e, result: 'i64'},
  'i64.div_s': {code: 0x7f, result: 'i64'},
  'i64.div_u': {code: 0x80, result: 'i64'},
  'i64.rem_s': {code: 0x81, result: 'i64'},
  'i64.rem_u': {code: 0x82, result: 'i64'},
  'i64.and': {code: 0x83, result: 'i64'},
  'i64.or': {code: 0x84, result: 'i64'},
  'i64.xor': {code: 0x85, result: 'i64'},
  'i64.shl': {code: 0x86, result: 'i64'},
  'i64.shr_s': {code: 0x87, result: 'i64'},
  'i64.shr_u': {code: 0x88, result: 'i64'},
  'i64.rotl': {code: 0x89, result: 'i64'},
  'i64.rotr': {code: 0x8a, result: 'i64'},
  'f32.abs': {code: 0x8b, result: 'f32'},
  'f32.neg': {code: 0x8c, result: 'f32'},
  'f32.sqrt': {code: 0x91, result: 'f32'},
  'f32.add': {code: 0x92, result: 'f32'},
  'f32.sub': {code: 0x93, result: 'f32'},
  'f32.mul': {code: 0x94, result: 'f32'},
  'f32.div': {code: 0x95, result: 'f32'},
  'f32.min': {code: 0x96, result: 'f32'},
  'f32.max': {code: 0x97, result: 'f32'},
  'f32.copysign': {code: 0x98, result: 'f32'},
  'f64.abs': {code: 0x99, result: 'f64'},
  'f64.neg': {code: 0x9a, result: 'f64'},
  'f64.ceil': {code: 0x9b, result: 'f64'},
  'f64.floor': {code: 0x9c, result: 'f64'},
  'f64.trunc': {code: 0x9d, result: 'f64'},
  'f64.nearest': {code: 0x9e, result: 'f64'},
  'f64.sqrt': {code: 0x9f, result: 'f64'},
  'f64.add': {code: 0xa0, result: 'f64'},
  'f64.sub': {code: 0xa1, result: 'f64'},
  'f64.mul': {code: 0xa2, result: 'f64'},
  'f64.div': {code: 0xa3, result: 'f64'},
  'f64.min': {code: 0xa4, result: 'f64'},
  'f64.max': {code: 0xa5, result: 'f64'},
  'f64.copysign': {code: 0xa6, result: 'f64'},
  'i32.wrap_i64': {code: 0xa7, result: 'i32'},
  'i64.extend_i32_s': {code: 0xac, result: 'i64'},
  'i64.extend_i32_u': {code: 0xad, result: 'i64'},
  'f32.convert_i32_s': {code: 0xb2, result: 'f32'},
  'f32.convert_i32_u': {code: 0xb3, result: 'f32'},
  'f32.convert_i64_s': {code: 0xb4, result: 'f32'},
  'f32.convert_i64_u': {code: 0xb5, result: 'f32'},
  'f32.demote_f64': {code: 0xb6, result: 'f32'},
  'f64.convert_i32_s': {code: 0xb7, result: 'f64'},
  'f64.convert_i32_u': {code: 0xb8, result: 'f64'},
  'f64.convert_i64_s': {code: 0xb9, result: 'f64'},
  'f64.convert_i64_u': {code: 0xba, result: 'f64'},
  'f64.promote_f32': {code: 0xbb, result: 'f64'},
  'i32.reinterpret_f32': {code: 0xbc, result: 'i32'},
  'i64.reinterpret_f64': {code: 0xbd, result: 'i64'},
  'f32.reinterpret_i32': {code: 0xbe, result: 'f32'},
  'f64.reinterpret_i64': {code: 0xbf, result: 'f64'},
  'i32.extend8_s': {code: 0xc0, result: 'i32'},
  'i32.extend16_s': {code: 0xc1, result: 'i32'},
  'i64.extend8_s': {code: 0xc2, result: 'i64'},
  'i64.extend16_s': {code: 0xc3, result: 'i64'},
  'i64.extend32_s': {code: 0xc4, result: 'i64'},
  'i64.trunc_sat_f64_s': {code: 0xfc, after: [0x06], result: 'i64'},
  // One-lane uses of vectors; the last two, of relaxed SIMD, may round once or twice, as the host likes.
  'f32x4.splat': {code: 0xfd, after: [0x13], result: 'v128'},
  'f64x2.splat': {code: 0xfd, after: [0x14], result: 'v128'},
  'f32x4.extract_lane 0': {code: 0xfd, after: [0x1f, 0], result: 'f32'},
  'f64x2.extract_lane 0': {code: 0xfd, after: [0x21, 0], result: 'f64'},
  'f32x4.relaxed_madd': {code: 0xfd, after: [0x85, 0x02], result: 'v128'},
  'f64x2.relaxed_madd': {code: 0xfd, after: [0x87, 0x02], result: 'v128'},
} as const satisfies Record<string, {code: number; after?: readonly number[]; result: ValueType}>;
