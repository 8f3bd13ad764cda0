// StateDecoder: a state file back into the state it holds, from pieces of any size. Every chunk is checked before it is
// believed, and what is refused is named by its byte offset. What it gives is what a restore and `diff-state` work on.

import type {FieldType} from '../emulator/state-table.ts';
import {FtvmError} from '../errors.ts';
import {decodeItem, itemEnd} from './cbor.ts';
import {crc32c} from './crc32c.ts';
import {type CborValue, type Field, MalformedError} from './fields.ts';
import * as limits from './limits.ts';
import {mismatchedVersion} from './preamble.ts';
import {CHUNK_HEADER_BYTES, type ChunkHeader, type ChunkPlace, decodeChunkHeader, nextPlace} from './state-chunk.ts';
import {
  PAGE_RUN_HEAD_BYTES,
  type SavedEntry,
  type SavedMemory,
  type SavedState,
  STATE_END_FIELD,
  STATE_ENTRY_FIELD,
  STATE_HEADER_FIELD,
  STATE_MAGIC,
  STATE_MEMORY_FIELD,
  type StateHeader,
  ZERO_PAGE,
} from './state-file.ts';

/**
 * Decodes a state file, given in pieces of any size. Throws FtvmError: `notALog` (no state file at all), `mismatchedVersion`,
 * `torn` (it ends early), `corrupt`; the last two with `details.offset`.
 */
export function decodeState(pieces: Iterable<Uint8Array>): SavedState {
  const decoder = new StateDecoder();
  for (const piece of pieces) decoder.push(piece);
  return decoder.end();
}

/** The same for pieces that come one by one, from a file or a socket. */
export class StateDecoder {
  #buffer: Uint8Array = new Uint8Array(0);
  #offset = 0;
  #place: ChunkPlace = {number: 0, headersCrc: 0};
  #hasMagic = false;
  #isComplete = false;
  #header: StateHeader | undefined;
  readonly #entries: SavedEntry[] = [];
  readonly #names = new Set<string>();
  readonly #memories: SavedMemory[] = [];
  /** First page of the present memory that may still come. */
  #nextPage = 0;

