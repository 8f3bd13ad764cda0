// Interesting values: where carries, signs, roundings and special cases lie.

import type {Random} from './random.ts';

const MASK = 0xffffffffffffffffn;

export const INTEGERS: readonly bigint[] = [
  ...[0n, 1n, 2n, 3n, 4n, 7n, 8n, 15n, 16n, 31n, 32n, 33n, 63n, 64n, 65n, 0x7fn, 0x80n, 0xffn, 0x100n],
  ...[0x7fffn, 0x8000n, 0xffffn, 0x10000n, 0x7fffffffn, 0x80000000n, 0x80000001n, 0xffffffffn, 0x100000000n],
  ...[0x7fffffffffffffffn, 0x8000000000000000n, 0x8000000000000001n, 0x123456789abcdef0n, 0x5555555555555555n],
  ...[0xaaaaaaaaaaaaaaaan, 0xff00ff00ff00ff00n, 0xffffffff80000000n, 0xffffffff7fffffffn, 0xffffffff00000000n],
  ...[-1n, -2n, -3n, -4n, -7n, -8n, -32n, -64n, -128n, -129n, -32768n, -32769n].map((value) => value & MASK),
];

export const DOUBLES: readonly bigint[] = [
  // ±0, ±1, ±1±ulp, 2, 0.5, 1.5, 2.5, 3.5, π, 0.1
  ...[0x0000000000000000n, 0x8000000000000000n, 0x3ff0000000000000n, 0xbff0000000000000n, 0x3ff0000000000001n],
  ...[0x3fefffffffffffffn, 0xbff0000000000001n, 0x4000000000000000n, 0x3fe0000000000000n, 0xbfe0000000000000n],
  ...[0x3ff8000000000000n, 0x4004000000000000n, 0x400c000000000000n, 0xc004000000000000n, 0x400921fb54442d18n],
  ...[0x3fb999999999999an, 0x3fdfffffffffffffn, 0x3fe0000000000001n],
  // ±inf, quiet and signalling NaNs with payloads and signs
  ...[0x7ff0000000000000n, 0xfff0000000000000n, 0x7ff8000000000000n, 0xfff8000000000000n, 0x7ff0000000000001n],
  ...[0xfff0000000000001n, 0x7ff7ffffffffffffn, 0x7ffc00deadbeef00n, 0xffffffffffffffffn],
  // subnormals, least and greatest normal
  ...[0x0000000000000001n, 0x8000000000000001n, 0x000fffffffffffffn, 0x800fffffffffffffn, 0x0008000000000000n],
  ...[0x0010000000000000n, 0x8010000000000000n, 0x0010000000000001n, 0x7fefffffffffffffn, 0xffefffffffffffffn],
  ...[0x7fe0000000000000n, 0x0020000000000000n],
  // edges of the integers: 2^31, 2^31-0.5, 2^31-1, 2^32, 2^32-1, 2^52±, 2^53, 2^63 and its neighbours, 2^64 and its neighbour
  ...[0x41e0000000000000n, 0x41dffffffff00000n, 0x41dfffffffc00000n, 0x41dfffffffe00000n, 0xc1e0000000000000n],
  ...[0xc1e0000000100000n, 0xc1e0000000200000n, 0xc1e00000001fffffn, 0x41f0000000000000n, 0x41efffffffe00000n],
  ...[0x41effffffff00000n, 0x4330000000000000n, 0x4330000000000001n, 0x432fffffffffffffn, 0x4340000000000000n],
  ...[0x43e0000000000000n, 0x43dfffffffffffffn, 0xc3e0000000000000n, 0xc3e0000000000001n, 0x43f0000000000000n],
  ...[0x43efffffffffffffn, 0xbfefffffffffffffn, 0xbff0000000000001n],
  // edges of single precision: greatest, halfway to overflow, least normal, subnormals, half of the least, ties
  ...[0x47efffffe0000000n, 0x47effffff0000000n, 0x47efffffefffffffn, 0xc7effffff0000000n, 0x3810000000000000n],
  ...[0x380fffffffffffffn, 0x380fffffe0000000n, 0x36a0000000000000n, 0x3690000000000000n, 0x3690000000000001n],
  ...[0x3ff0000010000000n, 0x3ff0000030000000n, 0x3ff0000010000001n, 0x3ff000000fffffffn, 0x380ffffff0000000n],
];

/** Singles without their box. */
export const SINGLES: readonly number[] = [
  ...[0x00000000, 0x80000000, 0x3f800000, 0xbf800000, 0x3f800001, 0x3f7fffff, 0x40000000, 0x3f000000, 0xbf000000],
  ...[0x3fc00000, 0x40200000, 0x40600000, 0xc0200000, 0x40490fdb, 0x3dcccccd, 0x3effffff, 0x3f000001],
  ...[0x7f800000, 0xff800000, 0x7fc00000, 0xffc00000, 0x7f800001, 0xff800001, 0x7fbfffff, 0x7fe12345, 0xffffffff],
  ...[0x00000001, 0x80000001, 0x007fffff, 0x807fffff, 0x00400000, 0x00800000, 0x80800000, 0x00800001],
  ...[0x7f7fffff, 0xff7fffff, 0x7f000000, 0x01000000, 0x4f000000, 0x4effffff, 0xcf000000, 0xcf000001],
  ...[0x4f800000, 0x4f7fffff, 0x4b000000, 0x4b000001, 0x4affffff, 0x4b800000, 0x5f000000, 0x5effffff],
  ...[0xdf000000, 0xdf000001, 0x5f800000, 0x5f7fffff, 0xbf7fffff, 0xbf800001, 0x33800000, 0x34000000],
];

export function randomInteger(random: Random): bigint {
  switch (random.below(4)) {
    case 0:
      return random.u64();
    case 1:
      return (random.u64() >> BigInt(random.below(64))) & MASK;
    case 2:
      return (random.pick(INTEGERS) + BigInt(random.between(-2, 2))) & MASK;
    default:
      return random.pick(INTEGERS);
  }
}

/** A floating-point register's content: a double, a boxed single, or a single in a broken box. */
export function randomFloat(random: Random, width?: 'single' | 'double'): bigint {
  const kind = width ?? random.pick(['single', 'double'] as const);
  if (kind === 'double') {
    switch (random.below(5)) {
      case 0:
        return random.u64();
      case 1: {
        // At the limits, or where a product is: half-way to them.
        const exponent = random.pick([1, 2, 511, 512, 1534, 1535, 2045, 2046]) + random.between(-1, 0);
        return (random.u64() & 0x800fffffffffffffn) | (BigInt(exponent) << 52n);
      }
      case 2:
        // Exponents near each other, so that additions meet and cancel.
        return (random.u64() & 0x800fffffffffffffn) | (BigInt(random.between(1000, 1060)) << 52n);
      default:
        return random.pick(DOUBLES);
    }
  }
  let single = random.pick(SINGLES);
  if (random.chance(0.2)) single = random.u32();
  else if (random.chance(0.25)) single = ((random.u32() & 0x807fffff) | (random.between(110, 145) << 23)) >>> 0;
  else if (random.chance(0.1)) {
    const exponent = random.pick([1, 2, 63, 64, 190, 191, 253, 254]) + random.between(-1, 0);
    single = ((random.u32() & 0x807fffff) | (exponent << 23)) >>> 0;
  }
  const box = random.chance(0.93) ? 0xffffffffn : random.pick([0n, 0xfffffffen, 0x7fffffffn, 0xffff0000n]);
  return (box << 32n) | BigInt(single);
}
