// Which accesses to guest memory are likely to hit a page that was found just before: through the same base register, which was not set
// since, or only moved on by a constant or a stride. Translated code keeps, by base register, the page found last and its place in
// host memory in locals, and looks there first: any access may, for it goes the whole way when its page is another. But what is kept is
// true only as long as nothing but translated code of this region has run: behind calls and slow paths it is forgotten.

import {type FlowBlock, isCall, successorsOf} from './flow-graph.ts';
import type {Step} from './region.ts';
import {registersOf} from './register-use.ts';
import {traitsOf} from './traits.ts';

/** Of an access: `page.KEY` and `place.KEY` take what it finds. `isKnown`: look there first. `kept`: all keys that hold something. */
export type PagePlan = {key: string; isKnown: boolean; kept: readonly string[]};

/** Bit n stands for register n as a base. */
type Known = {read: number; write: number};

const NOTHING: Known = {read: 0, write: 0};

export class KnownPages {
  readonly #atStart: Known[];
  readonly #atEnd: Known[];
  /** By the head of an innermost loop: the bases that it only moves on. There the first round finds what the others use. */
  readonly #steady = new Map<FlowBlock, Known>();
  /** Copies of blocks have the same steps. */
  readonly #plans = new Map<FlowBlock, ReadonlyMap<Step, PagePlan>>();

  constructor(blocks: readonly FlowBlock[]) {
    for (const block of blocks) if (block.loop === block) this.#steady.set(block, steadyBases(blocks, block));
    this.#atStart = blocks.map(({index}) => (index === 0 ? NOTHING : {read: -1, write: -1}));
    this.#atEnd = blocks.map(() => NOTHING);
    for (let changed = true; changed; ) {
      changed = false;
      for (const block of blocks) {
        const end = knownBehind(block, this.#atStart[block.index]);
        this.#atEnd[block.index] = end;
        for (const next of successorsOf(block)) {
          const known = this.#atStart[next.index];
          const anyway = this.#foundInRounds(block, next);
          const read = known.read & (end.read | anyway.read);
          const write = known.write & (end.write | anyway.write);
          changed ||= read !== known.read || write !== known.write;
          this.#atStart[next.index] = {read, write};
        }
      }
    }
    for (const block of blocks) {
      const plans = new Map<Step, PagePlan>();
      knownBehind(block, this.#atStart[block.index], (step, base, known) => {
        const kept = keysOf(known);
        const key = keyOf(writesMemory(step), base);
        plans.set(step, {key, isKnown: kept.includes(key), kept});
      });
      this.#plans.set(block, plans);
    }
  }

  plansOf(block: FlowBlock): ReadonlyMap<Step, PagePlan> {
    return this.#plans.get(block) ?? new Map();
  }

  /** Keys that must hold no page on the way between two blocks: they are looked at before anything was found. */
  unknownBetween(from: FlowBlock, to: FlowBlock): readonly string[] {
    const anyway = this.#foundInRounds(from, to);
    const end = this.#atEnd[from.index];
    return keysOf({read: anyway.read & ~end.read, write: anyway.write & ~end.write});
  }

  #foundInRounds(from: FlowBlock, to: FlowBlock): Known {
    return (from.loop !== to && this.#steady.get(to)) || NOTHING;
  }
}

const keyOf = (isWrite: boolean, base: number): string => `${isWrite ? 'w' : 'r'}${base}`;

function keysOf({read, write}: Known): string[] {
  const keys: string[] = [];
  for (let base = 1; base < 32; base += 1) {
    if (((read >>> base) & 1) === 1) keys.push(keyOf(false, base));
    if (((write >>> base) & 1) === 1) keys.push(keyOf(true, base));
  }
  return keys;
}

/** What is known behind a block of which so much is known before; `visit` is told what is known at each access. */
function knownBehind(
  block: FlowBlock,
  {read, write}: Known,
  visit?: (step: Step, base: number, known: Known) => void,
): Known {
  for (const step of block.steps) {
    const base = baseOf(step);
    if (base !== undefined) {
      visit?.(step, base, {read, write});
      if (writesMemory(step)) write |= 1 << base;
      else read |= 1 << base;
    }
    if (traitsOf(step.instruction).isSystem) {
      read = 0;
      write = 0;
    }
    if (movesOn(step)) continue;
    const {writesX} = registersOf(step);
    read &= ~writesX;
    write &= ~writesX;
  }
  return isCall(block) ? NOTHING : {read, write};
}

/** Base registers that an innermost loop only moves on, if it sets them at all. */
function steadyBases(blocks: readonly FlowBlock[], head: FlowBlock): Known {
  const used: Known = {read: 0, write: 0};
  let set = 0;
  for (const block of blocks) {
    if (block.loop !== head) continue;
    for (const step of block.steps) {
      const base = baseOf(step);
      if (base !== undefined) used[writesMemory(step) ? 'write' : 'read'] |= 1 << base;
      if (!movesOn(step)) set |= registersOf(step).writesX;
    }
  }
  return {read: used.read & ~set, write: used.write & ~set};
}

/** addi and add onto the register itself. */
function movesOn({instruction, word}: Step): boolean {
  const {name} = instruction;
  return (name === 'addi' || name === 'add') && ((word >>> 7) & 31) === ((word >>> 15) & 31);
}

/** The base register of an access to memory. */
function baseOf({instruction, word}: Step): number | undefined {
  const base = (word >>> 15) & 31;
  return traitsOf(instruction).accessesMemory === undefined || base === 0 ? undefined : base;
}

function writesMemory({instruction}: Step): boolean {
  return traitsOf(instruction).accessesMemory === 'write';
}
