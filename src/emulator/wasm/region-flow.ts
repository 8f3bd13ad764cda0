// A region's control flow: its blocks in reverse postorder with dominators, loop heads and joins, from which structured code
// follows (N. Ramsey, Beyond Relooper, ICFP 2022); which registers are live and which may be ahead of memory at each block;
// and how many steps each block may take before the steps left are looked at again.

import type {Block, Region} from './region.ts';
import {registersOf} from './register-use.ts';

export type FlowBlock = Block & {
  /** Index in reverse postorder. */
  index: number;
  successors: FlowBlock[];
  /** Entered by a backward edge: the steps left are checked here. */
  isLoopHead: boolean;
  /** Entered by two forward edges or more. */
  isJoin: boolean;
  /** Blocks that it immediately dominates. */
  dominated: FlowBlock[];
  /** Steps on the longest path from here to the next check. */
  longestPath: number;
  /**
   * The head of the innermost loop that it is in, if no call is in that loop. There registers are written back late; everywhere else
   * memory is kept up to date, so that leaving costs nothing: most code runs once for each time that it is entered.
   */
  loop: FlowBlock | undefined;
  /** Registers that may hold values which memory does not, at the start. */
  dirtyX: number;
  dirtyF: number;
  /** Registers whose locals must be right at the start. */
  liveX: number;
  liveF: number;
};

export type Flow = {blocks: readonly FlowBlock[]; byStart: ReadonlyMap<number, FlowBlock>; isReducible: boolean};

export function analyse(region: Region): Flow {
  const byStart = new Map<number, FlowBlock>();
  for (const block of region.blocks.values()) byStart.set(block.start, newFlowBlock(block));
  for (const block of byStart.values()) {
    for (const start of nextStarts(block)) {
      const successor = byStart.get(start);
      if (successor !== undefined) block.successors.push(successor);
    }
  }
  const blocks = reversePostorder(byStart.get(region.entry) as FlowBlock);
  const reached = new Map(blocks.map((block) => [block.start, block]));
  const isReducible = findStructure(blocks);
  if (isReducible) findLoops(blocks);
  findRegisters(blocks);
  for (const block of [...blocks].reverse()) block.longestPath = block.steps.length + longestSuccessor(block);
  return {blocks, byStart: reached, isReducible};
}

export const isCall = ({end}: Block): boolean => end.kind === 'call' || end.kind === 'indirectCall';

function newFlowBlock(block: Block): FlowBlock {
  return {
    ...block,
    index: -1,
    successors: [],
    isLoopHead: false,
    isJoin: false,
    dominated: [],
    longestPath: 0,
    loop: undefined,
    dirtyX: 0,
    dirtyF: 0,
    liveX: 0,
    liveF: 0,
  };
}

function nextStarts({end}: Block): number[] {
  switch (end.kind) {
    case 'fall':
    case 'call':
    case 'indirectCall':
      return [end.next];
    case 'branch':
      return [end.taken, end.next];
    case 'jump':
      return [end.target];
    default:
      return [];
  }
}

/** After a call the steps left are checked anyway, and at loop heads. */
function longestSuccessor(block: FlowBlock): number {
  if (isCall(block)) return 0;
  const paths = block.successors.filter((next) => !next.isLoopHead).map((next) => next.longestPath);
  return Math.max(0, ...paths);
}

function reversePostorder(entry: FlowBlock): FlowBlock[] {
  const order: FlowBlock[] = [];
  const seen = new Set([entry]);
  const stack = [{block: entry, next: 0}];
  for (let top = stack.at(-1); top !== undefined; top = stack.at(-1)) {
    const successor = top.block.successors[top.next];
    top.next += 1;
    if (successor === undefined) {
      order.push(top.block);
      stack.pop();
    } else if (!seen.has(successor)) {
      seen.add(successor);
      stack.push({block: successor, next: 0});
    }
  }
  order.reverse();
  for (const [index, block] of order.entries()) block.index = index;
  return order;
}

