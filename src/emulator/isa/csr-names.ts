// Names of the control and status registers that the machine has, by number (Privileged ISA 20211203, chapter 2, table 2.2 and
// following; Sstc). For disassembly only: what a CSR does is in hart/csrs.ts.

const NUMBERS: Readonly<Record<string, number>> = {
  fflags: 0x001,
  frm: 0x002,
  fcsr: 0x003,
  cycle: 0xc00,
  time: 0xc01,
  instret: 0xc02,
  sstatus: 0x100,
  sie: 0x104,
  stvec: 0x105,
  scounteren: 0x106,
  senvcfg: 0x10a,
  sscratch: 0x140,
  sepc: 0x141,
  scause: 0x142,
  stval: 0x143,
  sip: 0x144,
  stimecmp: 0x14d,
  satp: 0x180,
  mvendorid: 0xf11,
  marchid: 0xf12,
  mimpid: 0xf13,
  mhartid: 0xf14,
  mconfigptr: 0xf15,
  mstatus: 0x300,
  misa: 0x301,
  medeleg: 0x302,
  mideleg: 0x303,
  mie: 0x304,
  mtvec: 0x305,
  mcounteren: 0x306,
  menvcfg: 0x30a,
  mcountinhibit: 0x320,
  mscratch: 0x340,
  mepc: 0x341,
  mcause: 0x342,
  mtval: 0x343,
  mip: 0x344,
  mcycle: 0xb00,
  minstret: 0xb02,
};

/** Numbered families: hpmcounter3 at 0xc03 and so on. */
const FAMILIES: readonly {name: string; base: number; first: number; last: number}[] = [
  {name: 'hpmcounter', base: 0xc00, first: 3, last: 31},
  {name: 'mhpmcounter', base: 0xb00, first: 3, last: 31},
  {name: 'mhpmevent', base: 0x320, first: 3, last: 31},
  {name: 'pmpcfg', base: 0x3a0, first: 0, last: 15},
  {name: 'pmpaddr', base: 0x3b0, first: 0, last: 63},
];

const NAMES: ReadonlyMap<number, string> = new Map([
  ...Object.entries(NUMBERS).map(([name, number]): [number, string] => [number, name]),
  ...FAMILIES.flatMap(({name, base, first, last}) =>
    Array.from({length: last - first + 1}, (_, n): [number, string] => [base + first + n, `${name}${first + n}`]),
  ),
]);

/** The register's name, or its number in hexadecimal where the manual gives none that this machine knows. */
export function csrName(number: number): string {
  return NAMES.get(number) ?? `0x${number.toString(16)}`;
}
