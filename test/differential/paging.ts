// Random accesses through random page tables: S or U mode, or M mode with MPRV; leaf and table entries with random permission,
// A, D, U, G and reserved bits, superpages well and badly aligned, PMP regions, delegation (volume II, chapters 3.7 and 4).

import {ATOMIC, FLOAT_LOAD, FLOAT_STORE, LOAD, type Row, STORE} from './encodings.ts';
import {type Mode, NO_INTERRUPTS, PMP_OPEN, SCRATCH, type Sequence} from './image.ts';
import type {Random} from './random.ts';
import {addi, fixed, type Parcel, type Unit, wide} from './units.ts';
import {randomInteger} from './values.ts';

const ROOT = 0x80500000n;
const MIDDLE = 0x80501000n;
const LEAVES = 0x80502000n;
const DRAM = 0x80000000n;
const PAGES = 4;

const V = 1n;
const R = 2n;
const W = 4n;
const X = 8n;
const U = 16n;
const G = 32n;
const A = 64n;
const D = 128n;
const entry = (address: bigint, flags: bigint) => ((address >> 12n) << 10n) | flags;

const SUM = 1n << 18n;
const MXR = 1n << 19n;

/** Where a page holds `c.jr ra` to be jumped to; stores keep away from there. */
const CODE_OFFSET = 0x700;
const CODE_WORD = 0x8082808280828082n;

// Registers: x5 to x19 addresses, x20 to x26 values, x27 mstatus bits, x28 results, x29 collects them.
const ADDRESSES = [5, 6, 7, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19];
const VALUES = [20, 21, 22, 23, 24, 25, 26];
const STATUS = 27;
const RESULT = 28;
const COLLECTOR = 29;

/** Access faults besides page faults: through PMP, or from pages beyond all memory. Which half of an access across two pages
 *  is looked at first is the implementation's choice, and QEMU rounds the address of a misaligned access beyond memory down: with
 *  `protection` no access crosses a page, with `beyond` none is misaligned. */
type Faults = 'none' | 'protection' | 'beyond';

export function pagingSequence(random: Random, length: number): Sequence {
  const mode = random.pick<Mode>(['S', 'S', 'U', 'U', 'M']);
  const kind = random.pick<Faults>(['none', 'none', 'protection', 'beyond']);
  const pokes = [...tables(random, mode, kind), ...codeWords()];
  const x = Array.from({length: 32}, () => randomInteger(random));
  for (const register of ADDRESSES) x[register] = randomAddress(random);
  x[STATUS] = random.pick([SUM, MXR, SUM | MXR]);
  const units = Array.from({length}, () => {
    const access = accessUnit(random, mode, kind);
    return mode === 'M' ? join(modifyPrivilege(random, kind), access) : access;
  });
  const bits = (random.chance(0.5) ? SUM : 0n) | (random.chance(0.5) ? MXR : 0n);
  return {
    units,
    mode,
    status: bits,
    satp: (8n << 60n) | (ROOT >> 12n),
    fillSeed: random.u64(),
    pokes,
    ...(kind === 'protection' ? protection(random) : PMP_OPEN),
    medeleg: random.chance(0.4) ? random.u64() & 0xb1f6n : 0n,
    ...NO_INTERRUPTS,
    fcsr: 0n,
    x,
    f: Array.from({length: 32}, () => random.u64()),
  };
}

/** Two units as one. Neither may be a jump forwards. */
function join(first: Unit, second: Unit): Unit {
  return {
    bytes: first.bytes + second.bytes,
    encode: (here, after) => [...first.encode(here, after), ...second.encode(here + first.bytes, after)],
  };
}

function leafFlags(random: Random, mode: Mode): bigint {
  const flag = (bit: bigint, probability: number) => (random.chance(probability) ? bit : 0n);
  let flags =
    flag(V, 0.96) | flag(R, 0.88) | flag(W, 0.75) | flag(X, 0.6) | flag(G, 0.2) | flag(A, 0.75) | flag(D, 0.65);
  flags |= flag(U, mode === 'U' ? 0.8 : 0.3) | (BigInt(random.below(4)) << 8n);
  if (random.chance(0.05)) flags |= 1n << BigInt(random.pick([54, 55, 56, 57, 58, 59, 60, 61, 62, 63]));
  return flags;
}

