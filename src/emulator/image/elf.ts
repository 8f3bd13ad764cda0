// Reads RV64 little-endian executables: which bytes go to which physical address, and where execution starts (System V ABI,
// chapters 4 and 5; RISC-V ELF psABI). The file comes from the user: whatever is wrong with it is a named error.

import {FtvmError} from '../../errors.ts';

/** Bytes of the file for one stretch of memory; the rest up to `memoryBytes` is zero. */
export type Segment = {address: number; bytes: Uint8Array; memoryBytes: number};

export type Executable = {entry: number; segments: Segment[]};

/** The memory that an image may occupy: from `start` up to, not including, `end`. */
export type MemoryRange = {start: number; end: number};

const HEADER_BYTES = 64;
const PROGRAM_HEADER_BYTES = 56;
const TYPE_EXECUTABLE = 2;
const MACHINE_RISCV = 243;
const SEGMENT_LOAD = 1;

/** Machines that people give by mistake (ELF's e_machine). */
const MACHINE_NAMES: Readonly<Record<number, string>> = {
  3: 'x86',
  8: 'MIPS',
  20: 'PowerPC',
  21: 'PowerPC64',
  40: 'ARM',
  62: 'x86-64',
  183: 'AArch64',
  258: 'LoongArch',
};

export function isElf(bytes: Uint8Array): boolean {
  return bytes.length >= 4 && bytes[0] === 0x7f && bytes[1] === 0x45 && bytes[2] === 0x4c && bytes[3] === 0x46;
}

/**
 * Parses an executable whose segments must lie in `ram`, without overlapping. Throws FtvmError `badImage` for anything else:
 * no ELF, another class, endianness, machine or type, a truncated file, segments outside RAM or over each other.
 */
export function parseElf(bytes: Uint8Array, ram: MemoryRange): Executable {
  if (!isElf(bytes)) throw bad('not an ELF file', 'Give a RISC-V ELF executable; a kernel Image needs --bios too.');
  if (bytes.length < HEADER_BYTES) throw truncated('header', HEADER_BYTES, bytes.length);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  checkIdentity(bytes, view);
  const entry = address(view, 24, 'the entry point');
  const tableOffset = address(view, 32, "the program headers' offset");
  const entryBytes = view.getUint16(54, true);
  const count = view.getUint16(56, true);
  if (count === 0) throw bad('no program headers: nothing to load', 'Link it first: object files cannot be started.');
  if (entryBytes !== PROGRAM_HEADER_BYTES)
    throw bad(`program headers of ${entryBytes} bytes, ${PROGRAM_HEADER_BYTES} expected`);
  const tableEnd = tableOffset + count * PROGRAM_HEADER_BYTES;
  if (tableEnd > bytes.length) throw truncated('program headers', tableEnd, bytes.length);

  const segments: Segment[] = [];
  for (let at = tableOffset; at < tableEnd; at += PROGRAM_HEADER_BYTES) {
    if (view.getUint32(at, true) === SEGMENT_LOAD) segments.push(...readSegment(bytes, {view, at, ram}));
  }
  checkPlacement(segments, entry);
  return {entry, segments};
}

function checkIdentity(bytes: Uint8Array, view: DataView): void {
  if (bytes[4] !== 2) throw bad('a 32-bit ELF file; the machine is RV64', 'Compile it with -march=rv64gc -mabi=lp64d.');
  if (bytes[5] !== 1) throw bad('a big-endian ELF file; RISC-V is little-endian');
  const machine = view.getUint16(18, true);
  if (machine !== MACHINE_RISCV) {
    throw bad(
      `an ELF file for ${MACHINE_NAMES[machine] ?? `machine ${machine}`}, not for RISC-V`,
      'Compile it for riscv64.',
    );
  }
  const type = view.getUint16(16, true);
  if (type !== TYPE_EXECUTABLE) {
    throw bad(
      `an ELF file of type ${type}, not an executable with fixed addresses`,
      'Link it with -static -no-pie at 0x80000000.',
    );
  }
}

/** Program header by offset: type 0 u32, flags 4 u32, file offset 8, virtual 16, physical 24, file size 32, memory size 40 (u64 each). */
function readSegment(bytes: Uint8Array, {view, at, ram}: {view: DataView; at: number; ram: MemoryRange}): Segment[] {
  const offset = address(view, at + 8, "a segment's offset");
  const start = address(view, at + 24, "a segment's address");
  const fileBytes = address(view, at + 32, "a segment's size in the file");
  const memoryBytes = address(view, at + 40, "a segment's size in memory");
  if (memoryBytes === 0) return [];
  const what = `segment ${hex(start)}–${hex(start + memoryBytes)}`;
  if (fileBytes > memoryBytes) throw bad(`${what} is larger in the file than in memory`);
  if (offset + fileBytes > bytes.length) throw truncated(what, offset + fileBytes, bytes.length);
  if (start < ram.start || start + memoryBytes > ram.end) {
    throw bad(
      `${what} lies outside RAM, ${hex(ram.start)}–${hex(ram.end)}`,
      start < ram.start
        ? 'Link it at 0x80000000; programs for Linux do not run without it.'
        : 'Give the machine more --ram.',
      {address: start, lengthBytes: memoryBytes},
    );
  }
  return [{address: start, bytes: bytes.subarray(offset, offset + fileBytes), memoryBytes}];
}

function checkPlacement(segments: Segment[], entry: number): void {
  if (segments.length === 0) throw bad('no segments to load');
  const sorted = [...segments].sort((a, b) => a.address - b.address);
  for (const [index, segment] of sorted.entries()) {
    const next = sorted[index + 1];
    if (next !== undefined && segment.address + segment.memoryBytes > next.address) {
      throw bad(`two segments overlap at ${hex(next.address)}`, undefined, {address: next.address});
    }
  }
  const inside = segments.some((it) => entry >= it.address && entry < it.address + it.memoryBytes);
  if (!inside || entry % 2 !== 0) throw bad(`the entry point ${hex(entry)} is in no segment or at an odd address`);
}

/** A u64 that must be exact as a number. */
function address(view: DataView, offset: number, what: string): number {
  const value = view.getBigUint64(offset, true);
  if (value > BigInt(Number.MAX_SAFE_INTEGER)) throw bad(`${what} is ${hex(value)}, outside RAM`);
  return Number(value);
}

function hex(value: number | bigint): string {
  return `0x${value.toString(16)}`;
}

function truncated(what: string, neededBytes: number, lengthBytes: number): FtvmError {
  return bad(
    `truncated: ${what} up to byte ${neededBytes}, but the file has ${lengthBytes}`,
    'Copy or build it again.',
    {
      neededBytes,
      lengthBytes,
    },
  );
}

function bad(what: string, hint?: string, details?: Record<string, unknown>): FtvmError {
  return new FtvmError('badImage', `bad image: ${what}`, {
    ...(hint === undefined ? {} : {hint}),
    ...(details === undefined ? {} : {details}),
  });
}
