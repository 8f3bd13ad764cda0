// What of an instruction's tree decides how it is generated: found once for each instruction.

import type {OperandName} from '../isa/expression.ts';
import type {Instruction} from '../isa/instruction.ts';

export type Traits = {
  readonly operands: ReadonlySet<OperandName>;
  /** Names of the functions that it calls. */
  readonly callees: ReadonlySet<string>;
  readonly writesInteger: boolean;
  readonly writesFloat: boolean;
  readonly isCsr: boolean;
  /** It goes to the hart. */
  readonly isSystem: boolean;
  /** Calls functions or goes through the slow path for atomics: it lives outside the interpreter's main loop, which stays small. */
  readonly isCold: boolean;
  readonly usesFloatingPoint: boolean;
  /** Whether it reads guest memory only, or may write it; the address is rs1 and a constant. */
  readonly accessesMemory: 'read' | 'write' | undefined;
  /** It makes mstatus.FS dirty: it writes an FP register, or may accrue exceptions. */
  readonly dirtiesFloatingPoint: boolean;
};

/** Of those that were asked for. */
const known = new Map<Instruction, Traits>();

export function traitsOf(instruction: Instruction): Traits {
  const traits = known.get(instruction) ?? examine(instruction);
  known.set(instruction, traits);
  return traits;
}

function examine(instruction: Instruction): Traits {
  const operands = new Set<OperandName>();
  const callees = new Set<string>();
  const kinds = new Set<string>();
  // An expression that is used several times stands in the tree several times: there are 2000 nodes, and 50,000 ways to them.
  const seen = new Set<object>();
  const visit = (value: unknown): void => {
    if (typeof value !== 'object' || value === null || seen.has(value)) return;
    seen.add(value);
    if ('kind' in value && typeof value.kind === 'string') kinds.add(value.kind);
    if ('intent' in value && value.intent === 'write') kinds.add('atomicWrite');
    if ('operand' in value) operands.add(value.operand as OperandName);
    if ('callee' in value) callees.add(value.callee as string);
    Object.values(value).forEach(visit);
  };
  visit(instruction.statements);
  const [first] = instruction.statements;
  const readsFloat = [...operands].some((name) => /^(?:fs|single|low)\d$/.test(name));
  const writesFloat = kinds.has('setFd') || kinds.has('setFdSingle');
  return {
    operands,
    callees,
    writesInteger: kinds.has('setRd'),
    writesFloat,
    isCsr: first?.kind === 'system' && first.action === 'csr',
    isSystem: first?.kind === 'system',
    isCold: callees.size > 0 || kinds.has('atomicAddress'),
    accessesMemory:
      kinds.has('guestStore') || kinds.has('atomicWrite')
        ? 'write'
        : kinds.has('guestLoad') || kinds.has('atomicAddress')
          ? 'read'
          : undefined,
    usesFloatingPoint: writesFloat || readsFloat,
    dirtiesFloatingPoint: writesFloat || callees.size > 0,
  };
}
