// Where rounding goes wrong: special values by one another, and seeded random operands at the hard places: ties, runs of ones and
// zeros, results at the ends of the exponents' range, cancellation, quotients and roots next to a number, integers' limits.

import type {Case} from './batch.ts';
import type {Operation} from './operations.ts';

const MODES = [0, 1, 2, 3, 4];

type Shape = {bits: number; fractionBits: number; bias: number; exponentMax: number};

const SHAPES: Record<'f32' | 'f64', Shape> = {
  f32: {bits: 32, fractionBits: 23, bias: 127, exponentMax: 255},
  f64: {bits: 64, fractionBits: 52, bias: 1023, exponentMax: 2047},
};

/** xorshift128 (Marsaglia 2003), seeded. */
export class Random {
  readonly #state: Uint32Array;

  constructor(seed: number) {
    this.#state = Uint32Array.of(seed, 0x9e37_79b9, seed ^ 0x243f_6a88, 0xb7e1_5162);
    for (let i = 0; i < 20; i += 1) this.word();
  }

  word(): number {
    const s = this.#state;
    const t = s[0] ^ (s[0] << 11);
    s[0] = s[1];
    s[1] = s[2];
    s[2] = s[3];
    s[3] = s[3] ^ (s[3] >>> 19) ^ t ^ (t >>> 8);
    return s[3];
  }

  below(limit: number): number {
    return this.word() % limit;
  }

  bits64(): bigint {
    return (BigInt(this.word()) << 32n) | BigInt(this.word());
  }

  pick<T>(from: readonly T[]): T {
    return from[this.below(from.length)];
  }
}

const power = (exponent: number): bigint => 1n << BigInt(exponent);

function assemble(s: Shape, parts: {sign: number; exponent: number; fraction: bigint}): bigint {
  const exponent = Math.min(Math.max(parts.exponent, 0), s.exponentMax);
  const fraction = parts.fraction & (power(s.fractionBits) - 1n);
  return (BigInt(parts.sign) << BigInt(s.bits - 1)) | (BigInt(exponent) << BigInt(s.fractionBits)) | fraction;
}

/** Every operation on special values with each other, in every mode. */
export function specialCases(operation: Operation): Case[] {
  const lists = operation.operands.map((datum) =>
    datum === 'integer' ? specialIntegers() : operation.operands.length > 2 ? fewSpecials(datum) : specials(datum),
  );
  const combinations = lists.reduce<bigint[][]>(
    (tuples, list) => tuples.flatMap((tuple) => list.map((value) => [...tuple, value])),
    [[]],
  );
  const modes = operation.rounds ? MODES : [0];
  return modes.flatMap((rm) => combinations.map((operands) => ({operation, rm, operands})));
}

function specials(datum: 'f32' | 'f64'): bigint[] {
  const s = SHAPES[datum];
  const {bias, exponentMax, fractionBits} = s;
  const ones = power(fractionBits) - 1n;
  const positive = (exponent: number, fraction: bigint): bigint => assemble(s, {sign: 0, exponent, fraction});
  const magnitudes = [
    ...fewMagnitudes(s),
    positive(0, ones - 1n),
    positive(1, ones),
    positive(2, 0n),
    positive(bias - 1, 0n),
    positive(bias - 1, 1n),
    positive(bias - 2, ones),
    positive(bias - fractionBits, 0n),
    positive(bias - fractionBits - 1, 0n),
    positive(bias - fractionBits - 1, 1n),
    positive(bias + 1, power(fractionBits - 1)),
    // Around the limits of integers: 2^31, 2^32, 2^63, 2^64.
    ...[30, 31, 32, 62, 63, 64].flatMap((e) => [positive(bias + e, 0n), positive(bias + e - 1, ones)]),
    positive(bias + fractionBits, 1n),
    positive(bias + fractionBits - 1, 1n),
    positive(bias + fractionBits + 1, 1n),
    positive(exponentMax - 1, 0n),
    positive(exponentMax, power(fractionBits - 1) | 1n),
    positive(exponentMax, power(fractionBits - 1) - 1n),
  ];
  return bothSigns(s, magnitudes);
}

function fewSpecials(datum: 'f32' | 'f64'): bigint[] {
  return bothSigns(SHAPES[datum], fewMagnitudes(SHAPES[datum]));
}

function fewMagnitudes(s: Shape): bigint[] {
  const ones = power(s.fractionBits) - 1n;
  const positive = (exponent: number, fraction: bigint): bigint => assemble(s, {sign: 0, exponent, fraction});
  return [
    0n,
    1n,
    positive(0, ones),
    positive(1, 0n),
    positive(1, 1n),
    positive(s.bias, 0n),
    positive(s.bias, 1n),
    positive(s.bias, ones),
    positive(s.bias + 1, 0n),
    positive(s.exponentMax - 1, ones),
    positive(s.exponentMax, 0n),
    positive(s.exponentMax, power(s.fractionBits - 1)),
    positive(s.exponentMax, 1n),
  ];
}

