// A running machine's state on its way to a follower that joins late: pages in rounds while the guest runs, each round the pages that
// were written during the one before; at the end, at a boundary, what is left and the state table. The guest stands still only for
// that last part.
//
// A batch of pages: u8 memory (its index among the machine's), then for each page u32 index, u8 1 and its 4096 bytes, or u8 0: the page
// holds nothing. The state table: for each entry, in the table's order, u32 length and its bytes. Little-endian.

import type {MachineInterface} from '../emulator/machine-interface.ts';
import {PAGE_BYTES} from '../emulator/paged-memory.ts';
import {FtvmError} from '../errors.ts';
import type {DirtyPages} from './dirty-pages.ts';

export const PAGES_PER_BATCH = 64;
const PAGE_HEAD_BYTES = 5;
/** When a round left no more than this, or so many rounds were made, the rest is sent in the pause. */
const FINAL_PAGES = 512;
const MOST_ROUNDS = 20;

const ZERO_PAGE = Buffer.alloc(PAGE_BYTES);

type Pending = {memory: number; indices: number[]};

export class StateSender {
  readonly #machine: MachineInterface;
  readonly #written: {take(): number[]; close(): void}[];
  #pending: Pending[];
  #rounds = 0;

  constructor(machine: MachineInterface, dirtyPages: readonly DirtyPages[]) {
    this.#machine = machine;
    this.#written = dirtyPages.map((dirty) => dirty.subscribe());
    this.#pending = machine.memories.map((memory, index) => ({memory: index, indices: [...memory.present()]}));
  }

  /** The next batch of pages, or undefined: what is left is so little that the pause may come. */
  nextBatch(): Uint8Array | undefined {
    for (;;) {
      const batch = this.#takeBatch();
      if (batch !== undefined) return batch;
      this.#rounds += 1;
      this.#pending = this.#written.map((written, memory) => ({memory, indices: written.take()}));
      const left = this.#pending.reduce((sum, {indices}) => sum + indices.length, 0);
      if (left <= FINAL_PAGES || this.#rounds >= MOST_ROUNDS) return undefined;
    }
  }

  /** At the boundary where the machine stands: the last pages, and how many they are, then the state table. */
  finish(): {batches: Uint8Array[]; pages: number; table: Uint8Array} {
    this.#written.forEach((written, memory) => {
      const pending = this.#pending[memory];
      pending.indices = [...new Set([...pending.indices, ...written.take()])];
    });
    const pages = this.#pending.reduce((sum, {indices}) => sum + indices.length, 0);
    const batches: Uint8Array[] = [];
    for (let batch = this.#takeBatch(); batch !== undefined; batch = this.#takeBatch()) batches.push(batch);
    this.close();
    return {batches, pages, table: encodeTable(this.#machine)};
  }

  close(): void {
    for (const written of this.#written) written.close();
  }

  #takeBatch(): Uint8Array | undefined {
    const pending = this.#pending.find(({indices}) => indices.length > 0);
    if (pending === undefined) return undefined;
    const memory = this.#machine.memories[pending.memory];
    const bytes = Buffer.alloc(1 + PAGES_PER_BATCH * (PAGE_HEAD_BYTES + PAGE_BYTES));
    bytes[0] = pending.memory;
    let end = 1;
    for (const index of pending.indices.splice(0, PAGES_PER_BATCH)) {
      const page = memory.page(index);
      const holds = page !== undefined && !(memory.name === 'ram' && ZERO_PAGE.equals(page));
      bytes.writeUInt32LE(index, end);
      bytes[end + 4] = holds ? 1 : 0;
      end += PAGE_HEAD_BYTES;
      if (!holds) continue;
      bytes.set(page, end);
      end += PAGE_BYTES;
    }
    return bytes.subarray(0, end);
  }
}

/** Writes a batch into a machine's memories. Throws FtvmError `network` for what is none. */
export function applyBatch(machine: MachineInterface, bytes: Uint8Array): void {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const memory = machine.memories[bytes[0]];
  if (memory === undefined) throw malformed('pages of a memory that the machine does not have');
  for (let start = 1; start < bytes.length; ) {
    if (start + PAGE_HEAD_BYTES > bytes.length) throw malformed('a cut-off page');
    const index = view.getUint32(start, true);
    const holds = bytes[start + 4] === 1;
    start += PAGE_HEAD_BYTES;
    if (index >= memory.pageCount || (holds && start + PAGE_BYTES > bytes.length))
      throw malformed(`page ${index}, which cannot be`);
    memory.setPage(index, holds ? bytes.subarray(start, start + PAGE_BYTES) : undefined);
    if (holds) start += PAGE_BYTES;
  }
}

/** Writes a state table into a machine; its caches are dropped. Throws FtvmError `network` for what is none. */
export function applyTable(machine: MachineInterface, bytes: Uint8Array): void {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  let start = 0;
  for (const entry of machine.state.entries) {
    if (start + 4 > bytes.length) throw malformed('a state table that ends early');
    const length = view.getUint32(start, true);
    start += 4;
    const fits = entry.type === 'blob' || length === entry.read().length;
    if (start + length > bytes.length || !fits)
      throw malformed(`a state table whose entry ${entry.name} has ${length} bytes`);
    entry.write(bytes.slice(start, start + length));
    start += length;
  }
  if (start !== bytes.length) throw malformed('a state table with bytes behind its end');
  machine.invalidate();
}

function encodeTable(machine: MachineInterface): Uint8Array {
  const parts: Uint8Array[] = [];
  for (const entry of machine.state.entries) {
    const bytes = entry.read();
    const length = Buffer.alloc(4);
    length.writeUInt32LE(bytes.length);
    parts.push(length, bytes);
  }
  return Buffer.concat(parts);
}

function malformed(what: string): FtvmError {
  return new FtvmError('network', `the primary sent ${what}`, {hint: 'Both sides need the same ftvm.'});
}
