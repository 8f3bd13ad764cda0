// The translated code that the hart has: which regions were asked for, which are installed, and when they must go. Translated code
// is a cache like decoded pages: it is found by the page of RAM and the offset in it, forgotten when what it was made from is
// overwritten, and never part of the state. Compilation is somebody else's business: requests go out and modules come in.

import {assert} from '../../errors.ts';
import * as layout from '../layout.ts';
import type {Ram} from '../memory.ts';
import {PAGE_BYTES} from '../paged-memory.ts';
import {type ByteRange, type CodePage, deltaOf} from '../wasm/region.ts';
import {OPERATION} from '../wasm/slot.ts';
import type {TranslatedRegion, Translation, TranslationRequest} from '../wasm/translate.ts';
import {ENTRY_REQUESTED, type HostArithmetic} from '../wasm/translated-code.ts';
import type {CodeCache} from './code-cache.ts';
import type {Pmp} from './pmp.ts';

/** Regions that may be installed at a time, some 25 KB of machine code each; the oldest quarter goes when they are more. */
const REGION_LIMIT = 8192;
/** Requests that may wait to be taken; places that become hot meanwhile are counted anew. */
const REQUEST_LIMIT = 512;
/** A page whose translated code was overwritten so often is left to the interpreter. */
const OVERWRITES_LIMIT = 64;
const COPY_LIMIT = 256;
const TABLE_STEP = 4096;

/** A compiled translation: the module of `Translation.bytes`. */
export type CompiledTranslation = {module: WebAssembly.Module; regions: readonly TranslatedRegion[]};

/** A page of code and the page of RAM that it is. */
type SourcePage = CodePage & {ramPage: number};
type Neighbours = {before: number | undefined; behind: number | undefined};
type Request = {slot: number; slotAddress: number; entryAddress: number; pages: readonly SourcePage[]; offset: number};
/** A queue, for a host that translates elsewhere and need not load the translator here; or the translator itself. */
export type Compiler = 'queue' | ((requests: readonly TranslationRequest[], host: HostArithmetic) => Translation);

/** `pages`: which bytes of which pages of RAM it was made from. */
type Region = {slot: number; slotAddress: number; entryAddress: number; pages: ReadonlyMap<number, ByteRange[]>};

export class Translations {
  readonly table = new WebAssembly.Table({initial: TABLE_STEP, element: 'anyfunc'});
  readonly #ram: Ram;
  readonly #pmp: Pmp;
  readonly #code: CodeCache;
  readonly #neighbours: () => Neighbours;
  readonly #i32: Int32Array;
  readonly #threshold: number;
  readonly #compiler: Compiler;
  /** What whoever takes requests must translate with. */
  readonly arithmetic: HostArithmetic;
  /** What translated modules import: the memory, the table, and functions of the interpreter's module. */
  #imports: Record<string, unknown> = {};
  #freeSlots: number[] = [];
  #nextSlot = 1;
  /** Requested, by slot; the first `#waiting.length` of them have not been taken. */
  readonly #requests = new Map<number, Request>();
  #waiting: Request[] = [];
  /** Installed, by slot, the oldest first. */
  readonly #regions = new Map<number, Region>();
  readonly #byPage = new Map<number, Set<Region>>();
  /** Copies of pages of code as they are now: requests of one page share them. */
  readonly #copies = new Map<number, Uint8Array>();
  readonly #overwrites = new Map<number, number>();
  /** Counts regions that were dropped: translated code that runs may be among them. */
  drops = 0;

  constructor(parts: {
    memory: WebAssembly.Memory;
    ram: Ram;
    pmp: Pmp;
    code: CodeCache;
    /** Where the decoded pages before and behind the present one in virtual memory are, if they are known. */
    neighbours: () => Neighbours;
    threshold: number;
    compiler: Compiler;
    arithmetic: HostArithmetic;
  }) {
    this.#ram = parts.ram;
    this.#pmp = parts.pmp;
    this.#code = parts.code;
    this.#neighbours = parts.neighbours;
    this.#threshold = parts.threshold;
    this.#compiler = parts.compiler;
    this.arithmetic = parts.arithmetic;
    this.#i32 = new Int32Array(parts.memory.buffer);
    this.#imports = {memory: parts.memory, table: this.table};
  }

