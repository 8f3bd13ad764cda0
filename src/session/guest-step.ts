// An account of one step of a machine: what was executed where and in which mode, what it changed in the hart, and whether it took an
// interrupt first or trapped. Made from the states before and after: the machine keeps no trace of its own.

import type {Machine} from '../emulator/machine.ts';
import {type CodeLocation, codeAt, type Privilege, privilegeOf} from './guest-code.ts';
import {equalBytes, groupOf} from './state-comparison.ts';
import {littleEndian, registerOf, type StateView, viewOfMachine} from './state-view.ts';

export type RegisterChange = {name: string; before: bigint; after: bigint};

export type StepAccount = {
  /** The pc before the step, in the mode before it. */
  code: CodeLocation;
  /** Taken before the instruction: then not `code` was executed but what `handler` shows. */
  interrupt: string | undefined;
  handler: CodeLocation | undefined;
  /** The instruction did not complete: why. */
  exception: string | undefined;
  /** What became of the step: there is none when the guest has ended, or waits for an input that its log does not hold. */
  step: 'executed' | 'ended' | 'waiting';
  pcAfter: bigint;
  privilegeAfter: Privilege;
  /** Registers and CSRs that the step changed, the pc apart. */
  changes: RegisterChange[];
};

/** The hart's entries before a step, and the instruction that comes next. */
export type StepBefore = {code: CodeLocation; position: bigint; values: ReadonlyMap<string, Uint8Array>};

/** Privileged ISA, table 3.6; the numbers are mcause's. */
const EXCEPTIONS: readonly (string | undefined)[] = [
  'instruction address misaligned',
  'instruction access fault',
  'illegal instruction',
  'breakpoint',
  'load address misaligned',
  'load access fault',
  'store address misaligned',
  'store access fault',
  'environment call from U mode',
  'environment call from S mode',
  undefined,
  'environment call from M mode',
  'instruction page fault',
  'load page fault',
  undefined,
  'store page fault',
];
const INTERRUPTS: Readonly<Record<number, string>> = {
  1: 'supervisor software interrupt',
  3: 'machine software interrupt',
  5: 'supervisor timer interrupt',
  7: 'machine timer interrupt',
  9: 'supervisor external interrupt',
  11: 'machine external interrupt',
};
const INTERRUPT_BIT = 1n << 63n;

/** To be called before the step. */
export function watchStep(machine: Machine): StepBefore {
  const values = new Map<string, Uint8Array>();
  for (const entry of machine.state.entries) if (isOfHart(entry.name)) values.set(entry.name, entry.read().slice());
  return {code: codeAt(viewOfMachine(machine)), position: machine.position, values};
}

/** To be called after it. */
export function describeStep(before: StepBefore, machine: Machine): StepAccount {
  const view = viewOfMachine(machine);
  const changes: RegisterChange[] = [];
  for (const entry of machine.state.entries) {
    const old = before.values.get(entry.name);
    if (old === undefined || entry.name === 'pc' || equalBytes(old, entry.read())) continue;
    changes.push({name: entry.name, before: littleEndian(old), after: littleEndian(entry.read())});
  }
  const trapped = changes.some(({name}) => name === 'trappedSteps');
  const taken = interruptTaken(view, before.code.pc);
  return {
    code: before.code,
    interrupt: taken?.name,
    handler: taken?.handler,
    exception: trapped ? causeText(view) : undefined,
    step: machine.position > before.position ? 'executed' : machine.ending === undefined ? 'waiting' : 'ended',
    pcAfter: registerOf(view, 'pc') ?? 0n,
    privilegeAfter: privilegeOf(view),
    changes,
  };
}

function isOfHart(name: string): boolean {
  const group = groupOf(name);
  return group === 'registers' || group === 'csrs';
}

/**
 * Whether the step began with an interrupt: the interrupted pc was saved, the cause is an interrupt, and the pc stands behind the
 * handler's first instruction.
 */
function interruptTaken(view: StateView, pcBefore: bigint): {name: string; handler: CodeLocation} | undefined {
  const pcAfter = registerOf(view, 'pc') ?? 0n;
  for (const mode of ['s', 'm'] as const) {
    const cause = registerOf(view, `${mode}cause`) ?? 0n;
    const vector = registerOf(view, `${mode}tvec`) ?? 0n;
    if ((cause & INTERRUPT_BIT) === 0n || registerOf(view, `${mode}epc`) !== pcBefore) continue;
    const number = cause & ~INTERRUPT_BIT;
    const pc = (vector & ~3n) + ((vector & 1n) === 1n ? number * 4n : 0n);
    const handler = codeAt(view, {pc, privilege: mode === 's' ? 'S' : 'M'});
    const target = handler.instruction?.text.match(/^jal .*0x([0-9a-f]+)$/)?.[1];
    const next = target === undefined ? pc + BigInt(handler.instruction?.lengthBytes ?? 4) : BigInt(`0x${target}`);
    if (pcAfter === next) return {name: INTERRUPTS[Number(number)] ?? `interrupt ${number}`, handler};
  }
  return undefined;
}

/** Of the trap that the step ended in: the cause of the mode that it went to. */
function causeText(view: StateView): string {
  const cause = registerOf(view, privilegeOf(view) === 'S' ? 'scause' : 'mcause') ?? 0n;
  return EXCEPTIONS[Number(cause)] ?? `exception ${cause}`;
}