function tables(random: Random, mode: Mode, kind: Faults): Sequence['pokes'] {
  const all = V | R | W | X | A | D;
  const pokes: Sequence['pokes'] = [];
  const set = (table: bigint, index: number, value: bigint) => pokes.push({address: table + BigInt(index * 8), value});
  set(ROOT, 0, 0n);
  set(ROOT, 1, entry(DRAM, all | U));
  set(ROOT, 2, entry(DRAM, all | G));
  set(ROOT, 4, entry(MIDDLE, V));
  set(ROOT, 5, entry(DRAM | (random.chance(0.15) ? 0x1000n << BigInt(random.below(18)) : 0n), leafFlags(random, mode)));
  // A table entry with leaf bits: W alone, or A, D, U, G, reserved.
  set(ROOT, 6, entry(MIDDLE, V | random.pick([W, A, D, U, G, W | X, 1n << 60n, 1n << 8n])));
  set(ROOT, 511, 0n);
  set(MIDDLE, 0, entry(LEAVES, V));
  set(
    MIDDLE,
    1,
    entry(SCRATCH | (random.chance(0.2) ? 0x1000n << BigInt(random.below(9)) : 0n), leafFlags(random, mode)),
  );
  set(MIDDLE, 2, entry(LEAVES, V | random.pick([0n, W, A, D, U, G, 1n << 54n, 1n << 9n])));
  set(MIDDLE, 3, entry(LEAVES, 0n));
  for (let index = 0; index < 12; index++) {
    const page = SCRATCH + BigInt(random.below(PAGES)) * 4096n;
    const beyond = kind === 'beyond' && random.chance(0.2);
    set(LEAVES, index, entry(beyond ? 0x900000000n : page, leafFlags(random, mode)));
  }
  set(LEAVES, 12, entry(LEAVES, V));
  return pokes;
}

function codeWords(): Sequence['pokes'] {
  return Array.from({length: PAGES}, (_, page) => ({
    address: SCRATCH + BigInt(page * 4096 + CODE_OFFSET),
    value: CODE_WORD,
  }));
}

/** A virtual address at the start of a page. */
function randomAddress(random: Random): bigint {
  const page = BigInt(random.below(PAGES)) << 12n;
  switch (random.below(10)) {
    case 0:
      return (4n << 30n) | 0x200000n | page;
    case 1:
      return (4n << 30n) | 0x400000n | (BigInt(random.below(12)) << 12n);
    case 2:
      return (5n << 30n) | (SCRATCH - DRAM) | page;
    case 3:
      return random.pick([
        (6n << 30n) | 0x1000n | page,
        (4n << 30n) | 0x600000n | page,
        (511n << 30n) | page,
        0xffffffffc0000000n | page,
        (4n << 30n) | (1n << 39n) | page,
        (4n << 30n) | (1n << 38n) | page,
        0x8000000000000000n | page,
        // No table, and as a physical address no memory and no device.
        (40n << 30n) | page,
      ]);
    default:
      return (4n << 30n) | (BigInt(random.below(13)) << 12n);
  }
}

const word = (name: string, match: number, rd: number, rs1: number) => wide(name, match | (rd << 7) | (rs1 << 15));

