// Building blocks of random sequences: a unit is one instruction, or a few that belong together (an address and its use).
// Registers that every sequence relies on are never written: x2 and x8 point into the scratch memory, x3 to the constants.

import * as c from './compressed.ts';
import {
  ATOMIC,
  BRANCH,
  CSRS,
  type CsrRow,
  FLOAT,
  FLOAT_LOAD,
  FLOAT_STORE,
  type FloatRow,
  IMMEDIATE,
  LOAD,
  LOAD_RESERVED,
  REGISTER,
  SHIFT5,
  SHIFT6,
  STORE,
  STORE_CONDITIONAL,
  UNARY,
  UPPER,
} from './encodings.ts';
import type {Random} from './random.ts';

/** One instruction: 2 or 4 bytes. */
export type Parcel = {name: string; word: number; bytes: 2 | 4};

export type Unit = {
  bytes: number;
  /** `here`: offset of the unit in its sequence. `after(n)`: offset of the unit n places behind this one (1 is the next). */
  encode(here: number, after: (units: number) => number): Parcel[];
};

export const STACK = 2;
export const POOL = 3;
export const BASE = 8;
/** Constants in the pool: x3 points to its middle, so that every one is within a load's reach. */
export const POOL_WORDS = 512;

const RESERVED_REGISTERS = new Set([STACK, POOL, BASE]);

export const wide = (name: string, word: number): Parcel => ({name, word: word >>> 0, bytes: 4});
const narrow = (name: string, word: number): Parcel => ({name, word, bytes: 2});
const rd = (register: number) => register << 7;
const rs1 = (register: number) => register << 15;
const rs2 = (register: number) => register << 20;
const imm12 = (value: number) => (value & 0xfff) << 20;
const store12 = (value: number) => (((value >> 5) & 0x7f) << 25) | ((value & 31) << 7);

export function fixed(...parcels: Parcel[]): Unit {
  return {bytes: parcels.reduce((sum, parcel) => sum + parcel.bytes, 0), encode: () => parcels};
}

export const target = (random: Random): number => {
  const register = random.below(32);
  return RESERVED_REGISTERS.has(register) ? target(random) : register;
};
const source = (random: Random) => random.below(32);
/** x9 to x15: what a compressed instruction may write. */
const shortTarget = (random: Random) => random.between(9, 15);
const shortSource = (random: Random) => random.between(8, 15);

export function addi(to: number, from: number, value: number): Parcel {
  return wide('addi', 0x13 | rd(to) | rs1(from) | imm12(value));
}

/** Loads a random constant from the pool into a register. */
export function constant(random: Random, to: number, float: boolean): Parcel {
  const offset = 8 * random.between(-POOL_WORDS / 2, POOL_WORDS / 2 - 1);
  const clipped = Math.max(-2048, Math.min(2040, offset));
  return float
    ? wide('fld', 0x3007 | rd(to) | rs1(POOL) | imm12(clipped))
    : wide('ld', 0x3003 | rd(to) | rs1(POOL) | imm12(clipped));
}

export function integerUnit(random: Random): Unit {
  const to = target(random);
  switch (random.below(12)) {
    case 0:
    case 1:
      return fixed(constant(random, target(random), false));
    case 2: {
      const [name, word] = random.pick(IMMEDIATE);
      const value = random.pick([0, 1, -1, 2047, -2048, random.between(-2048, 2047)]);
      return fixed(wide(name, word | rd(to) | rs1(source(random)) | imm12(value)));
    }
    case 3: {
      const [name, word] = random.pick(SHIFT6);
      return fixed(wide(name, word | rd(to) | rs1(source(random)) | (random.below(64) << 20)));
    }
    case 4: {
      const [name, word] = random.pick(SHIFT5);
      return fixed(wide(name, word | rd(to) | rs1(source(random)) | (random.below(32) << 20)));
    }
    case 5: {
      const [name, word] = random.pick(UNARY);
      if (name !== 'ctzw') return fixed(wide(name, word | rd(to) | rs1(source(random))));
      // QEMU 7.2 counts on into the upper word: it gets its own sign or zeros there.
      const [extend, extendWord] = random.pick([['addw', 0x3b] as const, ['add.uw', 0x800003b] as const]);
      return fixed(wide(extend, extendWord | rd(5) | rs1(source(random))), wide(name, word | rd(to) | rs1(5)));
    }
    case 6: {
      const [name, word] = random.pick(UPPER);
      return fixed(wide(name, word | rd(to) | (random.u32() & 0xfffff000)));
    }
    default: {
      const [name, word] = random.pick(REGISTER);
      return fixed(wide(name, word | rd(to) | rs1(source(random)) | rs2(source(random))));
    }
  }
}

