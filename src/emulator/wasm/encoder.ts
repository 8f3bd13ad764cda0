// Encodes WebAssembly modules (binary format, WebAssembly 2.0 chapter 5): only what the generated code needs. It knows
// nothing of RISC-V.

import type {HostLoad, HostStore, Operator, ValueType} from '../isa/expression.ts';
import {OPERATORS} from '../isa/expression.ts';

const TYPE_CODES: Record<ValueType, number> = {i32: 0x7f, i64: 0x7e, f32: 0x7d, f64: 0x7c, v128: 0x7b};
const EMPTY_BLOCK = 0x40;

/** Opcode and natural alignment (log2) of memory instructions. */
const MEMORY_CODES: Record<HostLoad | HostStore, number> = {
  'i32.load': 0x28,
  'i64.load': 0x29,
  'f32.load': 0x2a,
  'f64.load': 0x2b,
  'i32.load8_u': 0x2d,
  'i32.load16_u': 0x2f,
  'i64.load8_s': 0x30,
  'i64.load8_u': 0x31,
  'i64.load16_s': 0x32,
  'i64.load16_u': 0x33,
  'i64.load32_s': 0x34,
  'i64.load32_u': 0x35,
  'i32.store': 0x36,
  'i64.store': 0x37,
  'f32.store': 0x38,
  'f64.store': 0x39,
  'i32.store8': 0x3a,
  'i32.store16': 0x3b,
  'i64.store8': 0x3c,
  'i64.store16': 0x3d,
  'i64.store32': 0x3e,
};

/** A growing sequence of bytes with the format's integer encodings. */
export class ByteWriter {
  #buffer = new Uint8Array(256);
  #length = 0;

  get length(): number {
    return this.#length;
  }

  get bytes(): Uint8Array<ArrayBuffer> {
    return this.#buffer.subarray(0, this.#length);
  }

  byte(value: number): this {
    this.#push(value);
    return this;
  }

  sequence(...values: readonly number[]): this {
    for (const value of values) this.#push(value);
    return this;
  }

  /** Unsigned LEB128. */
  unsigned(value: number): this {
    let rest = value >>> 0;
    do {
      const low = rest & 0x7f;
      rest >>>= 7;
      this.#push(rest === 0 ? low : low | 0x80);
    } while (rest !== 0);
    return this;
  }

  /** Signed LEB128 of an i32. */
  signed32(value: number): this {
    let rest = value | 0;
    for (;;) {
      const low = rest & 0x7f;
      rest >>= 7;
      if ((rest === 0 && (low & 0x40) === 0) || (rest === -1 && (low & 0x40) !== 0)) {
        this.#push(low);
        return this;
      }
      this.#push(low | 0x80);
    }
  }

  /** Signed LEB128. */
  signed(value: bigint): this {
    if (BigInt.asIntN(32, value) === value) return this.signed32(Number(value));
    let rest = value;
    for (;;) {
      const low = Number(rest & 0x7fn);
      rest >>= 7n;
      if ((rest === 0n && (low & 0x40) === 0) || (rest === -1n && (low & 0x40) !== 0)) {
        this.#push(low);
        return this;
      }
      this.#push(low | 0x80);
    }
  }

  name(text: string): this {
    this.unsigned(text.length);
    for (const character of text) this.#push(character.charCodeAt(0));
    return this;
  }

  append(other: ByteWriter): this {
    this.#reserve(other.length);
    this.#buffer.set(other.bytes, this.#length);
    this.#length += other.length;
    return this;
  }

  #push(value: number): void {
    if (this.#length === this.#buffer.length) this.#reserve(1);
    this.#buffer[this.#length] = value;
    this.#length += 1;
  }

