// Loads and stores of every size at every place near the end of a page, against what bytes in a row say. A page's end decides who makes a misaligned
// access: generated code, its function for misaligned ones, or the hart. The next page is somewhere else in RAM.

import assert from 'node:assert/strict';
import type {Engine} from '../../src/emulator/hart/hart.ts';
import {Machine} from '../../src/emulator/machine.ts';
import {elfOf, START} from '../support/bare-elf.ts';
import {bareConfig, VARIANTS} from '../translator/equivalence.ts';

/** Valid; readable, writable, accessed, dirty. */
const PTE = {valid: 0x01, data: 0xc7} as const;
const [CSR_MSTATUS, SATP, PMPCFG0, PMPADDR0] = [0x300, 0x180, 0x3a0, 0x3b0];
/** MPRV with MPP S; MPP M. */
const MSTATUS = {dataAsSupervisor: 0x2_0800, machine: 0x1800} as const;
const [A0, A1, A2, A3, T0, T1, T2] = [10, 11, 12, 13, 5, 6, 7];
/** funct3 of loads, and how a DataView reads the same. */
const LOADS: readonly [funct3: number, read: (view: DataView, at: number) => bigint][] = [
  [0, (view, at) => BigInt(view.getInt8(at))],
  [1, (view, at) => BigInt(view.getInt16(at, true))],
  [2, (view, at) => BigInt(view.getInt32(at, true))],
  [3, (view, at) => view.getBigInt64(at, true)],
  [4, (view, at) => BigInt(view.getUint8(at))],
  [5, (view, at) => BigInt(view.getUint16(at, true))],
  [6, (view, at) => BigInt(view.getUint32(at, true))],
];
const STORES: readonly [funct3: number, write: (view: DataView, at: number, value: bigint) => void][] = [
  [0, (view, at, value) => view.setUint8(at, Number(value & 0xffn))],
  [1, (view, at, value) => view.setUint16(at, Number(value & 0xffffn), true)],
  [2, (view, at, value) => view.setUint32(at, Number(value & 0xffff_ffffn), true)],
  [3, (view, at, value) => view.setBigUint64(at, value, true)],
];
/** Offsets in the address space: the first place, and one behind the last; the results. */
const [FIRST, LAST, RESULTS] = [0x2fe8, 0x3009, 0x4000];
const STEP = 0x0123_4567n;
/** Pages of RAM: where the pages of the address space are; and the page tables. */
const MAPPING: Readonly<Record<number, number>> = {2: 6, 3: 2, 4: 5, 5: 4};
/** Behind the first of them in RAM. */
const BEHIND = 7;
const [ROOT, MIDDLE, LEAVES] = [0x10, 0x11, 0x12];
const RESULTS_BYTES = (LAST - FIRST) * LOADS.length * 8;

describe('misaligned accesses near the end of a page', () => {
  const engines: readonly {name: string; engine: Engine}[] = [
    {name: 'interpreter', engine: {kind: 'interpreter'}},
    ...VARIANTS.filter(({installChance}) => installChance === undefined),
  ];
  for (const {name, engine} of engines) {
    it(name, () => {
      const machine = new Machine(bareConfig({ramBytes: 8 * 2 ** 20}), {kernel: elfOf(program())}, [], engine);
      machine.runUntil(1_000_000n);
      assert.deepEqual(machine.ending, {kind: 'poweroff', code: 0});
      const [ram] = machine.memories;
      const pages = Object.values(MAPPING).map((page) => ram.page(page)!.slice());
      const bytes = Buffer.concat(pages).subarray(FIRST - 0x2000, RESULTS + RESULTS_BYTES - 0x2000);
      assert.deepEqual(bytes, Buffer.from(expected()));
      assert.ok(
        ram.page(BEHIND)!.every((byte) => byte === 0),
        'written behind the page, and not on the next one',
      );
    });
  }
});

