// Encodings, from the RISC-V manual alone and on purpose not from src/emulator/isa: what both say is right twice. Each row is
// an instruction's word with zero operands; its table says where the operands go.

export type Row = readonly [name: string, word: number];

/** rd, rs1, rs2 (volume I, chapters 2, 5, 7; Zba, Zbb, Zbs). */
export const REGISTER: readonly Row[] = [
  ['add', 0x33],
  ['sub', 0x40000033],
  ['sll', 0x1033],
  ['slt', 0x2033],
  ['sltu', 0x3033],
  ['xor', 0x4033],
  ['srl', 0x5033],
  ['sra', 0x40005033],
  ['or', 0x6033],
  ['and', 0x7033],
  ['addw', 0x3b],
  ['subw', 0x4000003b],
  ['sllw', 0x103b],
  ['srlw', 0x503b],
  ['sraw', 0x4000503b],
  ['mul', 0x2000033],
  ['mulh', 0x2001033],
  ['mulhsu', 0x2002033],
  ['mulhu', 0x2003033],
  ['div', 0x2004033],
  ['divu', 0x2005033],
  ['rem', 0x2006033],
  ['remu', 0x2007033],
  ['mulw', 0x200003b],
  ['divw', 0x200403b],
  ['divuw', 0x200503b],
  ['remw', 0x200603b],
  ['remuw', 0x200703b],
  ['add.uw', 0x800003b],
  ['sh1add', 0x20002033],
  ['sh2add', 0x20004033],
  ['sh3add', 0x20006033],
  ['sh1add.uw', 0x2000203b],
  ['sh2add.uw', 0x2000403b],
  ['sh3add.uw', 0x2000603b],
  ['andn', 0x40007033],
  ['orn', 0x40006033],
  ['xnor', 0x40004033],
  ['max', 0xa006033],
  ['maxu', 0xa007033],
  ['min', 0xa004033],
  ['minu', 0xa005033],
  ['rol', 0x60001033],
  ['ror', 0x60005033],
  ['rolw', 0x6000103b],
  ['rorw', 0x6000503b],
  ['bclr', 0x48001033],
  ['bext', 0x48005033],
  ['binv', 0x68001033],
  ['bset', 0x28001033],
];

/** rd, rs1 (Zbb). */
export const UNARY: readonly Row[] = [
  ['clz', 0x60001013],
  ['ctz', 0x60101013],
  ['cpop', 0x60201013],
  ['clzw', 0x6000101b],
  ['ctzw', 0x6010101b],
  ['cpopw', 0x6020101b],
  ['sext.b', 0x60401013],
  ['sext.h', 0x60501013],
  ['zext.h', 0x800403b],
  ['orc.b', 0x28705013],
  ['rev8', 0x6b805013],
];

/** rd, rs1, a 12-bit immediate. */
export const IMMEDIATE: readonly Row[] = [
  ['addi', 0x13],
  ['slti', 0x2013],
  ['sltiu', 0x3013],
  ['xori', 0x4013],
  ['ori', 0x6013],
  ['andi', 0x7013],
  ['addiw', 0x1b],
];

/** rd, rs1, a shift of 6 bits. */
export const SHIFT6: readonly Row[] = [
  ['slli', 0x1013],
  ['srli', 0x5013],
  ['srai', 0x40005013],
  ['slli.uw', 0x800101b],
  ['rori', 0x60005013],
  ['bclri', 0x48001013],
  ['bexti', 0x48005013],
  ['binvi', 0x68001013],
  ['bseti', 0x28001013],
];

/** rd, rs1, a shift of 5 bits. */
export const SHIFT5: readonly Row[] = [
  ['slliw', 0x101b],
  ['srliw', 0x501b],
  ['sraiw', 0x4000501b],
  ['roriw', 0x6000501b],
];

/** rd, a 20-bit immediate. */
export const UPPER: readonly Row[] = [
  ['lui', 0x37],
  ['auipc', 0x17],
];

export const BRANCH: readonly Row[] = [
  ['beq', 0x63],
  ['bne', 0x1063],
  ['blt', 0x4063],
  ['bge', 0x5063],
  ['bltu', 0x6063],
  ['bgeu', 0x7063],
];

export const LOAD: readonly Row[] = [
  ['lb', 0x3],
  ['lh', 0x1003],
  ['lw', 0x2003],
  ['ld', 0x3003],
  ['lbu', 0x4003],
  ['lhu', 0x5003],
  ['lwu', 0x6003],
];
export const STORE: readonly Row[] = [
  ['sb', 0x23],
  ['sh', 0x1023],
  ['sw', 0x2023],
  ['sd', 0x3023],
];
export const FLOAT_LOAD: readonly Row[] = [
  ['flw', 0x2007],
  ['fld', 0x3007],
];
export const FLOAT_STORE: readonly Row[] = [
  ['fsw', 0x2027],
  ['fsd', 0x3027],
];

/** rd, rs2, (rs1); bits 26 and 25 are aq and rl (chapter 8). */
export const ATOMIC: readonly Row[] = [
  ['amoswap.w', 0x800202f],
  ['amoadd.w', 0x202f],
  ['amoxor.w', 0x2000202f],
  ['amoand.w', 0x6000202f],
  ['amoor.w', 0x4000202f],
  ['amomin.w', 0x8000202f],
  ['amomax.w', 0xa000202f],
  ['amominu.w', 0xc000202f],
  ['amomaxu.w', 0xe000202f],
  ['amoswap.d', 0x800302f],
  ['amoadd.d', 0x302f],
  ['amoxor.d', 0x2000302f],
  ['amoand.d', 0x6000302f],
  ['amoor.d', 0x4000302f],
  ['amomin.d', 0x8000302f],
  ['amomax.d', 0xa000302f],
  ['amominu.d', 0xc000302f],
  ['amomaxu.d', 0xe000302f],
];
export const LOAD_RESERVED: readonly Row[] = [
  ['lr.w', 0x1000202f],
  ['lr.d', 0x1000302f],
];
export const STORE_CONDITIONAL: readonly Row[] = [
  ['sc.w', 0x1800202f],
  ['sc.d', 0x1800302f],
];