function bothSigns(s: Shape, magnitudes: readonly bigint[]): bigint[] {
  return [...magnitudes, ...magnitudes.map((magnitude) => magnitude | power(s.bits - 1))];
}

function specialIntegers(): bigint[] {
  const near = [0, 1, 8, 23, 24, 25, 30, 31, 32, 33, 52, 53, 54, 55, 62, 63].flatMap((e) =>
    [-2n, -1n, 0n, 1n, 2n, 3n].map((delta) => power(e) + delta),
  );
  return [...near, ...near.map((value) => -value)].map((value) => BigInt.asUintN(64, value));
}

/** Random cases of one operation. */
export function randomCases(operation: Operation, count: number, random: Random): Case[] {
  return Array.from({length: count}, () => {
    // Half of the cases in RNE: it alone has a fast path.
    const rm = operation.rounds ? random.pick(MODES) * random.below(2) : 0;
    return {operation, rm, operands: randomOperands(operation, random)};
  });
}

function randomOperands(operation: Operation, random: Random): bigint[] {
  const [first] = operation.operands;
  if (first === 'integer') return [randomInteger(random)];
  const s = SHAPES[first];
  const [x, y, z] = [random, random, random].map((r) => randomFloat(s, r));
  const style = random.below(4);
  const kind = operation.name.split('.')[1];
  if (style === 0) return [x, y, z].slice(0, operation.operands.length);
  if (kind === 'add' || kind === 'sub' || kind === 'min' || kind === 'max' || operation.operands.length === 2) {
    if (kind === 'mul') return [x, partner(s, x, random, {sum: randomTarget(s, random) + s.bias})];
    if (kind === 'div') {
      if (style === 1) return [nearby(s, product(s, [x, y]), random), y];
      return [x, partner(s, x, random, {difference: randomTarget(s, random) - s.bias})];
    }
    if (style === 1) return [x, nearby(s, x ^ (random.below(2) === 0 ? 0n : power(s.bits - 1)), random)];
    return [x, partner(s, x, random, {difference: random.below(2 * s.fractionBits + 8) - s.fractionBits - 4})];
  }
  if (kind === 'fma') {
    const aimed = random.below(4);
    if (aimed === 0) return fusedAtTarget(s, random);
    if (aimed === 1) return fusedBesideTie(s, random);
    const factor = partner(s, x, random, {sum: randomTarget(s, random) + s.bias});
    if (style === 1) return [x, factor, nearby(s, product(s, [x, factor]) ^ power(s.bits - 1), random)];
    const exponent = exponentOf(s, x) + exponentOf(s, factor) - s.bias;
    const offset = random.below(4 * s.fractionBits + 12) - 2 * s.fractionBits - 6;
    return [x, factor, randomWithExponent(s, exponent + offset, random)];
  }
  if (kind === 'sqrt') return [nearby(s, product(s, [x, x]), random) & (power(s.bits - 1) - 1n)];
  if (kind === 'fromF64') return [randomForNarrowing(random)];
  if (kind.startsWith('to')) return [randomWithExponent(s, s.bias - 3 + random.below(70), random)];
  return [x];
}

/** An integer as a float whose last place has the given exponent field; bits that do not fit are cut off. */
function fromUnits(s: Shape, units: bigint, unitField: number): bigint {
  const magnitude = units < 0n ? -units : units;
  if (magnitude === 0n) return 0n;
  const excess = magnitude.toString(2).length - 1 - s.fractionBits;
  const fraction = excess >= 0 ? magnitude >> BigInt(excess) : magnitude << BigInt(-excess);
  return assemble(s, {sign: units < 0n ? 1 : 0, exponent: unitField + excess, fraction});
}

/** Two factors and the addend that brings their exact product to, or just beside, a multiple of an eighth of the result's last place. */
function fusedAtTarget(s: Shape, random: Random): bigint[] {
  const exponents = [random, random].map((source) => s.bias - 20 + source.below(40));
  const hidden = power(s.fractionBits);
  let factors = [random, random].map((source) => (randomFraction(s, source) & (hidden - 1n)) | hidden);
  if (random.below(2) === 0) {
    // A product next to a power of two, below which the places are half as wide.
    const [a, c] = [BigInt(1 + random.below(3000)), BigInt(random.below(5) - 2)];
    factors = [hidden + a, 2n * hidden - 2n * a + c];
  }
  const product = factors[0] * factors[1];
  const place = BigInt(product.toString(2).length - 1 - s.fractionBits - random.below(2));
  const eighth = place - 3n;
  const jitter = BigInt((random.below(3) - 1) * random.below(2));
  const target = (((product >> eighth) + BigInt(random.below(49) - 24)) << eighth) + jitter;
  const [x, y] = factors.map((factor, i) => fromUnits(s, factor, exponents[i]));
  const z = fromUnits(s, target - product, exponents[0] + exponents[1] - s.bias - s.fractionBits);
  const negated = random.below(2) === 0 ? 0n : power(s.bits - 1);
  return [x ^ negated, y, z ^ negated];
}

