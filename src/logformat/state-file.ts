// The state file of `replay --save-state`: the machine's whole state at one position, with what is needed to carry on from it
// or to compare it. A magic, then chunks: the header, the state table, and per memory the pages that it holds. It is written
// and read in pieces, so that a guest of 4 GiB needs no 4 GiB more.

import type {MachineConfig} from '../emulator/config.ts';
import type {MachineInterface} from '../emulator/machine-interface.ts';
import type {FieldType, StateEntry} from '../emulator/state-table.ts';
import {assert} from '../errors.ts';
import {encodeItem} from './cbor.ts';
import {bigint, bytes, type Field, list, MalformedError, oneOf, struct, text, uint} from './fields.ts';
import * as limits from './limits.ts';
import type {Artefact, BaseDisk} from './record.ts';
import {ARTEFACTS_FIELD, BASE_DISKS_FIELD, CONFIG_FIELD} from './record-codec.ts';
import {type ChunkPlace, type ChunkType, encodeChunkHeader, nextPlace} from './state-chunk.ts';

/** What stands in a state file beside the state itself. */
export type StateHeader = {
  formatVersion: number;
  machineVersion: number;
  ftvmVersion: string;
  config: MachineConfig;
  artefacts: Artefact[];
  disks: BaseDisk[];
  lineageId: Uint8Array;
  position: bigint;
  /** Ordinal of the last record that is contained in the state. */
  recordOrdinal: bigint;
  outputOrdinal: bigint;
};

export type SavedEntry = {name: string; type: FieldType; bytes: Uint8Array};

export type SavedMemory = {
  name: string;
  pageCount: number;
  /** The pages that the memory held, in ascending order; a page that held nothing but zeros is ZERO_PAGE itself. */
  pages: Map<number, Uint8Array>;
};

export type SavedState = {header: StateHeader; entries: SavedEntry[]; memories: SavedMemory[]};

/** Shared by all pages of zeros; never written to. */
export const ZERO_PAGE: Uint8Array = new Uint8Array(limits.STATE_PAGE_BYTES);

/** "ftvmsta\0" */
export const STATE_MAGIC = Uint8Array.of(0x66, 0x74, 0x76, 0x6d, 0x73, 0x74, 0x61, 0x00);

/** Entries are gathered into chunks of about this size. */
const ENTRIES_CHUNK_BYTES = 64 * 1024;

export const PAGE_RUN_HEAD_BYTES = 12;

export const STATE_HEADER_FIELD: Field<StateHeader> = struct<StateHeader>({
  formatVersion: uint(65_535, 1),
  machineVersion: uint(2 ** 32 - 1),
  ftvmVersion: text(0, limits.MAX_NAME_BYTES),
  config: CONFIG_FIELD,
  artefacts: ARTEFACTS_FIELD,
  disks: BASE_DISKS_FIELD,
  lineageId: bytes(16, 16),
  position: bigint(limits.MAX_U63),
  recordOrdinal: bigint(limits.MAX_U63),
  outputOrdinal: bigint(limits.MAX_U63),
});

export const STATE_ENTRY_FIELD: Field<SavedEntry> = struct<SavedEntry>({
  name: text(1, limits.MAX_NAME_BYTES),
  type: oneOf(['u8', 'u16', 'u32', 'u64', 'bytes', 'blob']),
  bytes: bytes(0, limits.MAX_STATE_ENTRY_BYTES),
});

export const STATE_MEMORY_FIELD = struct<{name: string; pageCount: number}>({
  name: text(1, limits.MAX_NAME_BYTES),
  pageCount: uint(limits.MAX_MEMORY_PAGES),
});

/** Names of the memories, for the end chunk: a file that ends early cannot pass for a machine with fewer memories. */
export const STATE_END_FIELD = struct<{entries: number; memories: string[]}>({
  entries: uint(limits.MAX_STATE_ENTRIES),
  memories: list(text(1, limits.MAX_NAME_BYTES), limits.MAX_MEMORIES),
});

