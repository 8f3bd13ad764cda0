// Random interrupts, all by software, so that each comes at a certain instruction: writes to mip, mie, mideleg, mstatus and
// their S-mode views must take a pending, enabled interrupt at once, in the right mode, and through the right vector (volume II,
// chapters 3.1.6.1, 3.1.9, 4.1.3). The trap handler withdraws what it took. One interrupt a sequence: of several QEMU 7.2 takes the
// one with the lowest number.

import {type Mode, PMP_OPEN, type Sequence} from './image.ts';
import type {Random} from './random.ts';
import {addi, fixed, integerUnit, type Parcel, type Unit, wide} from './units.ts';
import {randomInteger} from './values.ts';

// SSI, STI, SEI: what software can make pending. MSI, MTI and MEI are up to devices.
const SUPERVISOR = [0x002n, 0x020n, 0x200n] as const;
const SAVED_INTERRUPT_ENABLES = 0xa0n;

export function interruptSequence(random: Random, length: number): Sequence {
  const mode = random.pick<Mode>(['M', 'M', 'S', 'S', 'U']);
  const interrupt = random.pick(SUPERVISOR);
  const some = (mask: bigint, probability: number) => (random.chance(probability) ? random.u64() & mask : 0n);
  // SPIE and MPIE: the mret that enters the sequence makes MIE of MPIE. SIE may be on in M mode, and must not matter there.
  const status = some(SAVED_INTERRUPT_ENABLES | 2n, 0.8);
  return {
    units: Array.from({length}, () =>
      random.chance(0.4) ? integerUnit(random) : interruptUnit(random, mode, Number(interrupt)),
    ),
    mode,
    status,
    satp: 0n,
    fillSeed: random.u64(),
    pokes: [],
    ...PMP_OPEN,
    medeleg: 0n,
    mideleg: some(interrupt, 0.9),
    mie: some(interrupt, 0.9),
    mip: some(interrupt, 0.8),
    fcsr: 0n,
    x: Array.from({length: 32}, () => randomInteger(random)),
    f: Array.from({length: 32}, () => random.u64()),
  };
}

const MACHINE_REGISTERS = [
  ['mip', 0x344],
  ['mip', 0x344],
  ['mie', 0x304],
  ['mideleg', 0x303],
  ['sie', 0x104],
  ['sip', 0x144],
] as const;
const SUPERVISOR_REGISTERS = [
  ['sie', 0x104],
  ['sip', 0x144],
  ['mip', 0x344],
] as const;

function interruptUnit(random: Random, mode: Mode, interrupt: number): Unit {
  if (random.chance(0.35)) return enableUnit(random, mode);
  const [name, number] = random.pick(mode === 'M' ? MACHINE_REGISTERS : SUPERVISOR_REGISTERS);
  const [operation, function3] = random.pick([['csrrw', 1] as const, ['csrrs', 2] as const, ['csrrc', 3] as const]);
  const bits = random.chance(0.6) ? interrupt : 0;
  const csr = (function3: number, rd: number, rs1: number) =>
    (number << 20) | (function3 << 12) | (rd << 7) | (rs1 << 15) | 0x73;
  const parcels: Parcel[] = [
    addi(5, 0, bits),
    wide(`${operation} ${name}`, csr(function3, random.pick([0, 6]), 5)),
    wide('add', 0x33 | (9 << 7) | (9 << 15) | (6 << 20)),
    wide(`csrr ${name}`, csr(2, random.between(10, 31), 0)),
  ];
  return fixed(...parcels);
}

/** Turns the interrupts of M or S mode on or off: csrrsi and csrrci with the immediate 8 (MIE) or 2 (SIE). */
function enableUnit(random: Random, mode: Mode): Unit {
  const clear = random.below(2);
  const name = clear === 1 ? 'csrrci' : 'csrrsi';
  const machine = mode === 'M';
  const bit = machine ? random.pick([8, 8, 2]) : 2;
  const number = machine ? 0x300 : 0x100;
  return fixed(
    wide(`${name} ${machine ? 'mstatus' : 'sstatus'}`, (number << 20) | ((6 + clear) << 12) | (bit << 15) | 0x73),
    addi(7, 7, 1),
  );
}
