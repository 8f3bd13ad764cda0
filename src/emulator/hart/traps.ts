// Taking traps and returning from them (Privileged ISA, sections 3.1.6.1, 3.1.8, 3.3.2, 4.1.1), and which interrupt is due.

import * as layout from '../layout.ts';
import type {Mmu} from './mmu.ts';
import {PRIVILEGE, type Registers} from './registers.ts';
import {INTERRUPT_PRIORITY, MSTATUS} from './status.ts';

const INTERRUPT_BIT = 1n << 63n;

export class Traps {
  readonly #registers: Registers;
  readonly #mmu: Mmu;

  constructor(registers: Registers, mmu: Mmu) {
    this.#registers = registers;
    this.#mmu = mmu;
  }

  /** An exception of the instruction at pc. Its step counts, but is no retired instruction. */
  exception(cause: number, tval: bigint): void {
    const registers = this.#registers;
    registers.set('trappedSteps', registers.get('trappedSteps') + 1n);
    const delegated = registers.low('privilege') <= PRIVILEGE.S && ((registers.low('medeleg') >>> cause) & 1) === 1;
    this.#enter(BigInt(cause), tval, delegated ? PRIVILEGE.S : PRIVILEGE.M, 0n);
  }

  /** An interrupt before the instruction at pc; `number` as `due` gave it. */
  interrupt(number: number): void {
    const delegated = ((this.#registers.low('mideleg') >>> number) & 1) === 1;
    this.#enter(INTERRUPT_BIT | BigInt(number), 0n, delegated ? PRIVILEGE.S : PRIVILEGE.M, BigInt(4 * number));
  }

  /** The interrupt to be taken now, given the pending bits, or undefined. */
  due(pending: number): number | undefined {
    const registers = this.#registers;
    const enabled = pending & registers.low('mie');
    if (enabled === 0) return undefined;
    const privilege = registers.low('privilege');
    const status = registers.low('mstatus');
    const delegated = registers.low('mideleg');
    const forM = privilege < PRIVILEGE.M || (status & MSTATUS.MIE) !== 0 ? enabled & ~delegated : 0;
    const forS =
      privilege < PRIVILEGE.S || (privilege === PRIVILEGE.S && (status & MSTATUS.SIE) !== 0) ? enabled & delegated : 0;
    const candidates = forM !== 0 ? forM : forS;
    return INTERRUPT_PRIORITY.find((number) => ((candidates >>> number) & 1) === 1);
  }

  mret(): void {
    const registers = this.#registers;
    const status = registers.low('mstatus');
    const privilege = (status & MSTATUS.MPP) >>> MSTATUS.MPP_SHIFT;
    const enabled = (status & MSTATUS.MPIE) !== 0 ? MSTATUS.MIE : 0;
    const kept = status & ~(MSTATUS.MPP | MSTATUS.MIE | (privilege === PRIVILEGE.M ? 0 : MSTATUS.MPRV));
    registers.setLow('mstatus', kept | MSTATUS.MPIE | enabled);
    this.#goTo(privilege, registers.get('mepc'));
  }

  sret(): void {
    const registers = this.#registers;
    const status = registers.low('mstatus');
    const privilege = (status & MSTATUS.SPP) !== 0 ? PRIVILEGE.S : PRIVILEGE.U;
    const enabled = (status & MSTATUS.SPIE) !== 0 ? MSTATUS.SIE : 0;
    const kept = status & ~(MSTATUS.SPP | MSTATUS.SIE | MSTATUS.MPRV);
    registers.setLow('mstatus', kept | MSTATUS.SPIE | enabled);
    this.#goTo(privilege, registers.get('sepc'));
  }

  #enter(cause: bigint, tval: bigint, target: number, vectorOffset: bigint): void {
    const registers = this.#registers;
    const status = registers.low('mstatus');
    const privilege = registers.low('privilege');
    const supervisor = target === PRIVILEGE.S;
    registers.set(supervisor ? 'sepc' : 'mepc', registers.pc);
    registers.set(supervisor ? 'scause' : 'mcause', cause);
    registers.set(supervisor ? 'stval' : 'mtval', tval);
    if (supervisor) {
      const previous = (status & MSTATUS.SIE) !== 0 ? MSTATUS.SPIE : 0;
      const from = privilege === PRIVILEGE.S ? MSTATUS.SPP : 0;
      registers.setLow('mstatus', (status & ~(MSTATUS.SIE | MSTATUS.SPIE | MSTATUS.SPP)) | previous | from);
    } else {
      const previous = (status & MSTATUS.MIE) !== 0 ? MSTATUS.MPIE : 0;
      const from = privilege << MSTATUS.MPP_SHIFT;
      registers.setLow('mstatus', (status & ~(MSTATUS.MIE | MSTATUS.MPIE | MSTATUS.MPP)) | previous | from);
    }
    const vector = registers.get(supervisor ? 'stvec' : 'mtvec');
    this.#goTo(target, (vector & 1n) === 1n ? vector - 1n + vectorOffset : vector);
  }

  #goTo(privilege: number, pc: bigint): void {
    const registers = this.#registers;
    registers.setLow('privilege', privilege);
    registers.pc = pc;
    registers.i32[layout.RESERVATION / 4] = 0;
    this.#mmu.modeChanged();
  }
}