/** A jump or branch forwards over up to six units, or to the next one. */
export function jumpUnit(random: Random): Unit {
  const over = random.between(1, 7);
  switch (random.below(5)) {
    case 0: {
      const to = random.pick([0, 1, 5, target(random)]);
      return {bytes: 4, encode: (here, after) => [wide('jal', 0x6f | rd(to) | jumpBits(after(over) - here))]};
    }
    case 1: {
      // The target may be odd: jalr clears bit 0.
      const base = random.between(4, 7);
      const link = random.pick([0, 1, 5]);
      const odd = random.below(2);
      return {
        bytes: 8,
        encode: (here, after) => [
          wide('auipc', 0x17 | rd(base)),
          wide('jalr', 0x67 | rd(link) | rs1(base) | imm12(after(over) - here + odd)),
        ],
      };
    }
    default: {
      const [name, word] = random.pick(BRANCH);
      const operands = rs1(source(random)) | rs2(source(random));
      return {bytes: 4, encode: (here, after) => [wide(name, word | operands | branchBits(after(over) - here))]};
    }
  }
}

function jumpBits(offset: number): number {
  return (
    (((offset >> 20) & 1) << 31) |
    (((offset >> 1) & 0x3ff) << 21) |
    (((offset >> 11) & 1) << 20) |
    (((offset >> 12) & 0xff) << 12)
  );
}

function branchBits(offset: number): number {
  return (
    (((offset >> 12) & 1) << 31) |
    (((offset >> 5) & 0x3f) << 25) |
    (((offset >> 1) & 0xf) << 8) |
    (((offset >> 11) & 1) << 7)
  );
}

/** Loads and stores around x8, which points to a page boundary, so that many cross it. */
export function memoryUnit(random: Random): Unit {
  let offset = random.pick([random.between(-16, 16), random.between(-2048, 2047), 8 * random.between(-8, 8)]);
  const parcels: Parcel[] = [];
  let base = random.pick([BASE, STACK]);
  if (random.chance(0.4)) {
    const moved = random.pick([4, 5, 6, 7, 9, 20, 31]);
    parcels.push(addi(moved, base, random.between(-64, 64)));
    base = moved;
  } else if (random.chance(0.05)) {
    // An address far beyond memory: an access fault. Aligned, as QEMU reports a misaligned one rounded down.
    offset &= ~7;
    base = random.pick([4, 6, 7]);
    parcels.push(addi(base, 0, random.between(1, 2047)));
    parcels.push(wide('slli', 0x1013 | rd(base) | rs1(base) | (random.between(40, 50) << 20)));
  }
  if (random.chance(0.5)) {
    const float = random.chance(0.25);
    const [name, word] = random.pick(float ? FLOAT_LOAD : LOAD);
    parcels.push(wide(name, word | rd(float ? source(random) : target(random)) | rs1(base) | imm12(offset)));
  } else {
    const [name, word] = random.pick(random.chance(0.25) ? FLOAT_STORE : STORE);
    parcels.push(wide(name, word | rs1(base) | rs2(source(random)) | store12(offset)));
  }
  return fixed(...parcels);
}