function accessUnit(random: Random, mode: Mode, kind: Faults): Unit {
  const address = random.pick(ADDRESSES);
  const aligned = 8 * random.below(200);
  const offset = {
    none: random.pick([aligned, random.between(0, 0x6f0), random.between(-7, 7)]),
    protection: random.pick([aligned, random.between(0, 0x6f0)]),
    beyond: aligned,
  }[kind];
  const value = random.pick(VALUES);
  const collect = [
    wide('xor', 0x4033 | (COLLECTOR << 7) | (COLLECTOR << 15) | (RESULT << 20)),
    wide('rori', 0x60005013 | (COLLECTOR << 7) | (COLLECTOR << 15) | (9 << 20)),
  ];
  switch (random.below(12)) {
    case 0:
    case 1:
    case 2:
    case 3: {
      const [name, match] = random.pick(LOAD);
      return fixed(wide(name, match | (RESULT << 7) | (address << 15) | ((offset & 0xfff) << 20)), ...collect);
    }
    case 4:
    case 5:
    case 6:
      return fixed(store(random.pick(STORE), value, address, offset));
    case 7: {
      // Beyond memory, and where PMP allows less than both reading and writing, QEMU reports a load's fault for an AMO.
      if (kind !== 'none') return fixed(store(random.pick(STORE), value, address, offset));
      const [name, match] = random.pick(ATOMIC);
      const aligned = random.chance(0.9) ? offset & ~7 : offset;
      return fixed(
        addi(30, address, aligned),
        wide(name, match | (RESULT << 7) | (30 << 15) | (value << 20)),
        ...collect,
      );
    }
    case 8:
      // x1 links, and is where the harness goes on after a fetch that faults. In QEMU 7.2 a load from a U page under SUM
      // makes the page executable for S, until the next fence.
      return fixed(
        ...(mode === 'S' ? [wide('sfence.vma', 0x12000073)] : []),
        word('jalr', 0x67 | (CODE_OFFSET << 20), 1, address),
      );
    case 9: {
      if (random.chance(0.5)) return fixed(store(random.pick(FLOAT_STORE), random.below(32), address, offset));
      const [name, match] = random.pick(FLOAT_LOAD);
      return fixed(wide(name, match | (random.below(32) << 7) | (address << 15) | ((offset & 0xfff) << 20)));
    }
    case 10:
      if (mode === 'M') return modifyPrivilege(random, kind);
      return fixed(
        random.pick([
          word('csrrs sstatus', 0x10002073, RESULT, STATUS),
          word('csrrc sstatus', 0x10003073, RESULT, STATUS),
          wide('sfence.vma', 0x12000073),
          word('csrr satp', 0x18002073, RESULT, 0),
        ]),
      );
    default: {
      const [name, match] = random.pick([['lr.d', 0x1000302f] as const, ['lr.w', 0x1000202f] as const]);
      return fixed(addi(30, address, offset & ~7), word(name, match, RESULT, 30), ...collect);
    }
  }
}

function store([name, match]: Row, value: number, address: number, offset: number): Parcel {
  return wide(name, match | (value << 20) | (address << 15) | ((offset & 31) << 7) | (((offset >> 5) & 0x7f) << 25));
}

/** In M mode, before every access: MPRV, MPP, SUM and MXR at random. (A trap leaves MPP at U and MPRV as it is, but QEMU 7.2
 *  then keeps translations from before the trap until mstatus is written.) Without MPRV, or with MPP = M, the addresses are
 *  physical and beyond memory. */
function modifyPrivilege(random: Random, kind: Faults): Unit {
  const shift = (to: number, by: number) => wide('slli', 0x1013 | (to << 7) | (to << 15) | (by << 20));
  const low = random.pick(kind === 'beyond' ? [0, 1, 3] : [0, 1]);
  const high = (kind === 'beyond' && random.chance(0.3) ? 0 : 1) | (random.below(2) << 1) | (random.below(2) << 2);
  return fixed(
    addi(4, 0, -1),
    shift(4, 61),
    wide('srli', 0x5013 | (4 << 7) | (4 << 15) | (44 << 20)), // SUM, MXR, MPRV: bits 17 to 19
    addi(30, 0, 3),
    shift(30, 11),
    wide('or', 0x6033 | (4 << 7) | (4 << 15) | (30 << 20)),
    word('csrrc mstatus', 0x30003073, 0, 4),
    addi(4, 0, high),
    shift(4, 6),
    addi(4, 4, low),
    shift(4, 11),
    word('csrrs mstatus', 0x30002073, RESULT, 4),
  );
}

/** One to three random regions in front of the one that opens everything. */
function protection(random: Random): Pick<Sequence, 'pmpConfiguration' | 'pmpAddresses'> {
  const addresses: bigint[] = [];
  let configuration = 0x1f000000n;
  for (let index = 0; index < 3; index++) {
    // A page under test, or a table below the root (without the root not even the code could be fetched). A table that can
    // be read but not written is left out: QEMU 7.2 sets A and D there all the same.
    const inside = random.chance(0.85);
    const rights = BigInt(random.pick(inside ? [0, 1, 3, 4, 5, 7] : [0, 3, 4, 7]));
    const page = inside ? SCRATCH + BigInt(random.below(PAGES)) * 4096n : random.pick([MIDDLE, LEAVES]);
    const size = inside ? 4096n << BigInt(random.below(2)) : 4096n;
    addresses.push((page >> 2n) | ((size >> 3n) - 1n));
    const kind = random.chance(0.7) ? 0x18n : 0n;
    configuration |= (kind | rights) << BigInt(8 * index);
  }
  return {pmpConfiguration: configuration, pmpAddresses: [...addresses, 0xffffffffffffffffn >> 10n]};
}