  #reserve(count: number): void {
    if (this.#length + count <= this.#buffer.length) return;
    const larger = new Uint8Array(Math.max(2 * this.#buffer.length, this.#length + count));
    larger.set(this.bytes);
    this.#buffer = larger;
  }
}

/** A branch target: branches are given as labels, and their relative depth is computed here. */
export type Label = {depth: number};

/** Which way a branch hardly ever goes: V8 moves that code out of the way. */
export type Hint = 'likely' | 'unlikely';

/** The body of a function, instruction by instruction. */
export class CodeWriter {
  readonly #out = new ByteWriter();
  #depth = 0;
  /** Offsets of `if` and `br_if` instructions whose condition is known to be mostly true, or mostly false. */
  readonly hints: {offset: number; hint: Hint}[] = [];

  get bytes(): ByteWriter {
    return this.#out;
  }

  i32Const(value: number): this {
    this.#out.byte(0x41).signed32(value);
    return this;
  }

  i64Const(value: bigint): this {
    this.#out.byte(0x42).signed(BigInt.asIntN(64, value));
    return this;
  }

  op(operator: Operator): this {
    const entry = OPERATORS[operator];
    this.#out.byte(entry.code);
    if ('after' in entry) this.#out.sequence(...entry.after);
    return this;
  }

  localGet(index: number): this {
    this.#out.byte(0x20).unsigned(index);
    return this;
  }

  localSet(index: number): this {
    this.#out.byte(0x21).unsigned(index);
    return this;
  }

  localTee(index: number): this {
    this.#out.byte(0x22).unsigned(index);
    return this;
  }

  /** A load or a store; the alignment is declared as 1, which is only a hint. */
  memory(access: HostLoad | HostStore, offset = 0): this {
    this.#out.byte(MEMORY_CODES[access]).byte(0).unsigned(offset);
    return this;
  }

  block(body: (end: Label) => void, result?: ValueType): this {
    return this.#structured(0x02, result === undefined ? EMPTY_BLOCK : TYPE_CODES[result], body);
  }

  /** Branching to the label starts the loop again. */
  loop(body: (start: Label) => void): this {
    return this.#structured(0x03, EMPTY_BLOCK, body);
  }

  /** Says of the `if` or `br_if` that comes next how its condition mostly is. */
  hint(hint: Hint): this {
    this.hints.push({offset: this.#out.length, hint});
    return this;
  }

  if(then: () => void, otherwise?: () => void, result?: ValueType): this {
    return this.#structured(0x04, result === undefined ? EMPTY_BLOCK : TYPE_CODES[result], () => {
      then();
      if (otherwise === undefined) return;
      this.#out.byte(0x05);
      otherwise();
    });
  }

  branch(label: Label): this {
    this.#out.byte(0x0c).unsigned(this.#depth - label.depth);
    return this;
  }

  branchIf(label: Label): this {
    this.#out.byte(0x0d).unsigned(this.#depth - label.depth);
    return this;
  }

  branchTable(labels: readonly Label[], otherwise: Label): this {
    this.#out.byte(0x0e).unsigned(labels.length);
    for (const label of labels) this.#out.unsigned(this.#depth - label.depth);
    this.#out.unsigned(this.#depth - otherwise.depth);
    return this;
  }

  call(functionIndex: number): this {
    this.#out.byte(0x10).unsigned(functionIndex);
    return this;
  }

  /** Calls what the table's element on top of the stack is; `type` as `ModuleWriter.type` gave it. */
  callIndirect(type: number): this {
    this.#out.byte(0x11).unsigned(type).byte(0);
    return this;
  }

  /** The same as a tail call: this function's frame is gone. */
  returnCallIndirect(type: number): this {
    this.#out.byte(0x13).unsigned(type).byte(0);
    return this;
  }

  return(): this {
    this.#out.byte(0x0f);
    return this;
  }

  drop(): this {
    this.#out.byte(0x1a);
    return this;
  }

  select(): this {
    this.#out.byte(0x1b);
    return this;
  }

  unreachable(): this {
    this.#out.byte(0x00);
    return this;
  }

  #structured(code: number, type: number, body: (label: Label) => void): this {
    this.#out.byte(code).byte(type);
    this.#depth += 1;
    body({depth: this.#depth});
    this.#depth -= 1;
    this.#out.byte(0x0b);
    return this;
  }
}

export type FunctionType = {params: readonly ValueType[]; results: readonly ValueType[]};

type FunctionEntry = FunctionType & {locals: readonly ValueType[]; code: CodeWriter};

export class ModuleWriter {
  readonly #types: FunctionType[] = [];
  readonly #imports: {name: string; type: number}[] = [];
  readonly #functions: (FunctionEntry | undefined)[] = [];
  readonly #functionTypes: number[] = [];
  readonly #exports: {name: string; index: number}[] = [];
  readonly #elements: {slot: number; index: number}[] = [];
  readonly #memoryPages: number;
  readonly #importsTable: boolean;

  /** The module imports `env.memory` of at least `memoryPages` pages of 64 KiB, functions, and if wanted `env.table`. */
  constructor(memoryPages: number, options: {table: boolean} = {table: false}) {
    this.#memoryPages = memoryPages;
    this.#importsTable = options.table;
  }

  /** All imports come before the first function. Returns the function's index. */
  importFunction(name: string, type: FunctionType): number {
    if (this.#functions.length > 0) throw new Error('imports come first');
    this.#imports.push({name, type: this.#type(type)});
    return this.#imports.length - 1;
  }

  /** Reserves an index, so that functions can call each other; `define` gives the body. */
  declare(type: FunctionType): number {
    this.#functions.push(undefined);
    this.#functionTypes.push(this.#type(type));
    return this.#imports.length + this.#functions.length - 1;
  }

  define(index: number, body: FunctionEntry): void {
    this.#functions[index - this.#imports.length] = body;
  }

  export(name: string, index: number): void {
    this.#exports.push({name, index});
  }

  /** Instantiating the module puts the function into the table's slot. */
  element(slot: number, index: number): void {
    this.#elements.push({slot, index});
  }

  /** Index of a function type, for indirect calls. */
  type(type: FunctionType): number {
    return this.#type(type);
  }

  finish(): Uint8Array<ArrayBuffer> {
    const out = new ByteWriter().sequence(0, 0x61, 0x73, 0x6d, 1, 0, 0, 0);
    section(out, 1, this.#types, (w, type) => {
      w.byte(0x60).unsigned(type.params.length);
      for (const param of type.params) w.byte(TYPE_CODES[param]);
      w.unsigned(type.results.length);
      for (const result of type.results) w.byte(TYPE_CODES[result]);
    });
    const imports: ((w: ByteWriter) => void)[] = this.#imports.map(
      ({name, type}) =>
        (w) =>
          w.name('env').name(name).byte(0).unsigned(type),
    );
    imports.push((w) => w.name('env').name('memory').sequence(2, 0).unsigned(this.#memoryPages));
    if (this.#importsTable) imports.push((w) => w.name('env').name('table').sequence(1, 0x70, 0).unsigned(1));
    section(out, 2, imports, (w, write) => write(w));
    section(out, 3, this.#functionTypes, (w, type) => w.unsigned(type));
    section(out, 7, this.#exports, (w, {name, index}) => w.name(name).byte(0).unsigned(index));
    if (this.#elements.length > 0) {
      section(out, 9, this.#elements, (w, {slot, index}) =>
        w.sequence(0, 0x41).signed32(slot).byte(0x0b).unsigned(1).unsigned(index),
      );
    }
    this.#writeHints(out);
    section(out, 10, this.#functions, (w, entry) => {
      if (entry === undefined) throw new Error('a declared function was not defined');
      const body = localsOf(entry).append(entry.code.bytes).byte(0x0b);
      w.unsigned(body.length).append(body);
    });
    return out.bytes.slice();
  }

  /** The custom section of the branch hinting proposal: it comes before the code, and engines that do not know it skip it. */
  #writeHints(out: ByteWriter): void {
    const hinted = this.#functions.flatMap((entry, index) =>
      entry !== undefined && entry.code.hints.length > 0 ? [{entry, index: this.#imports.length + index}] : [],
    );
    if (hinted.length === 0) return;
    const content = new ByteWriter().name('metadata.code.branch_hint').unsigned(hinted.length);
    for (const {entry, index} of hinted) {
      const header = localsOf(entry).length;
      content.unsigned(index).unsigned(entry.code.hints.length);
      for (const {offset, hint} of entry.code.hints)
        content
          .unsigned(header + offset)
          .unsigned(1)
          .byte(hint === 'likely' ? 1 : 0);
    }
    out.byte(0).unsigned(content.length).append(content);
  }

  #type(type: FunctionType): number {
    const same = this.#types.findIndex(
      (t) => t.params.join() === type.params.join() && t.results.join() === type.results.join(),
    );
    return same >= 0 ? same : this.#types.push(type) - 1;
  }
}

function localsOf(entry: FunctionEntry): ByteWriter {
  const locals = new ByteWriter().unsigned(entry.locals.length);
  for (const type of entry.locals) locals.unsigned(1).byte(TYPE_CODES[type]);
  return locals;
}

function section<T>(out: ByteWriter, id: number, items: readonly T[], write: (w: ByteWriter, item: T) => void): void {
  const content = new ByteWriter().unsigned(items.length);
  for (const item of items) write(content, item);
  out.byte(id).unsigned(content.length).append(content);
}
