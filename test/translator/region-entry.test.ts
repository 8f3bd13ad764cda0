// The graph of a region after its loops have got one entry each: it leads along the same blocks. Random graphs, random walks.

import assert from 'node:assert/strict';
import {
  type FlowBlock,
  newFlowBlock,
  reversePostorder,
  structureOf,
  successorsOf,
} from '../../src/emulator/wasm/flow-graph.ts';
import {enterLoopsAtHeads} from '../../src/emulator/wasm/region-entry.ts';
import {Random} from '../differential/random.ts';

const FIRST_SEED = Number(process.env.FTVM_SEED ?? 1);
const SEEDS = 2000;
const WALK = 60;

describe(`translator: loops with one entry (seeds ${FIRST_SEED} to ${FIRST_SEED + SEEDS - 1})`, () => {
  it('every walk leads along the same blocks', () => {
    let dispatches = 0;
    for (let seed = FIRST_SEED; seed < FIRST_SEED + SEEDS; seed += 1) {
      const random = new Random(seed);
      const [given] = randomGraph(random);
      const plain = new Map(reversePostorder(given).map((block) => [block.start, successorsOf(block)]));
      const starts = new Map([...plain].map(([start, next]) => [start, next.map((block) => block.start)]));
      const entry = enterLoopsAtHeads(given);
      // It asserts that each loop has one head.
      structureOf(reversePostorder(entry));
      for (let walk = 0; walk < 10; walk += 1) {
        const walker = new Walker(entry);
        assert.equal(walker.at.start, given.start, `seed ${seed}`);
        for (let step = 0; step < WALK; step += 1) {
          const next = starts.get(walker.at.start) ?? [];
          if (next.length === 0) break;
          walker.go(random.pick(next));
        }
        dispatches += walker.dispatches;
      }
    }
    assert.ok(dispatches > 0, 'no loop was entered through a dispatch');
  });
});

/** Up to twelve blocks, some of which nothing leads to. */
function randomGraph(random: Random): FlowBlock[] {
  const count = random.between(1, 12);
  const blocks = Array.from({length: count}, (_, index) =>
    newFlowBlock({start: index * 4, steps: [], end: {kind: 'leave', at: index * 4}}),
  );
  const [entry] = blocks.splice(random.below(count), 1);
  blocks.unshift(entry);
  for (const block of blocks) {
    for (let edge = random.below(3); edge > 0; edge -= 1) {
      const to = random.pick(blocks);
      block.edges.set(to.start, {to});
    }
  }
  return blocks;
}

/** Follows edges and dispatches, as generated code does. */
class Walker {
  at: FlowBlock;
  dispatches = 0;
  #next = 0;

  constructor(entry: FlowBlock) {
    this.at = entry;
    // The block in front of everything has no steps.
    this.go(entry.start);
  }

  go(offset: number): void {
    const edge = this.at.edges.get(offset);
    assert.ok(edge !== undefined, `no way from ${this.at.start} to ${offset}`);
    if (edge.next !== undefined) this.#next = edge.next;
    this.at = edge.to;
    const {end} = this.at;
    if (end.kind === 'dispatch') {
      this.dispatches += 1;
      const chosen = end.entries.find(({next}) => next === this.#next);
      assert.ok(chosen !== undefined || this.#next === 0, 'a dispatch that does not know where to go');
      if (chosen?.isArrival === true) this.#next = 0;
      this.go(chosen?.offset ?? end.head);
      return;
    }
    assert.equal(this.#next, 0, 'a way that was not gone to its end');
    assert.equal(this.at.start, offset);
  }
}
