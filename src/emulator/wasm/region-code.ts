// Generates the function of a region: its blocks in structured control flow, the check of the steps left at its entry, at loop
// heads and after calls, and its ends: jumps and calls that look up translated code where the guest goes, or return to the
// interpreter.

import type {Inline} from '../isa/softfloat/inline.ts';
import * as layout from '../layout.ts';
import {PAGE_BYTES} from '../paged-memory.ts';
import type {CodeWriter, Label} from './encoder.ts';
import type {FloatUse} from './float-state.ts';
import type {FlowBlock} from './flow-graph.ts';
import {PAGE_MASK} from './guest-access.ts';
import {KnownPages} from './known-pages.ts';
import {type CodePage, deltaOf, endOf, type Region, type Step} from './region.ts';
import {analyse} from './region-flow.ts';
import {type Dirty, RegionTarget} from './region-target.ts';
import {traitsOf} from './traits.ts';

const LEFT = 0;
const DEPTH = 1;

export type RegionFunction = {localTypes: RegionTarget['localTypes']; code: CodeWriter};

export type RegionOptions = {
  /** Index of REGION_TYPE in the module, and of the function that is generated. */
  regionType: number;
  ownIndex: number;
  /** Indices of what may be called. */
  functions: ReadonlyMap<string, number>;
  /** What stands in place of calls. */
  inline: ReadonlyMap<string, Inline>;
  pages: readonly CodePage[];
};

export function generateRegion(region: Region, options: RegionOptions): RegionFunction {
  const generator = new RegionGenerator(analyse(region), options);
  generator.generate();
  return {localTypes: generator.target.localTypes, code: generator.target.code};
}

class RegionGenerator {
  readonly target: RegionTarget;
  /** In reverse postorder. */
  readonly #blocks: readonly FlowBlock[];
  readonly #pages: KnownPages;
  readonly #regionType: number;
  readonly #ownIndex: number;
  /** Ends, with local pc set and registers in memory: return to the interpreter; go on in translated code if there is some. */
  #exit: Label = {depth: 0};
  #goOn: Label = {depth: 0};
  /** Where the pages' decoded forms are, by their distance from the entry's page. */
  readonly #decoded: ReadonlyMap<number, number>;
  readonly #loops = new Map<FlowBlock, Label>();
  readonly #joins = new Map<FlowBlock, Label>();

