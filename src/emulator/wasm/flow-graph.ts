// A region's blocks as a graph, and what is asked of such graphs: the order of blocks, dominators, loops.

import {assert} from '../../errors.ts';
import type {Block, BlockEnd, Region} from './region.ts';

/** Beside what guest code does: `dispatch` goes to one of `entries` by the local `next`, and to `head` where it is 0. */
export type FlowEnd = BlockEnd | {kind: 'dispatch'; head: number; entries: readonly DispatchEntry[]};
/** `next`: the value that leads to `offset`; `isArrival`: the local is cleared on the way. */
export type DispatchEntry = {next: number; offset: number; isArrival: boolean};

/** `next`: what the local is set to on this way, for a dispatch. */
export type Edge = {to: FlowBlock; next?: number | undefined};

export type FlowBlock = Omit<Block, 'end'> & {
  end: FlowEnd;
  /** Where control goes within the region, by the offset that it goes to. */
  edges: Map<number, Edge>;
  /** Index in reverse postorder. */
  index: number;
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

/** The blocks of a region, linked; returns the one at the entry. */
export function linkBlocks(region: Region): FlowBlock {
  const byStart = new Map<number, FlowBlock>();
  for (const block of region.blocks.values()) byStart.set(block.start, newFlowBlock(block));
  for (const block of byStart.values()) {
    for (const start of nextStarts(block.end)) {
      const to = byStart.get(start);
      if (to !== undefined) block.edges.set(start, {to});
    }
  }
  return byStart.get(region.entry) as FlowBlock;
}

export function newFlowBlock(block: Pick<FlowBlock, 'start' | 'steps' | 'end'>): FlowBlock {
  return {
    ...block,
    edges: new Map(),
    index: -1,
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

export const isCall = ({end}: FlowBlock): boolean => end.kind === 'call' || end.kind === 'indirectCall';

export const successorsOf = (block: FlowBlock): FlowBlock[] => [...block.edges.values()].map(({to}) => to);

/** All blocks that the entry leads to in reverse postorder; sets their indices. */
export function reversePostorder(entry: FlowBlock): FlowBlock[] {
  const order: FlowBlock[] = [];
  const seen = new Set([entry]);
  const stack = [{block: entry, successors: successorsOf(entry)}];
  for (let top = stack.at(-1); top !== undefined; top = stack.at(-1)) {
    const successor = top.successors.shift();
    if (successor === undefined) {
      order.push(top.block);
      stack.pop();
    } else if (!seen.has(successor)) {
      seen.add(successor);
      stack.push({block: successor, successors: successorsOf(successor)});
    }
  }
  order.reverse();
  for (const [index, block] of order.entries()) block.index = index;
  return order;
}

/** The sets of blocks that lead to each other, by `within` only (R. Tarjan, Depth-first search and linear graph algorithms). */
export function componentsOf(
  within: ReadonlySet<FlowBlock>,
  graph: ReadonlyMap<FlowBlock, readonly FlowBlock[]>,
): Set<FlowBlock>[] {
  const components: Set<FlowBlock>[] = [];
  const numbers = new Map<FlowBlock, number>();
  const open: FlowBlock[] = [];
  const visit = (block: FlowBlock): number => {
    const number = numbers.size;
    numbers.set(block, number);
    open.push(block);
    let lowest = number;
    for (const next of graph.get(block) ?? []) {
      if (!within.has(next)) continue;
      if (!numbers.has(next)) lowest = Math.min(lowest, visit(next));
      else if (open.includes(next)) lowest = Math.min(lowest, numbers.get(next) as number);
    }
    if (lowest === number) {
      const component = new Set(open.splice(open.indexOf(block)));
      if (component.size > 1 || graph.get(block)?.includes(block) === true) components.push(component);
    }
    return lowest;
  };
  for (const block of within) if (!numbers.has(block)) visit(block);
  return components;
}

export type Structure = {
  /** By index: the indices of the blocks that lead there. */
  predecessors: readonly (readonly number[])[];
  /** By index: the index of the immediate dominator (K. Cooper, T. Harvey, K. Kennedy, A Simple, Fast Dominance Algorithm). */
  dominators: readonly number[];
};

/** Of blocks in reverse postorder. Every loop must be entered at its head only. */
export function structureOf(blocks: readonly FlowBlock[]): Structure {
  const predecessors: number[][] = blocks.map(() => []);
  for (const block of blocks) for (const next of successorsOf(block)) predecessors[next.index].push(block.index);
  const dominators: number[] = blocks.map(() => -1);
  dominators[0] = 0;
  const common = (one: number, other: number): number => {
    let [a, b] = [one, other];
    while (a !== b) {
      while (a > b) a = dominators[a];
      while (b > a) b = dominators[b];
    }
    return a;
  };
  for (let changed = true; changed; ) {
    changed = false;
    for (let index = 1; index < blocks.length; index += 1) {
      const found = predecessors[index].filter((predecessor) => dominators[predecessor] >= 0).reduce(common);
      changed ||= dominators[index] !== found;
      dominators[index] = found;
    }
  }
  for (const [index, all] of predecessors.entries())
    assert(
      all.every((predecessor) => predecessor < index || common(predecessor, index) === index),
      'a loop with two heads',
    );
  return {predecessors, dominators};
}

/** The natural loop of each block that a backward edge leads to, by its head, the outer ones first. */
export function loopsOf(blocks: readonly FlowBlock[], {predecessors}: Structure): Map<FlowBlock, Set<FlowBlock>> {
  const loops = new Map<FlowBlock, Set<FlowBlock>>();
  for (const head of blocks) {
    const open = predecessors[head.index].filter((index) => index >= head.index);
    if (open.length === 0) continue;
    const body = new Set([head]);
    for (let index = open.pop(); index !== undefined; index = open.pop()) {
      const block = blocks[index];
      if (body.has(block)) continue;
      body.add(block);
      open.push(...predecessors[index]);
    }
    loops.set(head, body);
  }
  return loops;
}

function nextStarts(end: FlowEnd): number[] {
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