export function atomicUnit(random: Random): Unit {
  const address = random.pick([4, 5, 6, 7, 9, 30]);
  const misaligned = random.chance(0.08) ? random.between(1, 7) : 0;
  const offset = 8 * random.between(-100, 100);
  const point = addi(address, BASE, offset + (misaligned || random.pick([0, 4, 0])));
  const order = random.below(4) << 25;
  const result = target(random);
  if (random.chance(0.65)) {
    const [name, word] = random.pick(ATOMIC);
    return fixed(point, wide(name, word | order | rd(result) | rs1(address) | rs2(source(random))));
  }
  const width = random.below(2);
  const [load, loadWord] = LOAD_RESERVED[width]!;
  const [store, storeWord] = STORE_CONDITIONAL[width]!;
  const aligned = addi(address, BASE, offset);
  const reserve = wide(load, loadWord | order | rd(random.pick([10, 11, 12])) | rs1(address));
  const conditional = wide(
    store,
    storeWord | order | rd(random.pick([13, 14, 0])) | rs1(address) | rs2(source(random)),
  );
  switch (random.below(4)) {
    case 0: // a reservation is good once
      return fixed(aligned, reserve, conditional, {...conditional, word: (conditional.word & ~rd(31)) | rd(15)});
    case 1: // elsewhere, far beyond any reservation set: fails
      return fixed(aligned, reserve, addi(address, address, 512), conditional);
    case 2:
      return fixed(point, reserve, aligned, {...conditional, word: conditional.word});
    default:
      return fixed(aligned, reserve, wide('add', 0x33 | rd(15) | rs1(10) | rs2(11)), conditional);
  }
}

export function compressedUnit(random: Random): Unit {
  const to = target(random);
  const imm = random.between(-32, 31);
  switch (random.below(16)) {
    case 0:
      return fixed(narrow('c.addi', c.ci(c.C_CI.addi, to, imm)));
    case 1:
      return fixed(narrow('c.addiw', c.ci(c.C_CI.addiw, to === 0 ? 5 : to, imm)));
    case 2:
      return fixed(narrow('c.li', c.ci(c.C_CI.li, to, imm)));
    case 3:
      return fixed(narrow('c.lui', c.ci(c.C_CI.lui, to, imm === 0 ? 1 : imm)));
    case 4:
      return fixed(narrow('c.slli', c.ci(c.C_CI.slli, to, random.below(64))));
    case 5: {
      const [name, word] = random.pick(Object.entries(c.C_CB));
      return fixed(narrow(`c.${name}`, c.cbImmediate(word, shortTarget(random), random.below(64))));
    }
    case 6:
    case 7: {
      const [name, word] = random.pick(Object.entries(c.C_CA));
      return fixed(narrow(`c.${name}`, c.ca(word, shortTarget(random), shortSource(random))));
    }
    case 8:
      return fixed(narrow('c.mv', c.cr(c.C_CR.mv, to, random.between(1, 31))));
    case 9:
      return fixed(narrow('c.add', c.cr(c.C_CR.add, to, random.between(1, 31))));
    case 10: {
      // The stack pointer is put back at once.
      const step = 16 * random.between(1, 31);
      return fixed(
        narrow('c.addi16sp', c.addi16sp(step)),
        narrow('c.mv', c.cr(c.C_CR.mv, shortTarget(random), STACK)),
        narrow('c.addi16sp', c.addi16sp(-step)),
      );
    }
    case 11:
      return fixed(narrow('c.addi4spn', c.addi4spn(shortTarget(random), 4 * random.between(1, 255))));
    case 12: {
      const [name, word, scale, kind] = random.pick(c.C_MEMORY);
      const register = kind === 'load' ? shortTarget(random) : shortSource(random);
      return fixed(narrow(name, c.memory(word, register, BASE, scale * random.below(32), scale)));
    }
    case 13: {
      const [name, word, scale] = random.pick(c.C_LOAD_SP);
      const register = name === 'c.fldsp' ? source(random) : to === 0 ? 6 : to;
      return fixed(narrow(name, c.loadSp(word, register, scale * random.below(64), scale)));
    }
    case 14: {
      const [name, word, scale] = random.pick(c.C_STORE_SP);
      return fixed(narrow(name, c.storeSp(word, source(random), scale * random.below(64), scale)));
    }
    default:
      return compressedJump(random);
  }
}