  constructor(blocks: readonly FlowBlock[], options: RegionOptions) {
    this.#blocks = blocks;
    this.#pages = new KnownPages(blocks);
    this.#decoded = new Map(options.pages.map(({delta, decoded}) => [delta, decoded]));
    this.#regionType = options.regionType;
    this.#ownIndex = options.ownIndex;
    this.target = new RegionTarget({...options, floatUse: floatUseOf(blocks), pages: this.#pages});
  }

  get #code(): CodeWriter {
    return this.target.code;
  }

  generate(): void {
    const {target} = this;
    const [entry] = this.#blocks;
    const code = this.#code;
    // What is at the end is shared by all ways to get there.
    code.block((interrupted) => {
      target.interrupted = interrupted;
      code.block((exit) => {
        this.#exit = exit;
        code.block((goOn) => {
          this.#goOn = goOn;
          if (entry.longestPath > 0) this.#checkSteps(entry, {x: 0, f: 0});
          target.loadDataCache();
          target.reload({x: entry.liveX, f: entry.liveF});
          target.loadFloatState();
          this.#tree(entry);
          code.unreachable();
        });
        this.#tailCall();
      });
      target.pushLeft();
      code.localGet(this.#pc).return();
    });
    target.leaveFromMemory();
  }

  // Structure

  /** A block with all that it dominates. */
  #tree(block: FlowBlock): void {
    const joins = block.dominated.filter((child) => child.isJoin).sort((a, b) => b.index - a.index);
    if (!block.isLoopHead) {
      this.#within(block, joins);
      return;
    }
    this.#code.loop((start) => {
      this.#loops.set(block, start);
      this.#within(block, joins);
    });
  }

  /** Joins, the last first, each behind a WebAssembly block that ends where the join begins. */
  #within(block: FlowBlock, joins: readonly FlowBlock[]): void {
    const [join, ...rest] = joins;
    if (join === undefined) {
      this.#body(block);
      return;
    }
    this.#code.block((end) => {
      this.#joins.set(join, end);
      this.#within(block, rest);
    });
    this.#tree(join);
  }

  /** Goes on at an offset: within the region if it is there. */
  #goTo(from: FlowBlock, offset: number): void {
    const edge = from.edges.get(offset);
    if (edge === undefined) return this.#exitTo(offset);
    const next = edge.to;
    const {dirty} = this.target;
    this.target.spill({x: dirty.x & ~next.dirtyX, f: dirty.f & ~next.dirtyF});
    const delta = deltaOf(offset);
    // Who sets `next` has checked the page that it stands for.
    if (delta !== 0 && delta !== deltaOf(from.start) && from.end.kind !== 'dispatch') this.#checkPage(delta, offset);
    this.target.forgetPages(this.#pages.unknownBetween(from, next));
    if (edge.next !== undefined) this.#code.i32Const(edge.next).localSet(this.#next);
    const label = next.index <= from.index ? this.#loops.get(next) : next.isJoin ? this.#joins.get(next) : undefined;
    if (label !== undefined) this.#code.branch(label);
    else this.#tree(next);
  }

  // Blocks

  #body(block: FlowBlock): void {
    const {target} = this;
    const dirty = {x: block.dirtyX, f: block.dirtyF};
    if (block.isLoopHead) this.#checkSteps(block, dirty);
    target.startBlock(block);
    const count = block.steps.length;
    if (count > 0) this.#code.localGet(LEFT).i32Const(count).op('i32.sub').localSet(LEFT);
    const plain = count > 0 && endOf(block.steps[count - 1]) !== undefined ? block.steps.slice(0, -1) : block.steps;
    for (const [index, step] of plain.entries()) this.#step(step, count - index);
    this.#end(block);
  }

  #step(step: Step, ahead: number): void {
    const {target} = this;
    const nextDelta = deltaOf(step.offset + step.lengthBytes - 1);
    if (nextDelta !== 0 && nextDelta !== deltaOf(step.offset)) {
      this.#pushIsPage(nextDelta);
      this.#code
        .op('i32.eqz')
        .hint('unlikely')
        .if(() => target.leaveBefore(step, ahead));
    }
    target.lowerStep(step, ahead);
  }

  /** Leaves before the block at `offset` if its page is not the one that was translated. */
  #checkPage(delta: number, offset: number): void {
    const {target} = this;
    this.#pushIsPage(delta);
    this.#code
      .op('i32.eqz')
      .hint('unlikely')
      .if(() => {
        target.spill(target.dirty);
        this.#exitAt(offset);
      });
  }

  /** Pushes whether the virtual page at this distance is still known to be the page of code that was translated. */
  #pushIsPage(delta: number): void {
    const code = this.#code;
    const line = this.target.local('line', 'i32');
    const address = delta * PAGE_BYTES;
    code.i32Const(0).memory('i32.load', layout.FETCH_CACHE);
    this.target.pushPc(address);
    code.op('i32.wrap_i64').i32Const(8).op('i32.shr_u');
    code
      .i32Const((layout.TLB_ENTRIES - 1) << 4)
      .op('i32.and')
      .op('i32.add')
      .localTee(line)
      .memory('i64.load');
    this.target.pushPc(address);
    code.op('i64.eq').localGet(line).memory('i32.load', 8);
    code
      .i32Const(this.#decoded.get(delta) ?? -1)
      .op('i32.eq')
      .op('i32.and');
  }

  #end(block: FlowBlock): void {
    const {target} = this;
    const {end} = block;
    const code = this.#code;
    target.endBlock();
    const goTo = (offset: number): void => {
      const dirty = target.dirty;
      this.#goTo(block, offset);
      target.dirty = dirty;
    };
    switch (end.kind) {
      case 'fall':
        goTo(end.next);
        return;
      case 'leave':
        target.spill(target.dirty);
        this.#exitAt(end.at);
        return;
      case 'dispatch':
        for (const {next, offset, isArrival} of end.entries) {
          code.localGet(this.#next).i32Const(next).op('i32.eq');
          code.hint('unlikely').if(() => {
            if (isArrival) code.i32Const(0).localSet(this.#next);
            goTo(offset);
          });
        }
        goTo(end.head);
        return;
      case 'branch':
        target.onBranch = (condition) => {
          condition();
          code.if(() => goTo(end.taken));
        };
        this.#lastStep(block);
        goTo(end.next);
        return;
      case 'jump':
        target.onBranch = () => {};
        this.#lastStep(block);
        goTo(end.target);
        return;
      case 'call':
        target.onBranch = () => {};
        this.#lastStep(block);
        target.pushPc(end.target);
        code.localSet(this.#pc);
        this.#call(block, end.next, end.target);
        return;
      case 'indirectCall':
        this.#lastStep(block);
        this.#call(block, end.next, undefined);
        return;
      case 'indirectJump':
        this.#lastStep(block);
        target.spill(target.dirty);
        code.branch(isReturn(block) ? this.#exit : this.#goOn);
        return;
    }
  }

  #lastStep(block: FlowBlock): void {
    const {target} = this;
    target.onJump = (address) => {
      address();
      this.#code.localSet(this.#pc);
    };
    this.#step(block.steps[block.steps.length - 1], 1);
  }

  /** Where a dispatch goes on. */
  get #next(): number {
    return this.target.local('next', 'i32');
  }

  get #pc(): number {
    return this.target.local('pc', 'i64');
  }

  /** Returns to the interpreter at the block's start, if its longest path does not fit into the steps left. */
  #checkSteps(block: FlowBlock, dirty: Dirty): void {
    const {target} = this;
    this.#code
      .localGet(LEFT)
      .i32Const(block.longestPath)
      .op('i32.lt_s')
      .hint('unlikely')
      .if(() => {
        target.spill(dirty);
        const {end} = block;
        for (const {next, offset} of end.kind === 'dispatch' ? end.entries : []) {
          this.#code.localGet(this.#next).i32Const(next).op('i32.eq');
          this.#code.if(() => this.#exitAt(offset));
        }
        this.#exitAt(block.start);
      });
  }

  // Ends

  /** To a constant address that is no block of this region. */
  #exitTo(offset: number): void {
    const {target} = this;
    target.spill(target.dirty);
    target.pushPc(offset);
    this.#code.localSet(this.#pc).branch(this.#goOn);
  }

  /** Returns to whoever has called, to go on at this offset; registers are in memory. */
  #exitAt(offset: number): void {
    this.target.pushPc(offset);
    this.#code.localSet(this.#pc).branch(this.#exit);
  }

  /** Goes on at local pc in translated code, if there is some; registers are in memory. */
  #tailCall(): void {
    const code = this.#code;
    this.#lookUp(() => {
      this.target.pushLeft();
      code.localGet(DEPTH);
      this.#pushPage();
      code.localGet(this.#entry).returnCallIndirect(this.#regionType);
    });
  }

  /** Calls the code at local pc, the offset `callee` if it is known; then goes on at `next`, if the callee came back there. */
  #call(block: FlowBlock, next: number, callee: number | undefined): void {
    const {target} = this;
    const code = this.#code;
    target.spill(target.dirty);
    target.dirty = {x: 0, f: 0};
    const result = this.target.local('result', 'i64');
    code.block((called) => {
      const callThen = (pushPage: () => void, call: () => void) => (): void => {
        target.pushLeft();
        code.localGet(DEPTH).i32Const(1).op('i32.sub');
        pushPage();
        call();
        code.localSet(result).localSet(LEFT).branch(called);
      };
      const indirect = (): void => void code.localGet(this.#entry).callIndirect(this.#regionType);
      code
        .localGet(DEPTH)
        .hint('likely')
        .if(() => {
          if (callee !== undefined && callee === this.#blocks[0].start)
            callThen(
              () => target.pushPc(0),
              () => void code.call(this.#ownIndex),
            )();
          else if (callee !== undefined && deltaOf(callee) === 0)
            this.#lookUpInPage(
              callee,
              callThen(() => target.pushPc(0), indirect),
            );
          else this.#lookUp(callThen(() => this.#pushPage(), indirect));
        });
      code.branch(this.#exit);
    });
    code.localGet(result).localTee(this.#pc);
    target.pushPc(next);
    code.op('i64.ne').hint('unlikely').branchIf(this.#exit);
    const follower = block.edges.get(next)?.to;
    if (follower !== undefined) {
      target.loadDataCache();
      if (!follower.isLoopHead) this.#checkSteps(follower, {x: 0, f: 0});
      target.reload({x: follower.liveX, f: follower.liveF});
      target.loadFloatState();
    }
    this.#goTo(block, next);
  }

  /** Finds translated code at an offset of the entry's page: while this region runs, that is where its decoded page is. */
  #lookUpInPage(offset: number, then: () => void): void {
    const code = this.#code;
    const entry = (this.#decoded.get(0) ?? 0) + layout.ENTRIES + (offset >> 1) * layout.ENTRY_BYTES;
    code.i32Const(0).memory('i32.load', entry).localTee(this.#entry).i32Const(0).op('i32.gt_s');
    code.hint('likely').if(then);
  }

  /** Finds translated code at local pc, on the entry's page or by the fetch cache; `then` has its table index in local entry, and must not fall through. */
  #lookUp(then: () => void): void {
    const code = this.#code;
    const pc = this.#pc;
    const line = this.target.local('line', 'i32');
    /** Pushes twice the offset in the page: an entry takes 4 bytes for each halfword. */
    const pushOffset = (): void =>
      void code.localGet(pc).op('i32.wrap_i64').i32Const(0xffe).op('i32.and').i32Const(1).op('i32.shl');
    code.block((notFound) => {
      code.block((found) => {
        code.block((elsewhere) => {
          code.localGet(pc);
          this.target.pushPc(0);
          code.op('i64.xor').i64Const(PAGE_MASK).op('i64.and').i64Const(0n).op('i64.ne').branchIf(elsewhere);
          pushOffset();
          code
            .memory('i32.load', (this.#decoded.get(0) ?? 0) + layout.ENTRIES)
            .localSet(this.#entry)
            .branch(found);
        });
        code.i32Const(0).memory('i32.load', layout.FETCH_CACHE);
        code.localGet(pc).op('i32.wrap_i64').i32Const(8).op('i32.shr_u');
        code
          .i32Const((layout.TLB_ENTRIES - 1) << 4)
          .op('i32.and')
          .op('i32.add')
          .localTee(line)
          .memory('i64.load');
        this.#pushPage();
        code.op('i64.ne').hint('unlikely').branchIf(notFound);
        code.localGet(line).memory('i32.load', 8);
        pushOffset();
        code.op('i32.add').memory('i32.load', layout.ENTRIES).localSet(this.#entry);
      });
      code.localGet(this.#entry).i32Const(0).op('i32.gt_s').if(then);
    });
  }

  #pushPage(): void {
    this.#code.localGet(this.#pc).i64Const(PAGE_MASK).op('i64.and');
  }

  get #entry(): number {
    return this.target.local('entry', 'i32');
  }
}

/** jalr x0 by a link register (Unprivileged ISA, table 2.1). */
function isReturn(block: FlowBlock): boolean {
  const rs1 = (block.steps[block.steps.length - 1].word >>> 15) & 31;
  return rs1 === 1 || rs1 === 5;
}

function floatUseOf(blocks: readonly FlowBlock[]): FloatUse {
  const use = {any: false, f32: false, f64: false};
  for (const {steps} of blocks) {
    for (const {instruction} of steps) {
      const {usesFloatingPoint, callees} = traitsOf(instruction);
      use.any ||= usesFloatingPoint;
      for (const type of ['f32', 'f64'] as const) use[type] ||= [...callees].some((name) => name.startsWith(type));
    }
  }
  return use;
}
