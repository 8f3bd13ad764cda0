// A region's control flow: its blocks in reverse postorder with dominators, loop heads and joins, from which structured code
// follows (N. Ramsey, Beyond Relooper, ICFP 2022); which registers are live and which may be ahead of memory at each block;
// and how many steps each block may take before the steps left are looked at again.

import {
  type FlowBlock,
  isCall,
  linkBlocks,
  loopsOf,
  reversePostorder,
  type Structure,
  structureOf,
  successorsOf,
} from './flow-graph.ts';
import type {Region} from './region.ts';
import {enterLoopsAtHeads} from './region-entry.ts';
import {registersOf} from './register-use.ts';

/** The blocks in reverse postorder: the first is where the region is entered. */
export function analyse(region: Region): FlowBlock[] {
  const blocks = reversePostorder(enterLoopsAtHeads(linkBlocks(region)));
  const structure = structureOf(blocks);
  markStructure(blocks, structure);
  markLoops(blocks, structure);
  findRegisters(blocks);
  for (const block of [...blocks].reverse()) block.longestPath = block.steps.length + longestSuccessor(block);
  return blocks;
}

/** After a call the steps left are checked anyway, and at loop heads. */
function longestSuccessor(block: FlowBlock): number {
  if (isCall(block)) return 0;
  const paths = successorsOf(block)
    .filter((next) => !next.isLoopHead)
    .map((next) => next.longestPath);
  return Math.max(0, ...paths);
}

function markStructure(blocks: readonly FlowBlock[], {predecessors, dominators}: Structure): void {
  for (const block of blocks) {
    const {index} = block;
    const backward = predecessors[index].filter((predecessor) => predecessor >= index);
    block.isLoopHead = backward.length > 0;
    block.isJoin = predecessors[index].length - backward.length >= 2;
    if (index > 0) blocks[dominators[index]].dominated.push(block);
  }
}

/** Marks the blocks of innermost loops without calls. */
function markLoops(blocks: readonly FlowBlock[], structure: Structure): void {
  for (const [head, body] of loopsOf(blocks, structure)) {
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
 * Within an innermost loop a register is ahead of memory from one block to the next if it is used there before it is set again: what
 * else was set is written back at the block's end. Any block may be left early, with every register in memory. So what is ahead of
 * memory on some path counts as used: on the other paths its local must hold what memory holds. Calls find everything in memory, and
 * what follows them loads anew.
 */
function findRegisters(blocks: readonly FlowBlock[]): void {
  const effects = blocks.map(effectsOf);
  const wanted = blocks.map(({index}) => ({x: effects[index].usesX, f: effects[index].usesF}));
  const inLoop = (block: FlowBlock): FlowBlock[] =>
    block.loop === undefined ? [] : successorsOf(block).filter((next) => next.loop === block.loop);
  for (let changed = true; changed; ) {
    changed = false;
    for (const block of [...blocks].reverse()) {
      const own = wanted[block.index];
      const {definesX, definesF} = effects[block.index];
      for (const {index} of inLoop(block)) {
        const x = own.x | (wanted[index].x & ~definesX);
        const f = own.f | (wanted[index].f & ~definesF);
        changed ||= x !== own.x || f !== own.f;
        own.x = x;
        own.f = f;
      }
    }
  }
  for (let changed = true; changed; ) {
    changed = false;
    for (const block of blocks) {
      const {definesX, definesF} = effects[block.index];
      for (const next of inLoop(block)) {
        const dirtyX = next.dirtyX | ((block.dirtyX | definesX) & wanted[next.index].x);
        const dirtyF = next.dirtyF | ((block.dirtyF | definesF) & wanted[next.index].f);
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
        for (const next of successorsOf(block)) {
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