/** Finds loop heads, joins and dominators (Cooper, Harvey, Kennedy). Returns whether every loop is entered at its head only. */
function findStructure(blocks: readonly FlowBlock[]): boolean {
  const predecessors: number[][] = blocks.map(() => []);
  for (const block of blocks) for (const next of block.successors) predecessors[next.index].push(block.index);
  const dominator: number[] = blocks.map(() => -1);
  dominator[0] = 0;
  const common = (one: number, other: number): number => {
    let [a, b] = [one, other];
    while (a !== b) {
      while (a > b) a = dominator[a];
      while (b > a) b = dominator[b];
    }
    return a;
  };
  for (let changed = true; changed; ) {
    changed = false;
    for (let index = 1; index < blocks.length; index += 1) {
      const known = predecessors[index].filter((predecessor) => dominator[predecessor] >= 0);
      const found = known.reduce(common);
      if (dominator[index] !== found) {
        dominator[index] = found;
        changed = true;
      }
    }
  }
  let isReducible = true;
  for (const block of blocks) {
    const {index} = block;
    const backward = predecessors[index].filter((predecessor) => predecessor >= index);
    block.isLoopHead = backward.length > 0;
    block.isJoin = predecessors[index].length - backward.length >= 2;
    if (backward.some((predecessor) => common(predecessor, index) !== index)) isReducible = false;
    if (index > 0) blocks[dominator[index]].dominated.push(block);
  }
  return isReducible;
}

/** Marks the blocks of innermost loops without calls. */
function findLoops(blocks: readonly FlowBlock[]): void {
  const predecessors = new Map<FlowBlock, FlowBlock[]>(blocks.map((block) => [block, []]));
  for (const block of blocks) for (const next of block.successors) predecessors.get(next)?.push(block);
  for (const head of blocks) {
    if (!head.isLoopHead) continue;
    const body = new Set([head]);
    const open = (predecessors.get(head) ?? []).filter((block) => block.index >= head.index);
    for (let block = open.pop(); block !== undefined; block = open.pop()) {
      if (body.has(block)) continue;
      body.add(block);
      open.push(...(predecessors.get(block) ?? []));
    }
    const isInnermost = ![...body].some((block) => block !== head && block.isLoopHead);
    if (isInnermost && ![...body].some(isCall)) for (const block of body) block.loop = head;
  }
}

type Effects = {usesX: number; usesF: number; definesX: number; definesF: number};

function effectsOf(block: FlowBlock): Effects {
  const effects = {usesX: 0, usesF: 0, definesX: 0, definesF: 0};
  for (const step of block.steps) {
    const {readsX, readsF, writesX, writesF} = registersOf(step);
    effects.usesX |= readsX & ~effects.definesX;
    effects.usesF |= readsF & ~effects.definesF;
    effects.definesX |= writesX;
    effects.definesF |= writesF;
  }
  return effects;
}

/**
 * Any block may be left early, with every register in memory. So what is ahead of memory on some path counts as used: on the
 * other paths its local must hold what memory holds. Calls find everything in memory, and what follows them loads anew.
 */
function findRegisters(blocks: readonly FlowBlock[]): void {
  const effects = blocks.map(effectsOf);
  for (let changed = true; changed; ) {
    changed = false;
    for (const block of blocks) {
      if (block.loop === undefined) continue;
      const {definesX, definesF} = effects[block.index];
      for (const next of block.successors) {
        if (next.loop !== block.loop) continue;
        const dirtyX = next.dirtyX | block.dirtyX | definesX;
        const dirtyF = next.dirtyF | block.dirtyF | definesF;
        changed ||= dirtyX !== next.dirtyX || dirtyF !== next.dirtyF;
        next.dirtyX = dirtyX;
        next.dirtyF = dirtyF;
      }
    }
  }
  for (let changed = true; changed; ) {
    changed = false;
    for (const block of [...blocks].reverse()) {
      const {usesX, usesF, definesX, definesF} = effects[block.index];
      let [liveX, liveF] = [0, 0];
      if (!isCall(block)) {
        for (const next of block.successors) {
          liveX |= next.liveX;
          liveF |= next.liveF;
        }
      }
      liveX = usesX | block.dirtyX | (liveX & ~definesX);
      liveF = usesF | block.dirtyF | (liveF & ~definesF);
      changed ||= liveX !== block.liveX || liveF !== block.liveF;
      block.liveX = liveX;
      block.liveF = liveF;
    }
  }
}
