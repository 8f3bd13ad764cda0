// A region: the unit of translation. From its entry it follows branches, jumps and the returns of calls within the entry's page of
// code and its two neighbours, as far as they are given, so that a function with its loops becomes one function of WebAssembly.
// Offsets are in bytes from the start of the entry's page: the neighbours have -4096 to -1 and 4096 to 8191.

import {decode, INSTRUCTIONS} from '../isa/decoder.ts';
import type {Instruction} from '../isa/instruction.ts';
import {PAGE_BYTES} from '../paged-memory.ts';

/** One instruction of the guest. */
export type Step = {offset: number; instruction: Instruction; word: number; lengthBytes: 2 | 4};

/** How a block ends. The last step of `branch`, `jump`, `call`, `indirectCall` and `indirectJump` is that instruction itself. */
export type BlockEnd =
  | {kind: 'fall'; next: number}
  | {kind: 'branch'; taken: number; next: number}
  | {kind: 'jump'; target: number}
  | {kind: 'call'; target: number; next: number}
  | {kind: 'indirectCall'; next: number}
  | {kind: 'indirectJump'}
  /** The instruction at `at`, which is no step of the block, is the interpreter's. */
  | {kind: 'leave'; at: number};

export type Block = {start: number; steps: Step[]; end: BlockEnd};

export type Region = {
  entry: number;
  /** By start; the first is the entry's. */
  blocks: ReadonlyMap<number, Block>;
  /** Bytes of the page that it was made from, as disjoint ranges in ascending order. */
  ranges: readonly ByteRange[];
};

export type ByteRange = {start: number; end: number};

/**
 * A page of code that a region may be made from: its bytes; its place, -1 for the page before the entry's, 0 or 1; and the offset of
 * its decoded form in the module's memory, by which translated code finds out whether the neighbour is still that page.
 */
export type CodePage = {delta: number; bytes: Uint8Array; decoded: number};

/** Which page an offset lies on. */
export const deltaOf = (offset: number): number => Math.floor(offset / PAGE_BYTES);

/**
 * More instructions than this are left to regions of their own. Large functions are entered in many places, each of which is a region
 * with much of the same code: with 800, a boot of Debian spends twice the time in V8's optimising compiler, and no program gains.
 */
const STEP_LIMIT = 300;

/** The region that starts at `entry`, or undefined when its first instruction is the interpreter's. */
export function findRegion(pages: readonly CodePage[], entry: number): Region | undefined {
  const {steps, leaders} = explore(pages, entry);
  if (!steps.has(entry)) return undefined;
  const blocks = new Map<number, Block>();
  for (const start of [entry, ...leaders]) {
    if (steps.has(start) && !blocks.has(start)) blocks.set(start, blockAt(start, steps, leaders));
  }
  return {entry, blocks, ranges: rangesOf(steps)};
}

type Exploration = {steps: Map<number, Step>; leaders: Set<number>};

function explore(pages: readonly CodePage[], entry: number): Exploration {
  const steps = new Map<number, Step>();
  const leaders = new Set<number>();
  const open = [entry];
  for (let at = open.shift(); at !== undefined; at = open.shift()) {
    leaders.add(at);
    for (let offset = at; ; ) {
      if (steps.has(offset)) break;
      const step = steps.size < STEP_LIMIT ? decodeAt(pages, offset) : undefined;
      if (step === undefined) break;
      steps.set(offset, step);
      const next = offset + step.lengthBytes;
      const end = endOf(step);
      if (end !== undefined) {
        open.push(...continuations(end));
        break;
      }
      // Another page's mapping is checked where a block of it is entered.
      if (deltaOf(next) !== deltaOf(offset)) leaders.add(next);
      offset = next;
    }
  }
  return {steps, leaders};
}

/** Where control goes on within the region, if it is on this page. */
function continuations(end: BlockEnd): number[] {
  switch (end.kind) {
    case 'branch':
      // The fall-through first: of two paths it is the likelier to be reached before the limit.
      return [end.next, end.taken];
    case 'jump':
      return [end.target];
    case 'call':
    case 'indirectCall':
      return [end.next];
    default:
      return [];
  }
}

function decodeAt(pages: readonly CodePage[], offset: number): Step | undefined {
  const half = halfwordAt(pages, offset);
  if (half === undefined) return undefined;
  const next = (half & 3) === 3 ? halfwordAt(pages, offset + 2) : 0;
  if (next === undefined) return undefined;
  const {index, word, lengthBytes} = decode(half, half | (next << 16));
  if (index < 0) return undefined;
  const instruction = INSTRUCTIONS[index];
  return isInterpreters(instruction) ? undefined : {offset, instruction, word, lengthBytes};
}

function halfwordAt(pages: readonly CodePage[], offset: number): number | undefined {
  const delta = deltaOf(offset);
  const page = pages.find((candidate) => candidate.delta === delta);
  if (page === undefined) return undefined;
  const at = offset - delta * PAGE_BYTES;
  return page.bytes[at] | (page.bytes[at + 1] << 8);
}

/** Instructions that always go on elsewhere by the hart's decision. */
function isInterpreters({statements}: Instruction): boolean {
  const [first] = statements;
  return first?.kind === 'system' && first.action !== 'csr' && first.action !== 'sfence.vma';
}

/** What a step that ends a block does; undefined for the others. */
export function endOf({offset, instruction, word, lengthBytes}: Step): BlockEnd | undefined {
  const next = offset + lengthBytes;
  const linked = ((word >>> 7) & 31) !== 0;
  const {name, format} = instruction;
  if (name === 'jal') {
    const target = offset + format.immediate(word);
    return linked ? {kind: 'call', target, next} : {kind: 'jump', target};
  }
  if (name === 'jalr') return linked ? {kind: 'indirectCall', next} : {kind: 'indirectJump'};
  if (instruction.statements.at(-1)?.kind === 'branch')
    return {kind: 'branch', taken: offset + format.immediate(word), next};
  return undefined;
}

function blockAt(start: number, steps: ReadonlyMap<number, Step>, leaders: ReadonlySet<number>): Block {
  const block: Block = {start, steps: [], end: {kind: 'leave', at: start}};
  for (let offset = start; ; ) {
    const step = steps.get(offset);
    if (step === undefined) return {...block, end: {kind: 'leave', at: offset}};
    block.steps.push(step);
    const end = endOf(step);
    if (end !== undefined) return {...block, end};
    offset += step.lengthBytes;
    if (leaders.has(offset)) return {...block, end: {kind: 'fall', next: offset}};
  }
}

function rangesOf(steps: ReadonlyMap<number, Step>): ByteRange[] {
  const ranges: ByteRange[] = [];
  for (const {offset, lengthBytes} of [...steps.values()].sort((a, b) => a.offset - b.offset)) {
    const last = ranges.at(-1);
    if (last !== undefined && offset <= last.end && deltaOf(offset) === deltaOf(last.start))
      last.end = Math.max(last.end, offset + lengthBytes);
    else ranges.push({start: offset, end: offset + lengthBytes});
  }
  // An instruction may reach into the next page.
  return ranges.flatMap(({start, end}) => {
    const boundary = (deltaOf(start) + 1) * PAGE_BYTES;
    return end <= boundary
      ? [{start, end}]
      : [
          {start, end: boundary},
          {start: boundary, end},
        ];
  });
}
