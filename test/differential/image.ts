// Puts sequences into one bootable image: the harness (fixtures/guests/harness) with a second segment that holds them. The
// layout is that of `struct image` and `struct sequence` there; all values are 64 bits, little-endian.

import {readGuestFile} from '../support/fixture-guests.ts';
import {C_NOP} from './compressed.ts';
import type {Parcel, Unit} from './units.ts';

export const SCRATCH = 0x80400000n;
export const SCRATCH_BYTES = 16384;

const SEQUENCES = 0x80200000n;
const SEQUENCES_LIMIT_BYTES = Number(SCRATCH - SEQUENCES);
const MAGIC = 0x3151455356544646n;
const HEADER_WORDS = 3;
const SEQUENCE_WORDS = 82;
const EBREAK = 0x00100073;

export type Mode = 'U' | 'S' | 'M';
export const MODE_BITS: Record<Mode, bigint> = {U: 0n, S: 1n, M: 3n};
/** In U mode, under paging, the code is seen here, through a page of its own. */
const USER_ALIAS_OFFSET = -0x40000000n;

export type Sequence = {
  units: Unit[];
  mode: Mode;
  /** mstatus without MPP and FS. */
  status: bigint;
  satp: bigint;
  fillSeed: bigint;
  pokes: {address: bigint; value: bigint}[];
  pmpConfiguration: bigint;
  pmpAddresses: bigint[];
  medeleg: bigint;
  mideleg: bigint;
  mie: bigint;
  mip: bigint;
  fcsr: bigint;
  /** x1 to x31 at [1] to [31]; [3], the pool, is filled in here. */
  x: bigint[];
  f: bigint[];
};

export type LocatedParcel = Parcel & {offset: number; unit: number};
export type Layout = {elf: Uint8Array; parcels: LocatedParcel[][]};

export const NO_INTERRUPTS = {mideleg: 0n, mie: 0n, mip: 0n};

export const PMP_OPEN = {pmpConfiguration: 0x1f000000n, pmpAddresses: [0n, 0n, 0n, 0xffffffffffffffffn >> 10n]};

/** `unitLimit`: in every sequence the units behind that many are replaced by c.nop, which keeps all offsets. */
export function layOut(
  sequences: Sequence[],
  pool: bigint[],
  options: {verbose: boolean; unitLimit?: number | undefined},
): Layout {
  const descriptorsAt = HEADER_WORDS * 8;
  const poolAt = descriptorsAt + sequences.length * SEQUENCE_WORDS * 8;
  let end = poolAt + pool.length * 8;
  const pokesAt = sequences.map((sequence) => {
    const at = end;
    end += sequence.pokes.length * 16;
    return at;
  });
  const parcels = sequences.map((sequence) => assemble(sequence.units, options.unitLimit));
  const codeAt = parcels.map((code) => {
    const at = end;
    end = (end + code.lengthBytes + 4 + 15) & ~15;
    return at;
  });
  if (end > SEQUENCES_LIMIT_BYTES) throw new Error(`${end} bytes of sequences, at most ${SEQUENCES_LIMIT_BYTES}`);
  const blob = new DataView(new ArrayBuffer(end));
  let at = 0;
  const word = (value: bigint) => {
    blob.setBigUint64(at, BigInt.asUintN(64, value), true);
    at += 8;
  };
  for (const value of [MAGIC, BigInt(sequences.length), options.verbose ? 1n : 0n]) word(value);
  sequences.forEach((sequence, index) => {
    const code = SEQUENCES + BigInt(codeAt[index]!);
    word(code);
    word(code + BigInt(parcels[index]!.lengthBytes));
    word(sequence.mode === 'U' && sequence.satp !== 0n ? code + USER_ALIAS_OFFSET : code);
    word(sequence.status | (MODE_BITS[sequence.mode] << 11n) | 0x6000n);
    word(sequence.satp);
    word(sequence.fillSeed);
    word(SEQUENCES + BigInt(pokesAt[index]!));
    word(BigInt(sequence.pokes.length));
    word(sequence.pmpConfiguration);
    for (let i = 0; i < 4; i++) word(sequence.pmpAddresses[i]!);
    for (const value of [sequence.medeleg, sequence.mideleg, sequence.mie, sequence.mip]) word(value);
    word(sequence.fcsr);
    const middleOfPool = SEQUENCES + BigInt(poolAt + (pool.length / 2) * 8);
    for (let i = 0; i < 32; i++) word(i === 3 ? middleOfPool : (sequence.x[i] ?? 0n));
    for (let i = 0; i < 32; i++) word(sequence.f[i]!);
  });
  pool.forEach(word);
  for (const sequence of sequences) {
    for (const poke of sequence.pokes) {
      word(poke.address);
      word(poke.value);
    }
  }
  parcels.forEach((code, index) => {
    const start = codeAt[index]!;
    for (const parcel of code.parcels) {
      if (parcel.bytes === 2) blob.setUint16(start + parcel.offset, parcel.word, true);
      else blob.setUint32(start + parcel.offset, parcel.word, true);
    }
    blob.setUint32(start + code.lengthBytes, EBREAK, true);
  });
  return {
    elf: addSegment(readGuestFile('bin/harness.elf'), new Uint8Array(blob.buffer)),
    parcels: parcels.map((code) => code.parcels),
  };
}