/** A product half-way between two numbers, and an addend that only just decides. */
function fusedBesideTie(s: Shape, random: Random): bigint[] {
  const length = 1 + random.below(s.fractionBits + 1);
  const lengths = [length, s.fractionBits + 2 - length];
  const [x, y] = lengths.map((bits) => {
    const odd = (random.bits64() & (power(bits) - 1n)) | power(bits - 1) | 1n;
    return fromUnits(s, odd, s.bias - 10 + random.below(20));
  });
  const exponent = exponentOf(s, x) + exponentOf(s, y) - s.bias - s.fractionBits - random.below(2 * s.fractionBits);
  return [x, y, randomWithExponent(s, Math.max(exponent, 0), random)];
}

const exponentOf = (s: Shape, bits: bigint): number => Number((bits >> BigInt(s.fractionBits)) & BigInt(s.exponentMax));

/** A biased exponent for a result: often at an end of the range, or beyond. */
function randomTarget(s: Shape, random: Random): number {
  const style = random.below(4);
  if (style === 0) return random.below(8) - 4;
  if (style === 1) return random.below(s.fractionBits + 8) - s.fractionBits - 4;
  if (style === 2) return s.exponentMax - 4 + random.below(6);
  return random.below(s.exponentMax);
}

/** A number whose exponent and x's have about the given sum, or x's less its own the given difference. */
function partner(s: Shape, x: bigint, random: Random, goal: {sum: number} | {difference: number}): bigint {
  const exponent = 'sum' in goal ? goal.sum - exponentOf(s, x) : exponentOf(s, x) - goal.difference;
  return randomWithExponent(s, exponent, random);
}

function randomFloat(s: Shape, random: Random): bigint {
  const style = random.below(8);
  if (style === 0) return assemble(s, {sign: random.below(2), exponent: 0, fraction: randomFraction(s, random)});
  if (style === 1) return randomWithExponent(s, s.exponentMax - random.below(3), random);
  if (style < 4) return randomWithExponent(s, s.bias - 8 + random.below(16), random);
  return randomWithExponent(s, random.below(s.exponentMax + 1), random);
}

function randomWithExponent(s: Shape, exponent: number, random: Random): bigint {
  return assemble(s, {sign: random.below(2), exponent, fraction: randomFraction(s, random)});
}

/** Often few ones, few zeros, or a run of either: what makes ties and long carries. */
function randomFraction(s: Shape, random: Random): bigint {
  const whole = random.bits64();
  const run = power(random.below(s.fractionBits + 1)) - 1n;
  switch (random.below(8)) {
    case 0:
      return run;
    case 1:
      return ~run;
    case 2:
      return whole & ~run;
    case 3:
      return whole | run;
    case 4:
      return power(random.below(s.fractionBits)) | power(random.below(s.fractionBits));
    case 5:
      return ~(power(random.below(s.fractionBits)) | power(random.below(s.fractionBits)));
    default:
      return whole;
  }
}

/** A few units in the last place away; the neighbours of infinity and zero are let wrap. */
function nearby(s: Shape, bits: bigint, random: Random): bigint {
  return BigInt.asUintN(s.bits, bits + BigInt(random.below(7) - 3));
}

/** The host's rounded product: only a starting point for operands. */
function product(s: Shape, [x, y]: readonly [bigint, bigint]): bigint {
  const view = new DataView(new ArrayBuffer(8));
  if (s.bits === 32) {
    const [left, right] = [x, y].map((bits) => {
      view.setUint32(0, Number(bits));
      return view.getFloat32(0);
    });
    view.setFloat32(0, left * right);
    return BigInt(view.getUint32(0));
  }
  const [left, right] = [x, y].map((bits) => {
    view.setBigUint64(0, bits);
    return view.getFloat64(0);
  });
  view.setFloat64(0, left * right);
  return view.getBigUint64(0);
}

function randomInteger(random: Random): bigint {
  const length = 1 + random.below(64);
  const magnitude = randomFraction({...SHAPES.f64, fractionBits: length}, random) & (power(length) - 1n);
  return BigInt.asUintN(64, random.below(2) === 0 ? magnitude : -magnitude);
}

/** A double in, or at the ends of, the range of singles; often half-way between two. */
function randomForNarrowing(random: Random): bigint {
  const narrow = randomFloat(SHAPES.f32, random);
  const rebias = SHAPES.f64.bias - SHAPES.f32.bias;
  const exponent = exponentOf(SHAPES.f32, narrow) - random.below(30) * random.below(2) + rebias;
  const lost = SHAPES.f64.fractionBits - SHAPES.f32.fractionBits;
  const tail = random.pick([0n, 1n, power(lost - 1), power(lost - 1) - 1n, power(lost - 1) + 1n, power(lost) - 1n]);
  const fraction = ((narrow & (power(SHAPES.f32.fractionBits) - 1n)) << BigInt(lost)) | tail;
  return assemble(SHAPES.f64, {sign: random.below(2), exponent, fraction});
}
