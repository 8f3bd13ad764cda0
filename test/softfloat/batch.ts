// Cases in bulk, in the layout that oracle.c reads and answers in: records of 32 bytes {u32 operation, u32 rounding mode, u64 x, y, z}, answers
// of 16 {u64 result, u64 flags}. Singles are NaN-boxed. Runs them through the functions under test, compiled to a module of their own.

import type {FunctionDefinition, HostLoad} from '../../src/emulator/isa/expression.ts';
import {SOFT_FLOAT} from '../../src/emulator/isa/softfloat/soft-float.ts';
import {FFLAGS} from '../../src/emulator/layout.ts';
import {CodeWriter, ModuleWriter} from '../../src/emulator/wasm/encoder.ts';
import {addFunctions} from '../../src/emulator/wasm/lower.ts';
import {type Datum, OPERATIONS, type Operation} from './operations.ts';

export const RECORD_BYTES = 32;
export const ANSWER_BYTES = 16;
/** Room for 1.3 million cases at a time. */
const MEMORY_PAGES = 1024;
const BOX = 0xffff_ffff_0000_0000n;

export type Case = {operation: Operation; rm: number; operands: readonly bigint[]};
export type Answer = {result: bigint; flags: number};

export function encodeCases(cases: readonly Case[]): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(cases.length * RECORD_BYTES);
  const view = new DataView(bytes.buffer);
  cases.forEach(({operation, rm, operands}, index) => {
    const at = index * RECORD_BYTES;
    view.setUint32(at, operation.number, true);
    view.setUint32(at + 4, rm, true);
    operands.forEach((value, i) => {
      view.setBigUint64(at + 8 + 8 * i, operation.operands[i] === 'f32' ? value | BOX : value, true);
    });
  });
  return bytes;
}

/** An answer; singles unboxed. */
export function decodeAnswer(operation: Operation, answers: Uint8Array, index: number): Answer {
  const view = new DataView(answers.buffer, answers.byteOffset + index * ANSWER_BYTES);
  const result = view.getBigUint64(0, true);
  const boxed = operation.result === 'f32';
  if (boxed && result < BOX) throw new Error(`${operation.name} gave a single that is not NaN-boxed`);
  return {result: boxed ? result - BOX : result, flags: Number(view.getBigUint64(8, true))};
}

/** The first difference of two lots of answers as text, or undefined. */
export function findDifference(
  cases: readonly Case[],
  {expected, actual}: {expected: Uint8Array; actual: Uint8Array},
): string | undefined {
  if (Buffer.compare(expected, actual) === 0) return undefined;
  for (const [index, {operation, rm, operands}] of cases.entries()) {
    const want = decodeAnswer(operation, expected, index);
    const got = decodeAnswer(operation, actual, index);
    if (want.result === got.result && want.flags === got.flags) continue;
    const show = (answer: Answer): string => `${answer.result.toString(16)} flags ${answer.flags}`;
    const call = `${operation.name}(${operands.map((value) => value.toString(16)).join(', ')}, rm ${rm})`;
    return `${call}: expected ${show(want)}, got ${show(got)}`;
  }
  return `expected ${expected.length} bytes of answers, got ${actual.length}`;
}

/** With NX accrued beforehand the same results come with NX. */
export function withInexact(answers: Uint8Array): Uint8Array {
  const copy = Uint8Array.from(answers);
  for (let at = 8; at < copy.length; at += ANSWER_BYTES) copy[at] |= 1;
  return copy;
}

/** The functions under test, or variants of them, as an oracle of their own. */
export class FunctionsUnderTest {
  readonly #memory = new WebAssembly.Memory({initial: MEMORY_PAGES});
  readonly #run: (operation: number, record: number, count: number, flags: number, answer: number) => void;

  constructor(definitions: readonly FunctionDefinition[] = SOFT_FLOAT) {
    const module = new ModuleWriter(1);
    const indices = addFunctions(module, definitions);
    for (const operation of OPERATIONS) {
      module.export(operation.name, defineDriver(module, operation, indices.get(operation.name) as number));
    }
    const instance = new WebAssembly.Instance(new WebAssembly.Module(module.finish()), {env: {memory: this.#memory}});
    const drivers = OPERATIONS.map(({name}) => instance.exports[name] as (...args: number[]) => number);
    this.#run = (operation, ...rest) => drivers[operation](...rest);
  }

  /** Answers for encoded cases, each started with the given accrued flags. */
  answer(cases: readonly Case[], records: Uint8Array, accruedFlags: number): Uint8Array {
    const first = 0x10000;
    const answers = first + records.length;
    const bytes = new Uint8Array(this.#memory.buffer);
    bytes.set(records, first);
    // Runs of the same operation go to its driver in one call.
    for (let start = 0; start < cases.length; ) {
      const {number} = cases[start].operation;
      let end = start + 1;
      while (end < cases.length && cases[end].operation.number === number) end += 1;
      this.#run(number, first + start * RECORD_BYTES, end - start, accruedFlags, answers + start * ANSWER_BYTES);
      start = end;
    }
    return bytes.slice(answers, answers + cases.length * ANSWER_BYTES);
  }
}

/** (first record, count, accrued flags, first answer): executes records one after the other. */
function defineDriver(module: ModuleWriter, operation: Operation, callee: number): number {
  const types = {f32: 'f32.load', f64: 'f64.load', integer: 'i64.load'} as const satisfies Record<Datum, HostLoad>;
  const type = {params: ['i32', 'i32', 'i32', 'i32'], results: []} as const;
  const code = new CodeWriter();
  const [record, count, flags, answer] = [0, 1, 2, 3];
  const advance = (local: number, by: number): void => {
    code.localGet(local).i32Const(by).op('i32.add').localSet(local);
  };
  code.loop((start) => {
    code.i32Const(0).localGet(flags).memory('i32.store', FFLAGS);
    code.localGet(answer);
    operation.operands.forEach((datum, i) => {
      code.localGet(record).memory(types[datum], 8 + 8 * i);
    });
    if (operation.rounds) code.localGet(record).memory('i32.load', 4);
    code.call(callee);
    if (operation.result === 'f64') code.op('i64.reinterpret_f64');
    if (operation.result === 'f32') code.op('i32.reinterpret_f32');
    if (operation.result === 'f32' || isNarrow(operation)) code.op('i64.extend_i32_u');
    if (operation.result === 'f32') code.i64Const(BOX).op('i64.or');
    code.memory('i64.store');
    code.localGet(answer).i32Const(0).memory('i64.load32_u', FFLAGS).memory('i64.store', 8);
    advance(record, RECORD_BYTES);
    advance(answer, ANSWER_BYTES);
    advance(count, -1);
    code.localGet(count).branchIf(start);
  });
  const index = module.declare(type);
  module.define(index, {...type, locals: [], code});
  return index;
}

/** Comparisons and classes are i32 in the functions, and integer registers in the oracle. */
const isNarrow = ({name}: Operation): boolean => /\.(?:eq|lt|le|class)$/.test(name);
