// One example of each class of instructions, for the golden listings: a few words of code that start at the beginning of a page.

import {PAGE_BYTES} from '../../src/emulator/paged-memory.ts';
import {translate} from '../../src/emulator/wasm/translate.ts';
import {listModule} from './listing.ts';

export type Example = {name: string; what: string; assembly: string[]; words: number[]};

const RET = 0x0000_8067;

export const EXAMPLES: readonly Example[] = [
  {
    name: 'arithmetic',
    what: 'register and immediate operations; x0 as a source and as a destination',
    assembly: ['add a0, a1, a2', 'addi a0, a0, -1', 'sub zero, a0, a1', 'slt a3, zero, a0', 'ret'],
    words: [0x00c5_8533, 0xfff5_0513, 0x40b5_0033, 0x00a0_26b3, RET],
  },
  {
    name: 'word-arithmetic',
    what: '32-bit operations, sign-extended',
    assembly: ['addw a0, a1, a2', 'sraiw a0, a0, 3', 'ret'],
    words: [0x00c5_853b, 0x4035_551b, RET],
  },
  {
    name: 'constants',
    what: 'lui, and auipc relative to the page that the region is called with',
    assembly: ['lui a0, 0x12345', 'auipc a1, 0x1', 'ret'],
    words: [0x1234_5537, 0x0000_1597, RET],
  },
  {
    name: 'division',
    what: 'division by zero and overflow do not trap',
    assembly: ['div a0, a1, a2', 'remuw a3, a1, a2', 'ret'],
    words: [0x02c5_c533, 0x02c5_f6bb, RET],
  },
  {
    name: 'bit-manipulation',
    what: 'Zba, Zbb, Zbs',
    assembly: ['sh2add a0, a1, a2', 'clz a3, a0', 'bset a4, a0, a1', 'ret'],
    words: [0x20c5_c533, 0x6005_1693, 0x28b5_1733, RET],
  },
  {
    name: 'load',
    what: 'a load: the cache of translations in line, the slow path behind it',
    assembly: ['lbu a0, 5(a1)', 'ret'],
    words: [0x0055_c503, RET],
  },
  {name: 'store', what: 'a store', assembly: ['sd a0, -8(sp)', 'ret'], words: [0xfea1_3c23, RET]},
  {
    name: 'branch',
    what: 'a forward branch around one instruction: a join',
    assembly: ['beq a0, a1, 8', 'addi a0, a0, 1', 'addi a2, a2, 2', 'ret'],
    words: [0x00b5_0463, 0x0015_0513, 0x0026_0613, RET],
  },
  {
    name: 'loop',
    what: 'an innermost loop: registers stay in locals, the steps left are checked at its head',
    assembly: ['lw a2, 0(a0)', 'add a1, a1, a2', 'addi a0, a0, 4', 'bne a0, a3, -12', 'ret'],
    words: [0x0005_2603, 0x00c5_85b3, 0x0045_0513, 0xfed5_1ae3, RET],
  },
  {
    name: 'irreducible',
    what: 'a loop with two entries: the rest of a round is copied in front of it',
    assembly: ['beqz a0, 8', 'addi a1, a1, 1', 'addi a2, a2, 1', 'bnez a1, -8', 'ret'],
    words: [0x0005_0463, 0x0015_8593, 0x0016_0613, 0xfe05_9ce3, RET],
  },
  {
    name: 'call',
    what: 'a guest call is a call, if its target is translated; the callee says where it has come back to',
    assembly: ['jal ra, 0x100', 'addi a0, a0, 1', 'ret'],
    words: [0x1000_00ef, 0x0015_0513, RET],
  },
  {
    name: 'indirect-jump',
    what: 'a jump to a computed address: a tail call, if its target is translated',
    assembly: ['jalr zero, 4(a0)'],
    words: [0x0045_0067],
  },
  {
    name: 'atomic',
    what: 'an atomic operation, load-reserved, store-conditional',
    assembly: ['amoadd.w a0, a1, (a2)', 'lr.d a3, (a2)', 'sc.d a4, a1, (a2)', 'ret'],
    words: [0x00b6_252f, 0x1006_36af, 0x18b6_372f, RET],
  },
  {
    name: 'csr',
    what: 'a CSR access is the hart’s, and may interrupt',
    assembly: ['csrrw a0, sscratch, a1', 'addi a0, a0, 1', 'ret'],
    words: [0x1405_9573, 0x0015_0513, RET],
  },
  {
    name: 'trap',
    what: 'an environment call is left to the interpreter',
    assembly: ['addi a7, zero, 1', 'ecall'],
    words: [0x0010_0893, 0x0000_0073],
  },
  {
    name: 'floating-point',
    what: 'mstatus.FS is checked once in a block; the host rounds, and the function is called where that might not do',
    assembly: ['fadd.d fa0, fa1, fa2', 'fmul.s fa3, fa0, fa1, rne', 'ret'],
    words: [0x02c5_f553, 0x10b5_06d3, RET],
  },
  {
    name: 'fused-multiply-add',
    what: 'on a host that fuses: one lane of a vector',
    assembly: ['fmadd.d fa4, fa0, fa1, fa2', 'ret'],
    words: [0x62b5_7743, RET],
  },
  {
    name: 'floating-point-compare',
    what: 'a comparison, a move, a load',
    assembly: ['flt.d a0, fa0, fa1', 'fmv.x.d a1, fa0', 'fld fa2, 8(a2)', 'ret'],
    words: [0xa2b5_1553, 0xe205_05d3, 0x0086_3607, RET],
  },
];

/** The listing as its golden file has it. */
export function listingOf({what, assembly, words}: Example): string {
  const bytes = new Uint8Array(PAGE_BYTES);
  const view = new DataView(bytes.buffer);
  for (const [index, word] of words.entries()) view.setUint32(index * 4, word, true);
  const {bytes: module} = translate([{slot: 1, offset: 0, pages: [{delta: 0, decoded: 0x100_0000, bytes}]}], {
    fusesMultiplyAdd: true,
  });
  const source = assembly.map((line, index) => `;   ${(index * 4).toString(16).padStart(2, '0')}  ${line}`);
  return `; ${what}\n${source.join('\n')}\n\n${listModule(module)}`;
}