function compressedJump(random: Random): Unit {
  const over = random.between(1, 5);
  switch (random.below(4)) {
    case 0:
      return {bytes: 2, encode: (here, after) => [narrow('c.j', c.jump(after(over) - here))]};
    case 1: {
      const base = random.between(4, 7);
      const [name, word] = random.pick([['c.jr', c.C_CR.jr] as const, ['c.jalr', c.C_CR.jalr] as const]);
      return {
        bytes: 10,
        encode: (here, after) => [
          wide('auipc', 0x17 | rd(base)),
          addi(base, base, after(over) - here),
          narrow(name, c.cr(word, base, 0)),
        ],
      };
    }
    default: {
      const [name, word] = random.pick(Object.entries(c.C_BRANCH));
      const register = shortSource(random);
      return {bytes: 2, encode: (here, after) => [narrow(`c.${name}`, c.branch(word, register, after(over) - here))]};
    }
  }
}

const FUNCTION3 = {csrrw: 1, csrrs: 2, csrrc: 3} as const;

/** A register is written with chosen bits, and read back. */
export function csrUnit(random: Random, rows: readonly CsrRow[] = CSRS): Unit {
  const row = random.pick(rows);
  const value = random.pick([5, 6, 7, 9]);
  const old = random.pick([0, 10, 11, 12]);
  const operation = random.pick(['csrrw', 'csrrs', 'csrrc'] as const);
  const number = row.number << 20;
  const parcels: Parcel[] = [];
  const unrestricted = row.mask === 0xffffffffffffffffn;
  if (unrestricted && random.chance(0.3)) {
    parcels.push(
      wide(
        `${operation}i ${row.name}`,
        0x4073 | number | (FUNCTION3[operation] << 12) | rd(old) | rs1(random.below(32)),
      ),
    );
  } else {
    parcels.push(constant(random, value, false));
    if (!unrestricted) {
      // Only permitted bits, so that no interrupt is enabled and no reserved value is written.
      parcels.push(...loadMask(13, row.mask), wide('and', 0x7033 | rd(value) | rs1(value) | rs2(13)));
      if (row.fixed !== undefined) {
        parcels.push(...loadMask(13, row.fixed), wide('or', 0x6033 | rd(value) | rs1(value) | rs2(13)));
      }
    }
    // Clearing must not clear what is fixed.
    const safe = row.fixed !== undefined && operation === 'csrrc' ? 'csrrw' : operation;
    parcels.push(wide(`${safe} ${row.name}`, 0x73 | number | (FUNCTION3[safe] << 12) | rd(old) | rs1(value)));
  }
  const kept = random.pick([15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31]);
  parcels.push(wide(`csrr ${row.name}`, 0x2073 | number | rd(kept)));
  return fixed(...parcels);
}

/** Puts a 64-bit constant together in `to`, 11 bits at a time. */
function loadMask(to: number, value: bigint): Parcel[] {
  const parcels = [wide('addi', 0x13 | rd(to))];
  for (let shift = 66n; shift > 0n; shift -= 11n) {
    const piece = Number((value >> (shift - 11n)) & 0x7ffn);
    if (piece === 0 && parcels.length === 1) continue;
    parcels.push(wide('slli', 0x1013 | rd(to) | rs1(to) | (11 << 20)));
    parcels.push(wide('ori', 0x6013 | rd(to) | rs1(to) | imm12(piece)));
  }
  return parcels;
}