  /** Takes `bytes`, which follow those pushed before; they are copied. */
  push(bytes: Uint8Array): void {
    this.#buffer = joined(this.#buffer, bytes);
    if (!this.#hasMagic && !this.#takeMagic()) return;
    let start = 0;
    for (;;) {
      const used = this.#takeChunk(this.#buffer.subarray(start));
      if (used === 0) break;
      start += used;
    }
    this.#buffer = this.#buffer.slice(start);
  }

  /** The state, when no more bytes will come. */
  end(): SavedState {
    if (!this.#hasMagic && !couldBeState(this.#buffer)) throw notAState();
    if (!this.#isComplete || this.#header === undefined) {
      throw new FtvmError('torn', `the state file is torn at byte ${this.#offset}: it ends before its end chunk`, {
        hint: 'Save the state again: `ftvm replay LOG --to POSITION --save-state FILE`.',
        details: {offset: this.#offset},
      });
    }
    return {header: this.#header, entries: this.#entries, memories: this.#memories};
  }

  #takeMagic(): boolean {
    if (!couldBeState(this.#buffer)) throw notAState();
    if (this.#buffer.length < STATE_MAGIC.length) return false;
    this.#hasMagic = true;
    this.#offset = STATE_MAGIC.length;
    this.#buffer = this.#buffer.slice(STATE_MAGIC.length);
    return true;
  }

  /** Bytes used of `bytes`: a whole chunk, or 0 when it has not come yet. */
  #takeChunk(bytes: Uint8Array): number {
    if (bytes.length > 0 && this.#isComplete) throw this.#corrupt(this.#offset, 'bytes follow the end chunk');
    if (bytes.length < CHUNK_HEADER_BYTES) return 0;
    const head = bytes.subarray(0, CHUNK_HEADER_BYTES);
    const header = this.#wellFormed(this.#offset, () => decodeChunkHeader(head, this.#place));
    const lengthBytes = CHUNK_HEADER_BYTES + header.payloadBytes;
    if (bytes.length < lengthBytes) return 0;
    const payload = bytes.subarray(CHUNK_HEADER_BYTES, lengthBytes);
    const payloadOffset = this.#offset + CHUNK_HEADER_BYTES;
    if (crc32c(payload) !== header.payloadCrc) {
      throw this.#corrupt(payloadOffset, "a chunk's payload does not match its CRC");
    }
    this.#wellFormed(payloadOffset, () => this.#takePayload(header, payload));
    this.#place = nextPlace(this.#place, head);
    this.#offset += lengthBytes;
    return lengthBytes;
  }

  #takePayload({type}: ChunkHeader, payload: Uint8Array): void {
    if ((type === 'header') !== (this.#place.number === 0))
      throw new MalformedError(`a ${type} chunk in a wrong place`);
    switch (type) {
      case 'header': {
        this.#header = unpacked(STATE_HEADER_FIELD, payload, 'header');
        if (this.#header.formatVersion !== limits.FORMAT_VERSION) throw mismatchedVersion(this.#header.formatVersion);
        return;
      }
      case 'entries':
        return this.#takeEntries(payload);
      case 'memory': {
        const memory = unpacked(STATE_MEMORY_FIELD, payload, 'memory');
        if (this.#memories.some(({name}) => name === memory.name) || this.#memories.length === limits.MAX_MEMORIES) {
          throw new MalformedError(`one memory too many: ${memory.name}`);
        }
        this.#memories.push({...memory, pages: new Map()});
        this.#nextPage = 0;
        return;
      }
      case 'pages':
        return this.#takePages(payload);
      case 'end': {
        const end = unpacked(STATE_END_FIELD, payload, 'end');
        const names = this.#memories.map(({name}) => name);
        if (end.entries !== this.#entries.length || end.memories.join('\n') !== names.join('\n')) {
          throw new MalformedError('the end chunk counts other entries or memories than there are');
        }
        this.#isComplete = true;
      }
    }
  }

  #takeEntries(payload: Uint8Array): void {
    if (this.#memories.length > 0) throw new MalformedError('an entries chunk after a memory');
    for (let start = 0; start < payload.length; ) {
      const end = itemEnd(payload, start);
      const entry = STATE_ENTRY_FIELD.parse(decodeItem(payload, {start, end}), `entry ${this.#entries.length}`);
      if (this.#names.has(entry.name) || this.#entries.length === limits.MAX_STATE_ENTRIES) {
        throw new MalformedError(`one entry too many: ${entry.name}`);
      }
      const sizeBytes = FIXED_BYTES[entry.type];
      if (sizeBytes !== undefined && entry.bytes.length !== sizeBytes) {
        throw new MalformedError(`${entry.name} has ${entry.bytes.length} bytes, ${sizeBytes} expected`);
      }
      this.#names.add(entry.name);
      this.#entries.push(entry);
      start = end;
    }
  }

  #takePages(payload: Uint8Array): void {
    const memory = this.#memories.at(-1);
    if (memory === undefined || payload.length < PAGE_RUN_HEAD_BYTES) throw new MalformedError('pages of no memory');
    const view = new DataView(payload.buffer, payload.byteOffset, payload.length);
    const [first, count, isZero] = [view.getUint32(0, true), view.getUint32(4, true), view.getUint32(8, true)];
    if (count === 0 || first < this.#nextPage || first + count > memory.pageCount || isZero > 1) {
      throw new MalformedError(
        `${memory.name}: pages ${first} to ${first + count - 1} out of order or beyond its size`,
      );
    }
    if (memory.pages.size + count > limits.MAX_HELD_PAGES) {
      throw new MalformedError(`${memory.name} holds more than ${limits.MAX_HELD_PAGES} pages`);
    }
    const dataBytes = isZero === 1 ? 0 : count * limits.STATE_PAGE_BYTES;
    if (payload.length !== PAGE_RUN_HEAD_BYTES + dataBytes || (isZero === 0 && count > limits.MAX_CHUNK_PAGES)) {
      throw new MalformedError(`${memory.name}: ${payload.length} bytes for ${count} pages`);
    }
    this.#nextPage = first + count;
    const data = payload.slice(PAGE_RUN_HEAD_BYTES);
    for (let index = 0; index < count; index++) {
      const start = index * limits.STATE_PAGE_BYTES;
      memory.pages.set(first + index, isZero === 1 ? ZERO_PAGE : data.subarray(start, start + limits.STATE_PAGE_BYTES));
    }
  }

  #wellFormed<T>(offset: number, decode: () => T): T {
    try {
      return decode();
    } catch (error) {
      if (error instanceof MalformedError) throw this.#corrupt(offset, error.message);
      throw error;
    }
  }

  #corrupt(offset: number, what: string): FtvmError {
    return new FtvmError('corrupt', `the state file is corrupt at byte ${offset}: ${what}`, {
      hint: 'Save the state again: `ftvm replay LOG --to POSITION --save-state FILE`.',
      details: {offset},
    });
  }
}

/** Bytes of the types that have one size. */
const FIXED_BYTES: Readonly<Partial<Record<FieldType, number>>> = {u8: 1, u16: 2, u32: 4, u64: 8};

/** Whether `bytes`, the first ones of a file, are or could become those of a state file. */
export function couldBeState(bytes: Uint8Array): boolean {
  const length = Math.min(bytes.length, STATE_MAGIC.length);
  for (let index = 0; index < length; index++) if (bytes[index] !== STATE_MAGIC[index]) return false;
  return true;
}

function notAState(): FtvmError {
  return new FtvmError('notALog', 'not an ftvm state file: byte 0: the file does not begin with "ftvmsta"', {
    hint: 'State files are made by `ftvm replay LOG --save-state FILE`.',
    details: {offset: 0},
  });
}

function unpacked<T>(field: Field<T>, payload: Uint8Array, name: string): T {
  const end = itemEnd(payload, 0);
  if (end !== payload.length) throw new MalformedError(`${payload.length - end} bytes after the ${name}`);
  const value: CborValue = decodeItem(payload, {start: 0, end});
  return field.parse(value, name);
}

function joined(first: Uint8Array, second: Uint8Array): Uint8Array {
  const whole = new Uint8Array(first.length + second.length);
  whole.set(first);
  whole.set(second, first.length);
  return whole;
}
