// Loops that are entered elsewhere than at their heads, which structured code cannot say. A region is often entered in the middle of
// nested loops; compilers put a loop's test behind its body and jump there at first, or thread the first round's jumps into the body.
// So that each loop has one entry:
// - a way into an innermost loop gets a copy of what is left of that round, up to the head or out of the loop;
// - a way into any other leads to a *dispatch* in front of the head, which goes on to where the local `next` says.

import {
  componentsOf,
  type DispatchEntry,
  type Edge,
  type FlowBlock,
  newFlowBlock,
  reversePostorder,
  successorsOf,
} from './flow-graph.ts';

/** A loop as it is to be. */
type Loop = {head: FlowBlock; body: ReadonlySet<FlowBlock>; parent: Loop | undefined; isInnermost: boolean};

/** Changes the graph so that each loop is entered at its head only. Returns the block to enter the region at. */
export function enterLoopsAtHeads(entry: FlowBlock): FlowBlock {
  const successors = new Map(reversePostorder(entry).map((block) => [block, successorsOf(block)]));
  const nest = new LoopNest(entry, successors);
  const router = new Router(nest, successors);
  for (const [block, next] of successors) router.route(block, next, nest.loopOf(block));
  const start = newFlowBlock({start: entry.start, steps: [], end: {kind: 'fall', next: entry.start}});
  router.route(start, [entry], undefined);
  router.addDispatches(start);
  return start;
}

/** Blocks, and where each leads to. */
type Graph = ReadonlyMap<FlowBlock, readonly FlowBlock[]>;

/** Loops within loops: components of the graph, then what remains of each without its head. */
class LoopNest {
  readonly #entry: FlowBlock;
  readonly #graph: Graph;
  readonly #innermost = new Map<FlowBlock, Loop>();

  constructor(entry: FlowBlock, graph: Graph) {
    this.#entry = entry;
    this.#graph = graph;
    this.#find(new Set(graph.keys()), undefined);
    const around = this.loopOf(entry);
    // The outermost loop may as well begin where the region does.
    if (around !== undefined && around.parent === undefined && around.head !== entry) {
      for (const block of around.body) this.#innermost.delete(block);
      this.#add(around.body, entry, undefined);
    }
  }

  /** The innermost loop that a block is in. */
  loopOf(block: FlowBlock): Loop | undefined {
    return this.#innermost.get(block);
  }

  #find(blocks: ReadonlySet<FlowBlock>, parent: Loop | undefined): void {
    for (const body of componentsOf(blocks, this.#graph)) this.#add(body, this.#headOf(body), parent);
  }

  #add(body: ReadonlySet<FlowBlock>, head: FlowBlock, parent: Loop | undefined): void {
    const loop: Loop = {head, body, parent, isInnermost: true};
    if (parent !== undefined) parent.isInnermost = false;
    for (const block of body) this.#innermost.set(block, loop);
    const rest = new Set(body);
    rest.delete(head);
    this.#find(rest, loop);
  }

  /** Where the loop is entered; of several places the first in memory, for there compilers put what comes first. */
  #headOf(body: ReadonlySet<FlowBlock>): FlowBlock {
    const entries = new Set<FlowBlock>();
    for (const [block, successors] of this.#graph) {
      if (body.has(block)) continue;
      for (const next of successors) if (body.has(next)) entries.add(next);
    }
    // The region's own entry is as good as any when there is no other.
    if (entries.size > 1) entries.delete(this.#entry);
    const candidates = [...(entries.size > 0 ? entries : body)];
    return candidates.reduce((first, block) => (block.start < first.start ? block : first));
  }
}

class Router {
  readonly #nest: LoopNest;
  readonly #graph: Graph;
  /** By the loop that they are in, and what they are copies of. */
  readonly #copies = new Map<Loop | undefined, Map<FlowBlock, FlowBlock>>();
  /** By what dispatches lead to: its value of `next`. */
  readonly #numbers = new Map<FlowBlock, number>();
  /** By loop: what its dispatch leads to, each with the inner loop whose dispatch is next, if there is one. */
  readonly #targets = new Map<Loop, Map<FlowBlock, Loop | undefined>>();

  constructor(nest: LoopNest, graph: Graph) {
    this.#nest = nest;
    this.#graph = graph;
  }

  /** Sets a block's edges to where it leads; `inside`: the loop that the block is in. */
  route(block: FlowBlock, successors: readonly FlowBlock[], inside: Loop | undefined): void {
    block.edges = new Map(successors.map((target) => [target.start, this.#edge(target, inside)]));
  }

  #edge(target: FlowBlock, inside: Loop | undefined): Edge {
    const entered = this.#entered(target, inside);
    const [innermost] = entered;
    if (innermost === undefined || (entered.length === 1 && innermost.head === target)) return {to: target};
    const outermost = entered[entered.length - 1];
    if (innermost.isInnermost && innermost.head !== target) return {to: this.#copyOf(target, outermost.parent)};
    let inner: Loop | undefined;
    for (const loop of entered) {
      if (loop.head === target) continue;
      const targets = this.#targets.get(loop) ?? new Map<FlowBlock, Loop | undefined>();
      this.#targets.set(loop, targets.set(target, inner));
      inner = loop;
    }
    if (!this.#numbers.has(target)) this.#numbers.set(target, this.#numbers.size + 1);
    return {to: outermost.head, next: this.#numbers.get(target)};
  }

  /** The loops around the target that are not around what is inside this one, the innermost first. */
  #entered(target: FlowBlock, inside: Loop | undefined): Loop[] {
    const around = new Set<Loop>();
    for (let loop = inside; loop !== undefined; loop = loop.parent) around.add(loop);
    const entered: Loop[] = [];
    for (let loop = this.#nest.loopOf(target); loop !== undefined && !around.has(loop); loop = loop.parent)
      entered.push(loop);
    return entered;
  }

  #copyOf(block: FlowBlock, inside: Loop | undefined): FlowBlock {
    const copies = this.#copies.get(inside) ?? new Map<FlowBlock, FlowBlock>();
    this.#copies.set(inside, copies);
    const known = copies.get(block);
    if (known !== undefined) return known;
    const copy = newFlowBlock(block);
    copies.set(block, copy);
    this.route(copy, this.#graph.get(block) ?? [], inside);
    return copy;
  }

  /** In front of the heads of loops that are entered past them. */
  addDispatches(start: FlowBlock): void {
    const dispatches = new Map<FlowBlock, FlowBlock>();
    for (const [{head}, targets] of this.#targets) {
      const entries: DispatchEntry[] = [];
      const edges = new Map<number, Edge>([[head.start, {to: head}]]);
      for (const [target, inner] of targets) {
        const next = this.#numbers.get(target) as number;
        entries.push({next, offset: target.start, isArrival: inner === undefined});
        edges.set(target.start, {to: inner?.head ?? target});
      }
      const dispatch = newFlowBlock({start: head.start, steps: [], end: {kind: 'dispatch', head: head.start, entries}});
      dispatch.edges = edges;
      dispatches.set(head, dispatch);
    }
    for (const block of [...reversePostorder(start), ...dispatches.values()]) {
      for (const edge of block.edges.values()) {
        const dispatch = dispatches.get(edge.to);
        if (dispatch !== undefined && dispatch !== block) edge.to = dispatch;
      }
    }
  }
}