function assemble(units: Unit[], unitLimit = units.length): {parcels: LocatedParcel[]; lengthBytes: number} {
  const offsets = [0];
  for (const unit of units) offsets.push(offsets.at(-1)! + unit.bytes);
  const parcels: LocatedParcel[] = [];
  units.forEach((unit, index) => {
    const here = offsets[index]!;
    const after = (distance: number) => offsets[Math.min(index + distance, units.length)]!;
    const nops = Array.from({length: unit.bytes / 2}, (): Parcel => ({name: 'c.nop', word: C_NOP, bytes: 2}));
    let offset = here;
    for (const parcel of index < unitLimit ? unit.encode(here, after) : nops) {
      parcels.push({...parcel, offset, unit: index});
      offset += parcel.bytes;
    }
    if (offset !== offsets[index + 1]) throw new Error(`unit ${index} says ${unit.bytes} bytes, has ${offset - here}`);
  });
  return {parcels, lengthBytes: offsets.at(-1)!};
}

/** A copy of a one-segment ELF64 with a second segment at SEQUENCES (System V ABI, chapters 4 and 5). */
function addSegment(elf: Uint8Array, segment: Uint8Array): Uint8Array {
  const programHeaderBytes = 56;
  const original = new DataView(elf.buffer, elf.byteOffset, elf.length);
  const oldHeadersAt = Number(original.getBigUint64(32, true));
  const count = original.getUint16(56, true);
  const headersAt = (elf.length + 7) & ~7;
  const segmentAt = (headersAt + (count + 1) * programHeaderBytes + 4095) & ~4095;
  const bytes = new Uint8Array(segmentAt + segment.length);
  bytes.set(elf);
  bytes.set(elf.subarray(oldHeadersAt, oldHeadersAt + count * programHeaderBytes), headersAt);
  bytes.set(segment, segmentAt);
  const view = new DataView(bytes.buffer);
  view.setBigUint64(32, BigInt(headersAt), true);
  view.setUint16(56, count + 1, true);
  const header = headersAt + count * programHeaderBytes;
  view.setUint32(header, 1, true);
  view.setUint32(header + 4, 7, true);
  view.setBigUint64(header + 8, BigInt(segmentAt), true);
  view.setBigUint64(header + 16, SEQUENCES, true);
  view.setBigUint64(header + 24, SEQUENCES, true);
  view.setBigUint64(header + 32, BigInt(segment.length), true);
  view.setBigUint64(header + 40, BigInt(segment.length), true);
  view.setBigUint64(header + 48, 4096n, true);
  return bytes;
}