export function floatUnit(random: Random, rows: readonly FloatRow[] = FLOAT): Unit {
  const [name, word, form] = random.pick(rows);
  const a = source(random);
  const b = source(random);
  const d = source(random);
  const integerSource = form.startsWith('f=x');
  const parcels: Parcel[] = [];
  if (random.chance(0.15)) parcels.push(roundingMode(random));
  if (random.chance(0.6)) parcels.push(constant(random, integerSource ? 5 : a, !integerSource));
  if (form.includes('f,f') && random.chance(0.5)) parcels.push(constant(random, b, true));
  if (form.includes('f,f,f') && random.chance(0.5)) parcels.push(constant(random, d, true));
  let whole = word | rd(form.startsWith('x') ? target(random) : source(random));
  whole |= rs1(integerSource && parcels.length > 0 ? 5 : a);
  if (form.includes('f,f')) whole |= rs2(b);
  if (form.includes('f,f,f')) whole |= d << 27;
  if (form.endsWith('rm')) whole |= random.pick([0, 1, 2, 3, 4, 7, 7, 7, 7, random.below(8)]) << 12;
  parcels.push(wide(name, whole));
  // Flags are sticky: now and then they are collected and cleared.
  if (random.chance(0.4)) parcels.push(wide('csrrwi fflags', 0x00105073 | rd(target(random))));
  return fixed(...parcels);
}

/** A few times around several numeric instructions, singles and doubles, with loads and stores between them. */
export function numericLoop(random: Random): Unit {
  const counter = target(random);
  const length = random.between(2, 10);
  const parcels: Parcel[] = [];
  while (counter !== 0 && parcels.length < length) {
    const some = random.chance(0.3) ? [floatAccess(random)] : numericParcels(random);
    // No other than the last instruction may change how often.
    if (!some.some(({word}) => ((word >>> 7) & 31) === counter)) parcels.push(...some);
  }
  const bytes = 4 * parcels.length;
  return fixed(
    addi(counter, 0, random.between(1, 6)),
    ...parcels,
    addi(counter, counter, -1),
    wide('bne', 0x1063 | rs1(counter) | branchBits(-bytes - 4)),
  );
}

/** Of an FP register, in the scratch memory. */
function floatAccess(random: Random): Parcel {
  const offset = 8 * random.between(0, 63);
  const register = source(random);
  if (random.chance(0.5)) {
    const [name, word] = random.pick(FLOAT_LOAD);
    return wide(name, word | rd(register) | rs1(BASE) | imm12(offset));
  }
  const [name, word] = random.pick(FLOAT_STORE);
  return wide(name, word | rs2(register) | rs1(BASE) | store12(offset));
}

/** Floating point as programs have it: to nearest, with NX accrued; yet now and then another mode, or the flags cleared. */
export const numericUnit = (random: Random): Unit => fixed(...numericParcels(random));

function numericParcels(random: Random): Parcel[] {
  const [name, word, form] = random.pick(FLOAT);
  const integerSource = form.startsWith('f=x');
  const sources = [source(random), source(random), source(random)];
  const parcels: Parcel[] = [];
  if (random.chance(0.12)) parcels.push(wide('csrrwi frm', 0x00205073));
  else if (random.chance(0.03)) parcels.push(roundingMode(random));
  if (random.chance(0.12)) parcels.push(wide('csrrsi fflags', 0x00106073 | rd(target(random)) | rs1(1)));
  else if (random.chance(0.03)) parcels.push(wide('csrrwi fflags', 0x00105073 | rd(target(random))));
  for (const register of sources) if (random.chance(0.25)) parcels.push(constant(random, register, true));
  if (integerSource) parcels.push(constant(random, 5, false));
  let whole = word | rd(form.startsWith('x') ? target(random) : source(random));
  whole |= rs1(integerSource ? 5 : sources[0]);
  if (form.includes('f,f')) whole |= rs2(random.chance(0.1) ? sources[0] : sources[1]);
  if (form.includes('f,f,f')) whole |= sources[2] << 27;
  if (form.endsWith('rm')) whole |= random.pick([0, 7, 7, 7, form.startsWith('x') ? 1 : 7, random.below(5)]) << 12;
  parcels.push(wide(name, whole));
  return parcels;
}

/** Sets frm: mostly a good mode, sometimes a reserved one, which makes dynamic rounding illegal. */
function roundingMode(random: Random): Parcel {
  const mode = random.chance(0.12) ? random.between(5, 7) : random.below(5);
  return wide('csrrwi frm', 0x00205073 | rs1(mode));
}
