// What a state is about to execute: the instruction at its pc, found through its page tables, and disassembled. A look leaves no
// trace: accessed bits are not set, and permissions are not asked, as the machine has been there or will say why not.

import {disassemble} from '../emulator/isa/disassembler.ts';
import {RAM_BASE} from '../emulator/layout.ts';
import {PAGE_BYTES} from '../emulator/paged-memory.ts';
import {littleEndian, registerOf, type StateView} from './state-view.ts';

export type Privilege = 'U' | 'S' | 'M';

export type CodeLocation = {
  /** As the guest addresses it. */
  pc: bigint;
  privilege: Privilege;
  /** Undefined: the address leads nowhere. */
  physicalAddress: bigint | undefined;
  /** Undefined: there is no instruction to be read. */
  instruction: {text: string; encoding: string; lengthBytes: number} | undefined;
};

/** Sv39 (Privileged ISA, chapter 4.4). */
const LEVELS = 3;
const SV39 = 8n;
const PTE = {V: 1n, R: 2n, W: 4n, X: 8n} as const;

/**
 * The instruction at an address in a privilege mode, and where it lies; by default the state's own pc and mode. An interrupt that is
 * due comes before it.
 */
export function codeAt(view: StateView, at: {pc?: bigint; privilege?: Privilege} = {}): CodeLocation {
  const pc = at.pc ?? registerOf(view, 'pc') ?? 0n;
  const privilege = at.privilege ?? privilegeOf(view);
  const half = halfword(view, pc, privilege);
  const following = half !== undefined && (half & 3) === 3 ? halfword(view, pc + 2n, privilege) : 0;
  const physicalAddress = translate(view, pc, privilege);
  if (half === undefined || following === undefined) return {pc, privilege, physicalAddress, instruction: undefined};
  const {text, encoding, lengthBytes} = disassemble(half, (half | (following << 16)) >>> 0, pc);
  const digits = encoding.toString(16).padStart(lengthBytes * 2, '0');
  return {pc, privilege, physicalAddress, instruction: {text, encoding: digits, lengthBytes}};
}

export function privilegeOf(view: StateView): Privilege {
  const mode = registerOf(view, 'privilege');
  return mode === 0n ? 'U' : mode === 1n ? 'S' : 'M';
}

function halfword(view: StateView, address: bigint, privilege: Privilege): number | undefined {
  const physical = translate(view, address, privilege);
  const bytes = physical === undefined ? undefined : ramBytes(view, physical, 2);
  return bytes === undefined ? undefined : bytes[0] | (bytes[1] << 8);
}

/** The physical address of an instruction; undefined when the tables have none. */
function translate(view: StateView, address: bigint, privilege: Privilege): bigint | undefined {
  const virtual = BigInt.asUintN(64, address);
  const satp = registerOf(view, 'satp') ?? 0n;
  if (privilege === 'M' || satp >> 60n !== SV39) return virtual;
  if (BigInt.asUintN(64, BigInt.asIntN(39, virtual)) !== virtual) return undefined;
  let page = satp & 0xfff_ffff_ffffn;
  for (let level = LEVELS - 1; level >= 0; level -= 1) {
    const shift = BigInt(12 + 9 * level);
    const bytes = ramBytes(view, page * BigInt(PAGE_BYTES) + ((virtual >> shift) & 511n) * 8n, 8);
    if (bytes === undefined) return undefined;
    const entry = littleEndian(bytes);
    if ((entry & PTE.V) === 0n) return undefined;
    page = (entry >> 10n) & 0xfff_ffff_ffffn;
    if ((entry & (PTE.R | PTE.X)) === 0n) continue;
    return ((page << 12n) & ~((1n << shift) - 1n)) | (virtual & ((1n << shift) - 1n));
  }
  return undefined;
}

/** Bytes within one page of RAM; undefined where there is none. */
function ramBytes(view: StateView, address: bigint, lengthBytes: number): Uint8Array | undefined {
  const ram = view.memories.find(({name}) => name === 'ram');
  const offset = Number(address - BigInt(RAM_BASE));
  if (ram === undefined || offset < 0 || offset >= ram.pageCount * PAGE_BYTES) return undefined;
  const start = offset % PAGE_BYTES;
  return ram.page(Math.floor(offset / PAGE_BYTES))?.slice(start, start + lengthBytes);
}
