// A machine's state as something to look at: of a running machine or of a saved one, so that comparing and disassembling do not ask
// where a state comes from. Nothing here changes a state.

import type {PagedMemory} from '../emulator/paged-memory.ts';
import type {FieldType, StateTable} from '../emulator/state-table.ts';
import type {SavedState} from '../logformat/state-file.ts';

export type EntryView = {readonly name: string; readonly type: FieldType; read(): Uint8Array};

export type MemoryView = Pick<PagedMemory, 'name' | 'pageCount' | 'page' | 'present'>;

export type StateView = {readonly entries: readonly EntryView[]; readonly memories: readonly MemoryView[]};

/** A live view: it shows what the machine is when it is read. */
export function viewOfMachine(machine: {state: StateTable; memories: readonly PagedMemory[]}): StateView {
  return {entries: machine.state.entries, memories: machine.memories};
}

export function viewOfSaved(saved: SavedState): StateView {
  return {
    entries: saved.entries.map(({name, type, bytes}) => ({name, type, read: () => bytes})),
    memories: saved.memories.map(({name, pageCount, pages}) => ({
      name,
      pageCount,
      page: (index) => pages.get(index),
      present: () => pages.keys(),
    })),
  };
}

/** A register of 64 bits or less; undefined when the state has none of this name. */
export function registerOf(view: StateView, name: string): bigint | undefined {
  const entry = view.entries.find((candidate) => candidate.name === name);
  return entry === undefined ? undefined : littleEndian(entry.read());
}

/** The unsigned value of little-endian bytes. */
export function littleEndian(bytes: Uint8Array): bigint {
  let value = 0n;
  for (let n = bytes.length - 1; n >= 0; n -= 1) value = (value << 8n) | BigInt(bytes[n]);
  return value;
}
