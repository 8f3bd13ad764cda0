// Differences of states as objects for `--json`: registers as numbers whatever their width, byte strings as bytes, of logs what
// identifies them. Nothing is cut.

import {recordToJson} from '../logformat/records-text.ts';
import type {LogSummary, NumberedInput} from './log-comparison.ts';
import type {FirstStep, LogDifference} from './log-difference.ts';
import type {EntryDifference, StateDifference} from './state-comparison.ts';
import type {StatesDifference} from './state-difference.ts';
import {littleEndian} from './state-view.ts';

export function logDifferenceToJson(found: LogDifference): object {
  const {verdict, logs, comparedThrough, digestsChecked, state, step, parting} = found;
  return {
    verdict,
    a: summaryToJson(logs.a),
    b: summaryToJson(logs.b),
    headers: logs.headers,
    commonInputs: logs.commonInputs,
    comparedThrough,
    digestsChecked,
    inputs: {a: inputToJson(logs.first.a), b: inputToJson(logs.first.b)},
    state: state === undefined ? null : {...state, difference: stateDifferenceToJson(state.difference)},
    step: step === undefined ? null : stepToJson(step),
    parting: parting === undefined ? null : {position: parting.position, a: parting.a, b: parting.b},
  };
}

export function statesDifferenceToJson({verdict, a, b, headers, difference}: StatesDifference): object {
  return {verdict, a, b, headers, difference: stateDifferenceToJson(difference)};
}

function stateDifferenceToJson({entries, memories}: StateDifference): object {
  return {
    entries: entries.map((entry) => ({...entry, a: valueToJson(entry, 'a'), b: valueToJson(entry, 'b')})),
    memories,
  };
}

function stepToJson({position, a, b, difference}: FirstStep): object {
  return {position, a, b, difference: stateDifferenceToJson(difference)};
}

function valueToJson(entry: EntryDifference, side: 'a' | 'b'): bigint | Uint8Array | null {
  const bytes = entry[side];
  if (bytes === undefined) return null;
  return entry.type === 'bytes' || entry.type === 'blob' ? bytes : littleEndian(bytes);
}

function summaryToJson({path, records, inputs, position, end}: LogSummary): object {
  return {path, records, inputs, position, end};
}

function inputToJson(input: NumberedInput | undefined): object | null {
  return input === undefined ? null : recordToJson(input.record, {ordinal: input.ordinal});
}