/** The state of `machine` in pieces, to be written one after the other. The machine must stand still meanwhile. */
export function* encodeState(
  machine: Pick<MachineInterface, 'position' | 'outputOrdinal' | 'state' | 'memories'>,
  header: Omit<StateHeader, 'formatVersion' | 'position' | 'outputOrdinal'>,
): Generator<Uint8Array> {
  let place: ChunkPlace = {number: 0, headersCrc: 0};
  const chunk = (type: ChunkType, payload: Uint8Array): Uint8Array => {
    assert(payload.length <= limits.MAX_CHUNK_BYTES, `a chunk of ${payload.length} bytes`);
    const head = encodeChunkHeader(type, {payload, place});
    place = nextPlace(place, head);
    return concat([head, payload]);
  };
  yield STATE_MAGIC.slice();
  const {position, outputOrdinal} = machine;
  const whole: StateHeader = {...header, formatVersion: limits.FORMAT_VERSION, position, outputOrdinal};
  yield chunk('header', packed(STATE_HEADER_FIELD, whole));
  for (const payload of encodeEntries(machine.state.entries)) yield chunk('entries', payload);
  for (const memory of machine.memories) {
    yield chunk('memory', packed(STATE_MEMORY_FIELD, {name: memory.name, pageCount: memory.pageCount}));
    for (const run of pageRuns(memory)) yield chunk('pages', run);
  }
  const memories = machine.memories.map(({name}) => name);
  yield chunk('end', packed(STATE_END_FIELD, {entries: machine.state.entries.length, memories}));
}

function* encodeEntries(entries: readonly StateEntry[]): Generator<Uint8Array> {
  let items: Uint8Array[] = [];
  let sizeBytes = 0;
  for (const entry of entries) {
    const item = packed(STATE_ENTRY_FIELD, {name: entry.name, type: entry.type, bytes: entry.read()});
    if (sizeBytes > 0 && sizeBytes + item.length > ENTRIES_CHUNK_BYTES) {
      yield concat(items);
      items = [];
      sizeBytes = 0;
    }
    items.push(item);
    sizeBytes += item.length;
  }
  if (items.length > 0) yield concat(items);
}

/** Runs of neighbouring pages, all zero or none: first page, count, kind (u32 each), then the bytes of pages that are not zero. */
function* pageRuns(memory: MachineInterface['memories'][number]): Generator<Uint8Array> {
  let first = 0;
  let count = 0;
  let isZero = false;
  let data: Uint8Array[] = [];
  const run = (): Uint8Array => {
    const head = new DataView(new ArrayBuffer(PAGE_RUN_HEAD_BYTES));
    head.setUint32(0, first, true);
    head.setUint32(4, count, true);
    head.setUint32(8, isZero ? 1 : 0, true);
    return concat([new Uint8Array(head.buffer), ...data]);
  };
  for (const index of memory.present()) {
    const page = memory.page(index) ?? ZERO_PAGE;
    assert(page.length === limits.STATE_PAGE_BYTES, `${memory.name}: a page of ${page.length} bytes`);
    const pageIsZero = isAllZero(page);
    const belongs = index === first + count && pageIsZero === isZero && (isZero || count < limits.MAX_CHUNK_PAGES);
    if (count > 0 && !belongs) {
      yield run();
      count = 0;
    }
    if (count === 0) {
      first = index;
      isZero = pageIsZero;
      data = [];
    }
    count++;
    // A copy: the view is good until the next page is asked for.
    if (!pageIsZero) data.push(page.slice());
  }
  if (count > 0) yield run();
}

function isAllZero(page: Uint8Array): boolean {
  for (let index = 0; index < page.length; index++) if (page[index] !== 0) return false;
  return true;
}

function packed<T>(field: Field<T>, value: T): Uint8Array {
  const items = field.pack(value);
  try {
    field.parse(items, 'state');
  } catch (error) {
    assert(!(error instanceof MalformedError), `state to write: ${(error as Error).message}`);
    throw error;
  }
  return encodeItem(items);
}

function concat(parts: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let end = 0;
  for (const part of parts) {
    whole.set(part, end);
    end += part.length;
  }
  return whole;
}