/** At each place: stores of each size, of a value that changes each time, and loads of each kind. */
function program(): Uint8Array {
  const body = [
    ...STORES.flatMap(([funct3]) => [rType(A3, A3, T1), store(funct3, A0, A3, 0)]),
    ...LOADS.flatMap(([funct3], n) => [load(funct3, T0, A0, 0), store(3, A2, T0, 8 * n)]),
    iType(0, A0, A0, 1),
    iType(0, A2, A2, 8 * LOADS.length),
  ];
  const code = [
    ...constant(A0, START + FIRST),
    ...constant(A1, START + LAST),
    ...constant(A2, START + RESULTS),
    ...constant(T1, Number(STEP)),
    ...protection(),
    ...constant(T0, 8),
    slli(T0, 60),
    ...constant(T2, START / 0x1000 + ROOT),
    rType(T0, T0, T2),
    csrw(SATP, T0),
    ...constant(T0, MSTATUS.dataAsSupervisor),
    csrw(CSR_MSTATUS, T0),
    ...body,
    bne(A0, A1, -4 * body.length),
    ...constant(T0, MSTATUS.machine),
    csrw(CSR_MSTATUS, T0),
    ...constant(T2, 0x10_0000), // the finisher
    ...constant(T0, 0x5555),
    store(2, T2, T0, 0),
  ];
  const bytes = new Uint8Array(0x1000 * (LEAVES + 1));
  const view = new DataView(bytes.buffer);
  for (const [n, word] of code.entries()) view.setUint32(4 * n, word, true);
  const entry = (table: number, index: number, page: number, flags: number): void =>
    view.setBigUint64(0x1000 * table + 8 * index, (BigInt(START / 0x1000 + page) << 10n) | BigInt(flags), true);
  entry(ROOT, START / 2 ** 30, MIDDLE, PTE.valid);
  entry(MIDDLE, 0, LEAVES, PTE.valid);
  for (const [from, to] of Object.entries(MAPPING)) entry(LEAVES, Number(from), to, PTE.data);
  return bytes;
}

/** All of memory for everybody, or only M mode may reach it. */
function protection(): number[] {
  return [...constant(T0, 0), iType(0, T0, T0, -1), csrw(PMPADDR0, T0), ...constant(T0, 0x1f), csrw(PMPCFG0, T0)];
}

/** The same, in a row of bytes: from the first place to the last result. */
function expected(): Uint8Array {
  const view = new DataView(new ArrayBuffer(RESULTS + RESULTS_BYTES));
  let value = 0n;
  let result = RESULTS;
  for (let at = FIRST; at < LAST; at += 1) {
    for (const [, write] of STORES) {
      value = BigInt.asUintN(64, value + STEP);
      write(view, at, value);
    }
    for (const [, read] of LOADS) {
      view.setBigInt64(result, read(view, at), true);
      result += 8;
    }
  }
  return new Uint8Array(view.buffer, FIRST);
}

/** lui, addi; zero-extended. */
function constant(rd: number, value: number): number[] {
  const low = (value << 20) >> 20;
  const words = [((value - low) & 0xffff_f000) | (rd << 7) | 0x37, iType(0, rd, rd, low), slli(rd, 32)];
  return [...words, iType(5, rd, rd, 32)];
}

function slli(rd: number, distance: number): number {
  return iType(1, rd, rd, distance);
}

function csrw(csr: number, rs1: number): number {
  return (csr << 20) | (rs1 << 15) | (1 << 12) | 0x73;
}

function iType(funct3: number, rd: number, rs1: number, imm: number): number {
  return (imm << 20) | (rs1 << 15) | (funct3 << 12) | (rd << 7) | 0x13;
}

/** add */
function rType(rd: number, rs1: number, rs2: number): number {
  return (rs2 << 20) | (rs1 << 15) | (rd << 7) | 0x33;
}

function load(funct3: number, rd: number, rs1: number, imm: number): number {
  return (imm << 20) | (rs1 << 15) | (funct3 << 12) | (rd << 7) | 0x03;
}

function store(funct3: number, rs1: number, rs2: number, imm: number): number {
  return ((imm >> 5) << 25) | (rs2 << 20) | (rs1 << 15) | (funct3 << 12) | ((imm & 31) << 7) | 0x23;
}

function bne(rs1: number, rs2: number, offset: number): number {
  const high = (((offset >> 12) & 1) << 31) | (((offset >> 5) & 0x3f) << 25);
  return (
    high | (rs2 << 20) | (rs1 << 15) | (1 << 12) | (((offset >> 1) & 0xf) << 8) | (((offset >> 11) & 1) << 7) | 0x63
  );
}