/** Floating point (chapters 11 and 12). f: floating-point register, x: integer register; rm: has a rounding mode. */
export type FloatForm = 'f=f,f,rm' | 'f=f,f' | 'f=f,rm' | 'f=f,f,f,rm' | 'x=f,f' | 'x=f' | 'x=f,rm' | 'f=x' | 'f=x,rm';
export type FloatRow = readonly [name: string, word: number, form: FloatForm];

const FLOAT_SINGLE: readonly FloatRow[] = [
  ['fadd.s', 0x53, 'f=f,f,rm'],
  ['fsub.s', 0x8000053, 'f=f,f,rm'],
  ['fmul.s', 0x10000053, 'f=f,f,rm'],
  ['fdiv.s', 0x18000053, 'f=f,f,rm'],
  ['fsqrt.s', 0x58000053, 'f=f,rm'],
  ['fmadd.s', 0x43, 'f=f,f,f,rm'],
  ['fmsub.s', 0x47, 'f=f,f,f,rm'],
  ['fnmsub.s', 0x4b, 'f=f,f,f,rm'],
  ['fnmadd.s', 0x4f, 'f=f,f,f,rm'],
  ['fsgnj.s', 0x20000053, 'f=f,f'],
  ['fsgnjn.s', 0x20001053, 'f=f,f'],
  ['fsgnjx.s', 0x20002053, 'f=f,f'],
  ['fmin.s', 0x28000053, 'f=f,f'],
  ['fmax.s', 0x28001053, 'f=f,f'],
  ['feq.s', 0xa0002053, 'x=f,f'],
  ['flt.s', 0xa0001053, 'x=f,f'],
  ['fle.s', 0xa0000053, 'x=f,f'],
  ['fclass.s', 0xe0001053, 'x=f'],
  ['fmv.x.w', 0xe0000053, 'x=f'],
  ['fmv.w.x', 0xf0000053, 'f=x'],
  ['fcvt.w.s', 0xc0000053, 'x=f,rm'],
  ['fcvt.wu.s', 0xc0100053, 'x=f,rm'],
  ['fcvt.l.s', 0xc0200053, 'x=f,rm'],
  ['fcvt.lu.s', 0xc0300053, 'x=f,rm'],
  ['fcvt.s.w', 0xd0000053, 'f=x,rm'],
  ['fcvt.s.wu', 0xd0100053, 'f=x,rm'],
  ['fcvt.s.l', 0xd0200053, 'f=x,rm'],
  ['fcvt.s.lu', 0xd0300053, 'f=x,rm'],
];

/** The format field (bits 26 and 25) is 00 for S and 01 for D. */
const FORMAT_DOUBLE = 0x2000000;

export const FLOAT: readonly FloatRow[] = [
  ...FLOAT_SINGLE,
  ...FLOAT_SINGLE.map(([name, word, form]): FloatRow => {
    const double = name === 'fmv.x.w' ? 'fmv.x.d' : name === 'fmv.w.x' ? 'fmv.d.x' : name.replace(/\.s/, '.d');
    return [double, word + FORMAT_DOUBLE, form];
  }),
  ['fcvt.s.d', 0x40100053, 'f=f,rm'],
  ['fcvt.d.s', 0x42000053, 'f=f,rm'],
];

/** Control and status registers that a sequence may write, with the bits that it may set (volume II, chapters 3 and 4).
 *  `fixed` bits are always written as one. Registers that the harness lives by (mscratch, mtvec) are absent. */
export type CsrRow = {name: string; number: number; mask: bigint; fixed?: bigint};

const ALL = 0xffffffffffffffffn;
export const CSRS: readonly CsrRow[] = [
  {name: 'fflags', number: 0x001, mask: ALL},
  {name: 'frm', number: 0x002, mask: ALL},
  {name: 'fcsr', number: 0x003, mask: ALL},
  {name: 'sscratch', number: 0x140, mask: ALL},
  // Bit 0 of sepc and mepc is always zero; QEMU 7.2 keeps what was written.
  {name: 'sepc', number: 0x141, mask: ALL & ~1n},
  {name: 'scause', number: 0x142, mask: 0x8000000000000000n | 0xfn},
  {name: 'stval', number: 0x143, mask: ALL},
  {name: 'mepc', number: 0x341, mask: ALL & ~1n},
  {name: 'mcause', number: 0x342, mask: 0x8000000000000000n | 0xfn},
  {name: 'mtval', number: 0x343, mask: ALL},
  // Synchronous causes that a lower mode can raise; ecall from M (11) and the reserved ones are left out.
  {name: 'medeleg', number: 0x302, mask: 0xb3ffn & ~(1n << 11n)},
  {name: 'mideleg', number: 0x303, mask: 0x222n},
  {name: 'mie', number: 0x304, mask: 0xaaan},
  {name: 'sie', number: 0x104, mask: 0x222n},
  {name: 'stvec', number: 0x105, mask: ALL & ~2n},
  {name: 'mcounteren', number: 0x306, mask: 7n},
  {name: 'scounteren', number: 0x106, mask: 7n},
  // MIE, SIE stay clear. MPP is written as 3: writing the reserved 2 is for the implementation to decide.
  {name: 'mstatus', number: 0x300, mask: 0x7e01a0n | 0x6000n, fixed: 0x1800n},
  {name: 'sstatus', number: 0x100, mask: 0xc0120n | 0x6000n},
];
