// Where two states differ: one walk over the state tables, one over the paged memories. Entries are matched by name and memories
// too, so that machines of different make can be compared as well.

import {RAM_BASE} from '../emulator/layout.ts';
import {PAGE_BYTES} from '../emulator/paged-memory.ts';
import type {FieldType} from '../emulator/state-table.ts';
import type {EntryView, MemoryView, StateView} from './state-view.ts';

export type EntryGroup = 'machine' | 'registers' | 'csrs' | 'devices';

/** `a` or `b` is undefined where that machine has no such entry. Copies. */
export type EntryDifference = {
  name: string;
  group: EntryGroup;
  type: FieldType;
  a: Uint8Array | undefined;
  b: Uint8Array | undefined;
};

/** Neighbouring pages that all differ. */
export type PageRange = {
  firstPage: number;
  pageCount: number;
  /** Guest-physical for RAM, the offset on the disk for an overlay. */
  address: bigint;
  lengthBytes: number;
  /** Where the first differing byte is, and bytes from there on; undefined where a side holds no page. */
  first: {address: bigint; a: Uint8Array | undefined; b: Uint8Array | undefined};
};

export type MemoryDifference = {name: string; pageCount: number; ranges: PageRange[]};

export type StateDifference = {entries: EntryDifference[]; memories: MemoryDifference[]};

/** Bytes shown from the first difference of a range on. */
const SHOWN_BYTES = 16;

export function compareStates(a: StateView, b: StateView): StateDifference {
  return {entries: compareEntries(a.entries, b.entries), memories: compareMemories(a.memories, b.memories)};
}

export function isEmpty({entries, memories}: StateDifference): boolean {
  return entries.length === 0 && memories.length === 0;
}

export function compareEntries(a: readonly EntryView[], b: readonly EntryView[]): EntryDifference[] {
  const ofB = new Map(b.map((entry) => [entry.name, entry]));
  const names = new Set(a.map(({name}) => name));
  const differences: EntryDifference[] = [];
  const add = (entry: EntryView, left: Uint8Array | undefined, right: Uint8Array | undefined): void => {
    const {name, type} = entry;
    differences.push({name, type, group: groupOf(name), a: left?.slice(), b: right?.slice()});
  };
  for (const entry of a) {
    const other = ofB.get(entry.name)?.read();
    const own = entry.read();
    if (other === undefined || !equalBytes(own, other)) add(entry, own, other);
  }
  for (const entry of b) if (!names.has(entry.name)) add(entry, undefined, entry.read());
  return differences;
}

export function compareMemories(a: readonly MemoryView[], b: readonly MemoryView[]): MemoryDifference[] {
  const names = [...new Set([...a, ...b].map(({name}) => name))];
  return names.flatMap((name) => {
    const ofName = (memory: MemoryView): boolean => memory.name === name;
    const pages = differingPages(a.find(ofName), b.find(ofName));
    if (pages.length === 0) return [];
    return [{name, pageCount: pages.length, ranges: rangesOf(name, pages, a.find(ofName), b.find(ofName))}];
  });
}

/** Whether a page differs. A page that a sparse memory does not hold is not the same as one that it holds zeros in. */
export function pageDiffers(a: Uint8Array | undefined, b: Uint8Array | undefined): boolean {
  if (a === undefined || b === undefined) return a !== b;
  return !equalBytes(a, b);
}

/** Registers of the hart are what programs compute with; CSRs are the rest of the hart; devices have a dot in their names. */
export function groupOf(name: string): EntryGroup {
  if (name === 'pc' || /^[xf]\d+$/.test(name) || name === 'fflags' || name === 'frm') return 'registers';
  if (name === 'mstatus.FS') return 'csrs';
  if (name === 'position' || name === 'outputOrdinal' || /^(ending|mtime)\./.test(name)) return 'machine';
  return name.includes('.') ? 'devices' : 'csrs';
}

export function equalBytes(a: Uint8Array, b: Uint8Array): boolean {
  return Buffer.compare(a, b) === 0;
}

function differingPages(a: MemoryView | undefined, b: MemoryView | undefined): number[] {
  const indices = new Set([...(a?.present() ?? []), ...(b?.present() ?? [])]);
  const differing: number[] = [];
  for (const index of indices) if (pageDiffers(pageOf(a, index), pageOf(b, index))) differing.push(index);
  return differing.sort((left, right) => left - right);
}

function pageOf(memory: MemoryView | undefined, index: number): Uint8Array | undefined {
  return memory === undefined || index >= memory.pageCount ? undefined : memory.page(index);
}

function rangesOf(
  name: string,
  pages: readonly number[],
  a: MemoryView | undefined,
  b: MemoryView | undefined,
): PageRange[] {
  const base = name === 'ram' ? BigInt(RAM_BASE) : 0n;
  const ranges: PageRange[] = [];
  for (const page of pages) {
    const last = ranges.at(-1);
    if (last !== undefined && page === last.firstPage + last.pageCount) {
      last.pageCount += 1;
      last.lengthBytes += PAGE_BYTES;
      continue;
    }
    const address = base + BigInt(page) * BigInt(PAGE_BYTES);
    const [left, right] = [pageOf(a, page), pageOf(b, page)];
    const offset = firstDifference(left, right);
    const shown = (bytes: Uint8Array | undefined): Uint8Array | undefined => bytes?.slice(offset, offset + SHOWN_BYTES);
    ranges.push({
      firstPage: page,
      pageCount: 1,
      address,
      lengthBytes: PAGE_BYTES,
      first: {address: address + BigInt(offset), a: shown(left), b: shown(right)},
    });
  }
  return ranges;
}

function firstDifference(a: Uint8Array | undefined, b: Uint8Array | undefined): number {
  if (a === undefined || b === undefined) return 0;
  for (let offset = 0; offset < PAGE_BYTES; offset += 1) if (a[offset] !== b[offset]) return offset;
  return 0;
}