  /** What translated code may call: the exports of the interpreter's instance. */
  setFunctions(exports: Record<string, unknown>): void {
    this.#imports = {...this.#imports, ...exports};
  }

  get regionCount(): number {
    return this.#regions.size;
  }

  /** Index in the table of the translated code that starts at this slot of the present page, or 0. It is asked for if the place has become hot. */
  at(slotAddress: number): number {
    const ramPage = this.#code.ramPageOf(slotAddress);
    const decoded = this.#code.pageOffset(ramPage);
    const halfword = (slotAddress - decoded) / layout.SLOT_BYTES;
    const entry = (decoded + layout.ENTRIES + halfword * layout.ENTRY_BYTES) >> 2;
    if (this.#i32[entry] === -this.#threshold) this.#ask(ramPage, {decoded, halfword, neighbours: this.#neighbours()});
    return Math.max(this.#i32[entry], 0);
  }

  #ask(ramPage: number, place: {decoded: number; halfword: number; neighbours: Neighbours}): void {
    const {decoded, halfword, neighbours} = place;
    const entryAddress = decoded + layout.ENTRIES + halfword * layout.ENTRY_BYTES;
    if (this.#waiting.length >= REQUEST_LIMIT) {
      this.#i32[entryAddress >> 2] = 0;
      return;
    }
    this.#i32[entryAddress >> 2] = ENTRY_REQUESTED;
    const isFit = this.#pmp.uniform(layout.RAM_BASE + ramPage * PAGE_BYTES);
    if (!isFit || (this.#overwrites.get(ramPage) ?? 0) >= OVERWRITES_LIMIT) return;
    const pages = this.#sourcePages(ramPage, decoded, neighbours);
    const slotAddress = decoded + halfword * layout.SLOT_BYTES;
    const request = {slot: this.#takeSlot(), slotAddress, entryAddress, pages, offset: halfword * 2};
    this.#requests.set(request.slot, request);
    if (this.#compiler === 'queue') {
      this.#waiting.push(request);
      return;
    }
    const {bytes, regions} = this.#compiler([request], this.arithmetic);
    this.install({module: new WebAssembly.Module(bytes), regions});
  }

  /** Requests since the last call. Each must be answered by `install`, sooner or later. */
  takeRequests(): TranslationRequest[] {
    const taken = this.#waiting;
    this.#waiting = [];
    return taken.map(({slot, pages, offset}) => ({
      slot,
      pages: pages.map(({delta, bytes, decoded}) => ({delta, bytes, decoded})),
      offset,
    }));
  }

  /** To be called between slices. Regions whose code has changed since they were asked for are left out. */
  install({module, regions}: CompiledTranslation): void {
    new WebAssembly.Instance(module, {env: this.#imports});
    for (const {slot, ranges} of regions) {
      const request = this.#requests.get(slot);
      assert(request !== undefined, 'a translation that nobody asked for');
      this.#requests.delete(slot);
      if (ranges.length > 0 && this.#isTrue(request, ranges)) this.#add(request, ranges);
      else this.#freeSlot(slot);
    }
    if (this.#regions.size > REGION_LIMIT) this.#evict(REGION_LIMIT / 4);
  }

  /** [start, end) of RAM, within one page, is about to change. */
  overwritten(ramPage: number, start: number, end: number): void {
    this.#copies.delete(ramPage);
    const regions = this.#byPage.get(ramPage);
    if (regions === undefined) return;
    const first = start - ramPage * PAGE_BYTES;
    const last = end - ramPage * PAGE_BYTES;
    for (const region of regions) {
      const ranges = region.pages.get(ramPage) ?? [];
      if (!ranges.some((range) => range.start < last && first < range.end)) continue;
      this.#drop(region);
      this.#overwrites.set(ramPage, (this.#overwrites.get(ramPage) ?? 0) + 1);
    }
  }

  /** Forgets a page, because its decoded form is forgotten. */
  release(ramPage: number): void {
    this.#copies.delete(ramPage);
    for (const region of this.#byPage.get(ramPage) ?? []) this.#drop(region);
    for (const request of this.#requests.values()) {
      if (request.pages.some((page) => page.ramPage === ramPage)) request.entryAddress = -1;
    }
    this.drops += 1;
  }

  /** Forgets everything, because the decoded pages are forgotten. */
  clear(): void {
    for (const region of this.#regions.values()) this.#freeSlot(region.slot);
    this.drops += 1;
    this.#regions.clear();
    this.#byPage.clear();
    this.#copies.clear();
    this.#overwrites.clear();
    // Those that are being compiled find another page, or none, at their entry's place.
    for (const request of this.#requests.values()) request.entryAddress = -1;
    this.#waiting = this.#waiting.filter((request) => {
      this.#requests.delete(request.slot);
      this.#freeSlot(request.slot);
      return false;
    });
  }

  /** Copies of the page and of those neighbours that PMP leaves to be read as a whole. */
  #sourcePages(ramPage: number, decoded: number, {before, behind}: Neighbours): SourcePage[] {
    const pages = [{delta: 0, ramPage, decoded, bytes: this.#copyOf(ramPage)}];
    for (const [delta, offset] of [
      [-1, before],
      [1, behind],
    ] as const) {
      if (offset === undefined) continue;
      const neighbour = this.#code.ramPageOf(offset);
      if (!this.#pmp.uniform(layout.RAM_BASE + neighbour * PAGE_BYTES)) continue;
      pages.push({delta, ramPage: neighbour, decoded: offset, bytes: this.#copyOf(neighbour)});
    }
    return pages;
  }

  #copyOf(ramPage: number): Uint8Array {
    let copy = this.#copies.get(ramPage);
    if (copy === undefined) {
      if (this.#copies.size === COPY_LIMIT) this.#copies.clear();
      copy = this.#ram.page(ramPage).slice();
      this.#copies.set(ramPage, copy);
    }
    return copy;
  }

  /** Whether the code is still what the request saw. */
  #isTrue(request: Request, ranges: readonly ByteRange[]): boolean {
    if (request.entryAddress < 0) return false;
    const same = ranges.every(({start, end}) => {
      const delta = deltaOf(start);
      const page = request.pages.find((candidate) => candidate.delta === delta);
      assert(page !== undefined, 'code of a page that was not given');
      const now = this.#ram.page(page.ramPage);
      for (let offset = start - delta * PAGE_BYTES; offset < end - delta * PAGE_BYTES; offset += 1)
        if (now[offset] !== page.bytes[offset]) return false;
      return true;
    });
    if (!same) this.#i32[request.entryAddress >> 2] = 0;
    return same;
  }

  #add({slot, slotAddress, entryAddress, pages}: Request, ranges: readonly ByteRange[]): void {
    const byPage = new Map<number, ByteRange[]>();
    for (const {start, end} of ranges) {
      const delta = deltaOf(start);
      const ramPage = pages.find((page) => page.delta === delta)?.ramPage ?? 0;
      const inPage = {start: start - delta * PAGE_BYTES, end: end - delta * PAGE_BYTES};
      byPage.set(ramPage, [...(byPage.get(ramPage) ?? []), inPage]);
    }
    const region = {slot, slotAddress, entryAddress, pages: byPage};
    this.#regions.set(slot, region);
    for (const ramPage of byPage.keys()) {
      const ofPage = this.#byPage.get(ramPage);
      if (ofPage === undefined) this.#byPage.set(ramPage, new Set([region]));
      else ofPage.add(region);
    }
    this.#enter(region, slot);
  }

  /** The region's entry is this now; the interpreter sees it when it decodes the slot anew. */
  #enter({slotAddress, entryAddress}: Region, entry: number): void {
    this.#i32[entryAddress >> 2] = entry;
    this.#i32[slotAddress >> 2] = OPERATION.undecoded;
  }

  #drop(region: Region): void {
    this.drops += 1;
    this.#enter(region, 0);
    this.#regions.delete(region.slot);
    for (const ramPage of region.pages.keys()) this.#byPage.get(ramPage)?.delete(region);
    this.#freeSlot(region.slot);
  }

  #evict(count: number): void {
    for (const region of [...this.#regions.values()].slice(0, count)) this.#drop(region);
  }

  #takeSlot(): number {
    const free = this.#freeSlots.pop();
    if (free !== undefined) return free;
    if (this.#nextSlot === this.table.length) this.table.grow(TABLE_STEP);
    this.#nextSlot += 1;
    return this.#nextSlot - 1;
  }

  #freeSlot(slot: number): void {
    this.table.set(slot, null);
    this.#freeSlots.push(slot);
  }
}
