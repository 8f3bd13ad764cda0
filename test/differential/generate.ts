// Random instruction sequences: many in one image, all from one seed. Kinds choose which instructions; each kind is judged on
// registers, floating-point registers, flags, memory, page-table words and traps.

import {CSRS} from './encodings.ts';
import {illegalUnit} from './illegal.ts';
import {type Layout, layOut, NO_INTERRUPTS, PMP_OPEN, SCRATCH, type Sequence} from './image.ts';
import {interruptSequence} from './interrupt.ts';
import {pagingSequence} from './paging.ts';
import {Random} from './random.ts';
import {
  atomicUnit,
  BASE,
  compressedUnit,
  csrUnit,
  fixed,
  floatUnit,
  integerUnit,
  jumpUnit,
  memoryUnit,
  numericLoop,
  numericUnit,
  POOL_WORDS,
  STACK,
  type Unit,
  wide,
} from './units.ts';
import {randomFloat, randomInteger} from './values.ts';

export const KINDS = [
  'integer',
  'memory',
  'atomic',
  'compressed',
  'csr',
  'float',
  'numeric',
  'illegal',
  'mixed',
  'paging',
  'interrupt',
] as const;
export type Kind = (typeof KINDS)[number];

export type GenerateOptions = {
  kind: Kind;
  /** Sequences in the image. */
  sequences: number;
  /** Units in a sequence; most are one or two instructions. */
  length: number;
  /** Prints every register and word, not only hashes. */
  verbose?: boolean;
  /** Only this sequence. */
  only?: number;
  /** Units behind that many become c.nop: the way to the first instruction that differs. */
  unitLimit?: number;
};

export type Generated = {image: Uint8Array; listing: string; layout: Layout; lengths: number[]};

const FLOAT_CSRS = CSRS.filter((row) => row.number < 4);

const HARMLESS: readonly (readonly [string, number])[] = [
  ['fence', 0x0ff0000f],
  ['fence.tso', 0x8330000f],
  ['fence.i', 0x0000100f],
  ['pause', 0x0100000f],
  ['sfence.vma', 0x12000073],
  ['prefetch hint', 0x00056013],
];

const UNITS: Record<
  Exclude<Kind, 'paging' | 'interrupt'>,
  readonly (readonly [weight: number, make: (random: Random) => Unit])[]
> = {
  integer: [
    [20, integerUnit],
    [3, jumpUnit],
    [1, harmlessUnit],
  ],
  memory: [
    [10, memoryUnit],
    [6, integerUnit],
  ],
  atomic: [
    [10, atomicUnit],
    [4, integerUnit],
    [2, memoryUnit],
  ],
  compressed: [
    [20, compressedUnit],
    [2, integerUnit],
  ],
  csr: [
    [10, csrUnit],
    [2, integerUnit],
  ],
  float: [
    [20, floatUnit],
    [1, (random) => csrUnit(random, FLOAT_CSRS)],
    [1, integerUnit],
  ],
  numeric: [
    [20, numericUnit],
    [4, numericLoop],
    [2, memoryUnit],
    [1, jumpUnit],
  ],
  illegal: [
    [10, illegalUnit],
    [4, integerUnit],
    [1, jumpUnit],
  ],
  mixed: [
    [5, integerUnit],
    [4, memoryUnit],
    [2, atomicUnit],
    [5, compressedUnit],
    [6, floatUnit],
    [1, (random) => csrUnit(random, FLOAT_CSRS)],
    [1, illegalUnit],
    [3, jumpUnit],
    [1, harmlessUnit],
  ],
};

export function generate(seed: number, options: GenerateOptions): Generated {
  const poolRandom = new Random(seed);
  const pool = Array.from({length: POOL_WORDS}, (_, i) =>
    i % 2 === 0 ? randomInteger(poolRandom) : randomFloat(poolRandom),
  );
  const all: Sequence[] = [];
  for (let index = 0; index < options.sequences; index++) {
    // Each sequence has a seed of its own, so that one can be made again without the others.
    const random = new Random((Math.imul(seed, 0x9e3779b1) ^ Math.imul(index + 1, 0x85ebca6b)) >>> 0);
    all.push(makeSequence(random, options));
  }
  const sequences = options.only === undefined ? all : [all[options.only]!];
  const layout = layOut(sequences, pool, {verbose: options.verbose ?? false, unitLimit: options.unitLimit});
  return {
    image: layout.elf,
    layout,
    listing: list(layout),
    lengths: sequences.map((sequence) => sequence.units.length),
  };
}

function makeSequence(random: Random, {kind, length}: GenerateOptions): Sequence {
  if (kind === 'paging') return pagingSequence(random, length);
  if (kind === 'interrupt') return interruptSequence(random, length);
  return plainSequence(random, length, UNITS[kind]);
}

function plainSequence(
  random: Random,
  length: number,
  table: readonly (readonly [number, (random: Random) => Unit])[],
): Sequence {
  const weights = table.flatMap(([weight, make]) => Array.from({length: weight}, () => make));
  const x = Array.from({length: 32}, () => randomInteger(random));
  // Both lie so that a 12-bit offset to either side stays inside the scratch memory; x8 is on a page boundary.
  x[STACK] = SCRATCH + 0x1800n;
  x[BASE] = SCRATCH + 0x2000n;
  return {
    units: Array.from({length}, () => random.pick(weights)(random)),
    mode: 'M',
    status: 0n,
    satp: 0n,
    fillSeed: random.u64(),
    pokes: [],
    ...PMP_OPEN,
    medeleg: 0n,
    ...NO_INTERRUPTS,
    fcsr: BigInt(random.below(5) << 5),
    x,
    f: Array.from({length: 32}, () => randomFloat(random)),
  };
}

function harmlessUnit(random: Random): Unit {
  return fixed(wide(...random.pick(HARMLESS)));
}

function list(layout: Layout): string {
  return layout.parcels
    .map((parcels, index) => {
      const lines = parcels.map(({offset, unit, word, bytes, name}) => {
        const digits = word.toString(16).padStart(bytes * 2, '0');
        return `  +${offset.toString(16).padStart(4, '0')} unit ${String(unit).padStart(3)}  ${digits.padStart(8)}  ${name}`;
      });
      return [`sequence ${index}:`, ...lines].join('\n');
    })
    .join('\n');
}
