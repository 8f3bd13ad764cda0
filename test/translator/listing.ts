// Disassembles the functions of a generated module, one instruction a line, for the golden listings. It knows what the encoder
// (src/emulator/wasm/encoder.ts) writes and nothing else: an unknown byte is an error.

import {OPERATORS} from '../../src/emulator/isa/expression.ts';

const OPERATIONS: readonly [string, {code: number; after?: readonly number[]}][] = Object.entries(OPERATORS);
const NAMES = new Map(OPERATIONS.flatMap(([name, {code, after}]) => (after === undefined ? [[code, name]] : [])));
/** Those of more than one byte. */
const LONG_NAMES = OPERATIONS.filter(([_name, {after}]) => after !== undefined);
const MEMORY = new Map<number, string>([
  [0x28, 'i32.load'],
  [0x29, 'i64.load'],
  [0x2a, 'f32.load'],
  [0x2b, 'f64.load'],
  [0x2d, 'i32.load8_u'],
  [0x2f, 'i32.load16_u'],
  [0x30, 'i64.load8_s'],
  [0x31, 'i64.load8_u'],
  [0x32, 'i64.load16_s'],
  [0x33, 'i64.load16_u'],
  [0x34, 'i64.load32_s'],
  [0x35, 'i64.load32_u'],
  [0x36, 'i32.store'],
  [0x37, 'i64.store'],
  [0x38, 'f32.store'],
  [0x39, 'f64.store'],
  [0x3a, 'i32.store8'],
  [0x3b, 'i32.store16'],
  [0x3c, 'i64.store8'],
  [0x3d, 'i64.store16'],
  [0x3e, 'i64.store32'],
]);
const TYPES = new Map<number, string>([
  [0x40, ''],
  [0x7f, ' i32'],
  [0x7e, ' i64'],
  [0x7d, ' f32'],
  [0x7c, ' f64'],
]);
const PLAIN = new Map<number, string>([
  [0x00, 'unreachable'],
  [0x0f, 'return'],
  [0x1a, 'drop'],
  [0x1b, 'select'],
]);
const INDEXED = new Map<number, string>([
  [0x0c, 'br'],
  [0x0d, 'br_if'],
  [0x20, 'local.get'],
  [0x21, 'local.set'],
  [0x22, 'local.tee'],
]);

/** Every function of the module, with its locals. */
export function listModule(bytes: Uint8Array): string {
  const reader = new Reader(bytes);
  reader.skip(8);
  const imports: string[] = [];
  const lines: string[] = [];
  while (!reader.atEnd) {
    const id = reader.byte();
    const end = reader.unsigned() + reader.at;
    if (id === 2) imports.push(...readImports(reader));
    if (id === 10) {
      for (let count = reader.unsigned(); count > 0; count -= 1) lines.push(...listFunction(reader, imports), '');
    }
    reader.at = end;
  }
  return `${lines.join('\n').trimEnd()}\n`;
}

function readImports(reader: Reader): string[] {
  const names: string[] = [];
  for (let count = reader.unsigned(); count > 0; count -= 1) {
    reader.name();
    const name = reader.name();
    const kind = reader.byte();
    if (kind === 0) {
      names.push(name);
      reader.unsigned();
    } else {
      reader.skip(kind === 1 ? 3 : 2);
    }
  }
  return names;
}

function listFunction(reader: Reader, imports: readonly string[]): string[] {
  const end = reader.unsigned() + reader.at;
  const locals: string[] = [];
  for (let count = reader.unsigned(); count > 0; count -= 1) {
    reader.unsigned();
    locals.push((TYPES.get(reader.byte()) ?? '').trim());
  }
  const lines = [`function (left i32, depth i32, page i64), locals from 3: ${locals.join(' ')}`];
  let depth = 1;
  while (reader.at < end) {
    const code = reader.byte();
    if (code === 0x0b || code === 0x05) depth -= 1;
    lines.push(`${'  '.repeat(Math.max(depth, 0))}${instruction(code, reader, imports)}`);
    if (code === 0x02 || code === 0x03 || code === 0x04 || code === 0x05) depth += 1;
  }
  return lines;
}

function instruction(code: number, reader: Reader, imports: readonly string[]): string {
  const plain = PLAIN.get(code) ?? NAMES.get(code);
  if (plain !== undefined) return plain;
  const long = LONG_NAMES.find(([_name, entry]) => entry.code === code && reader.takes(entry.after ?? []));
  if (long !== undefined) return long[0];
  const indexed = INDEXED.get(code);
  if (indexed !== undefined) return `${indexed} ${reader.unsigned()}`;
  const memory = MEMORY.get(code);
  if (memory !== undefined) {
    reader.unsigned();
    return `${memory} 0x${reader.unsigned().toString(16)}`;
  }
  switch (code) {
    case 0x02:
      return `block${TYPES.get(reader.byte())}`;
    case 0x03:
      return `loop${TYPES.get(reader.byte())}`;
    case 0x04:
      return `if${TYPES.get(reader.byte())}`;
    case 0x05:
      return 'else';
    case 0x0b:
      return 'end';
    case 0x0e:
      return `br_table ${Array.from({length: reader.unsigned() + 1}, () => reader.unsigned()).join(' ')}`;
    case 0x10: {
      const index = reader.unsigned();
      return `call ${imports[index] ?? index}`;
    }
    case 0x11:
    case 0x13:
      reader.unsigned();
      reader.byte();
      return code === 0x11 ? 'call_indirect' : 'return_call_indirect';
    case 0x41:
      return `i32.const ${BigInt.asIntN(32, reader.signed())}`;
    case 0x42:
      return `i64.const ${reader.signed()}`;
    default:
      throw new Error(`byte 0x${code.toString(16)} at ${reader.at - 1} is no instruction that the encoder writes`);
  }
}

class Reader {
  readonly #bytes: Uint8Array;
  at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  get atEnd(): boolean {
    return this.at >= this.#bytes.length;
  }

  skip(count: number): void {
    this.at += count;
  }

  /** Takes these bytes, if they are what comes next. */
  takes(bytes: readonly number[]): boolean {
    const isNext = bytes.every((byte, index) => this.#bytes[this.at + index] === byte);
    if (isNext) this.at += bytes.length;
    return isNext;
  }

  byte(): number {
    const value = this.#bytes[this.at];
    if (value === undefined) throw new Error('the module ends too early');
    this.at += 1;
    return value;
  }

  unsigned(): number {
    let value = 0;
    for (let shift = 0; ; shift += 7) {
      const byte = this.byte();
      value += (byte & 0x7f) * 2 ** shift;
      if (byte < 0x80) return value;
    }
  }

  signed(): bigint {
    let value = 0n;
    for (let shift = 0n; ; shift += 7n) {
      const byte = this.byte();
      value |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) return BigInt.asIntN(Number(shift) + 7, value);
    }
  }

  name(): string {
    const length = this.unsigned();
    this.at += length;
    return Buffer.from(this.#bytes.subarray(this.at - length, this.at)).toString('latin1');
  }
}
