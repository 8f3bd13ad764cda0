// Traps as the hart takes them, by the functions that generated code takes them by (wasm/privileged.ts); and which interrupt is due
// (Privileged ISA, sections 3.1.6.1, 3.1.9).

import {INTERRUPT_PRIORITY, MSTATUS, PRIVILEGE} from '../status.ts';
import type {HartFunctions} from '../wasm/interpreter-module.ts';
import type {Registers} from './registers.ts';

const INTERRUPT_BIT = 1n << 63n;

export class Traps {
  readonly #registers: Registers;
  readonly #functions: () => HartFunctions;

  constructor(registers: Registers, functions: () => HartFunctions) {
    this.#registers = registers;
    this.#functions = functions;
  }

  /** An exception of the instruction at pc; tval in halves. Its step counts, but is no retired instruction. */
  exception(cause: number, tvalLow: number, tvalHigh: number): void {
    this.#functions().exception(cause, tvalLow, tvalHigh);
  }

  /** An interrupt before the instruction at pc; `number` as `due` gave it. */
  interrupt(number: number): void {
    const delegated = ((this.#registers.low('mideleg') >>> number) & 1) === 1;
    const target = delegated ? PRIVILEGE.S : PRIVILEGE.M;
    this.#functions().enterTrap(target, INTERRUPT_BIT | BigInt(number), 0n, BigInt(4 * number));
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
}
