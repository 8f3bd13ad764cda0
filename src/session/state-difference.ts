// `diff-state` of two states at positions: each is read or replayed to its place, then compared.

import type {ArtefactPaths} from './artefacts.ts';
import {type CodeLocation, codeAt} from './guest-code.ts';
import {compareHeaders, type HeaderDifference} from './log-comparison.ts';
import {compareStates, isEmpty, type StateDifference} from './state-comparison.ts';
import {loadOperand, type OperandState, type StateOperand} from './state-operand.ts';

export type ComparedState = Pick<OperandState, 'name' | 'position' | 'logEnd'> & {
  /** What the state is about to execute. */
  code: CodeLocation;
};

export type StatesDifference = {
  verdict: 'identical' | 'different';
  a: ComparedState;
  b: ComparedState;
  headers: HeaderDifference[];
  difference: StateDifference;
};

export type StatesOptions = {paths?: ArtefactPaths; onProgress?: (what: string, position: bigint) => void};

/** A log without a position is brought to where the other state stands. Throws FtvmError as `loadOperand` does. */
export async function compareOperands(
  operands: {a: StateOperand; b: StateOperand},
  options: StatesOptions = {},
): Promise<StatesDifference> {
  const load = (operand: StateOperand, position?: bigint): Promise<OperandState> =>
    loadOperand(operand, {
      position,
      ...(options.paths === undefined ? {} : {paths: options.paths}),
      onProgress: (reached) => options.onProgress?.(`replaying ${operand.path}`, reached),
    });
  const isOpen = (operand: StateOperand): boolean => operand.kind === 'log' && operand.position === undefined;
  let a: OperandState;
  let b: OperandState;
  if (isOpen(operands.a)) {
    b = await load(operands.b);
    a = await load(operands.a, b.position);
  } else {
    a = await load(operands.a);
    b = await load(operands.b, a.position);
  }
  const difference = compareStates(a.view, b.view);
  return {
    verdict: isEmpty(difference) ? 'identical' : 'different',
    a: compared(a),
    b: compared(b),
    headers: compareHeaders(a.header, b.header),
    difference,
  };
}

function compared({name, position, logEnd, view}: OperandState): ComparedState {
  return {name, position, logEnd, code: codeAt(view)};
}
