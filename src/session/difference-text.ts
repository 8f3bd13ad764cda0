// Differences of states as lines for people. Long lists are cut at a bound, and what is cut is counted; JSON has all of it.

import {FLOATING_NAMES, INTEGER_NAMES} from '../emulator/isa/register-names.ts';
import {hexBytes, recordToLine} from '../logformat/records-text.ts';
import type {CodeLocation} from './guest-code.ts';
import type {StepAccount} from './guest-step.ts';
import type {HeaderDifference, LogComparison, LogSummary, NumberedInput} from './log-comparison.ts';
import type {FirstDifference, FirstStep, LogDifference} from './log-difference.ts';
import {type EntryDifference, type EntryGroup, isEmpty, type StateDifference} from './state-comparison.ts';
import {littleEndian} from './state-view.ts';

export type Bound = {
  /** Lines of one list. */
  maxLines: number;
};

const GROUPS: readonly {group: EntryGroup; title: string}[] = [
  {group: 'machine', title: 'machine'},
  {group: 'registers', title: 'registers'},
  {group: 'csrs', title: 'control and status registers'},
  {group: 'devices', title: 'devices'},
];
const MEMORY_TITLES: Readonly<Record<string, string>> = {ram: 'memory'};
const BLOB_SHOWN_BYTES = 24;

/** `a5 (x15)` for x15. */
export function registerTitle(name: string): string {
  const match = /^([xf])(\d+)$/.exec(name);
  if (match === null) return name;
  return `${(match[1] === 'x' ? INTEGER_NAMES : FLOATING_NAMES)[Number(match[2])]} (${name})`;
}

export function headerLines(differences: readonly HeaderDifference[], {maxLines}: Bound): string[] {
  const rows = differences.map(({field, a, b}) => [field, `A ${a ?? '(none)'}`, `B ${b ?? '(none)'}`]);
  return bounded(columns(rows), maxLines, 'fields');
}

/** All that differs, by kind; one line says so when nothing does. */
export function stateLines(difference: StateDifference, bound: Bound): string[] {
  if (isEmpty(difference)) return ['  nothing differs'];
  const lines: string[] = [];
  for (const {group, title} of GROUPS) {
    const entries = difference.entries.filter((entry) => entry.group === group);
    if (entries.length === 0) continue;
    lines.push(`  ${title}`);
    const rows = entries.map((entry) => [registerTitle(entry.name), `A ${side(entry, 'a')}`, `B ${side(entry, 'b')}`]);
    lines.push(...bounded(columns(rows), bound.maxLines, 'entries').map((line) => `    ${line}`));
  }
  for (const {name, pageCount, ranges} of difference.memories) {
    const where = ranges.length === 1 ? '' : ` in ${ranges.length} ranges`;
    lines.push(`  ${MEMORY_TITLES[name] ?? name}: ${count(pageCount, 'page')}${where}`);
    const rows = ranges.map((range) => [
      `${address(range.address)}–${address(range.address + BigInt(range.lengthBytes - 1))}`,
      count(range.pageCount, 'page'),
      `first at ${address(range.first.address)}`,
      `A ${bytesOrNone(range.first.a)}`,
      `B ${bytesOrNone(range.first.b)}`,
    ]);
    lines.push(...bounded(columns(rows), bound.maxLines, 'ranges').map((line) => `    ${line}`));
  }
  return lines;
}

/** `0xffffffff80123456 in S mode: addi a0, a1, 4`. */
export function codeLine(code: CodeLocation): string {
  const {pc, privilege, physicalAddress, instruction} = code;
  const physical =
    physicalAddress === undefined || physicalAddress === pc ? '' : ` (physical ${address(physicalAddress)})`;
  const text = instruction === undefined ? 'no instruction can be read there' : instruction.text;
  return `pc ${address(pc)}${physical}, ${privilege} mode: ${text}`;
}

/** The report on two logs, without its headline. */
export function logDifferenceLines(found: LogDifference, bound: Bound): string[] {
  const {verdict, logs, state, step} = found;
  const lines: string[] = [];
  if (logs.headers.length > 0)
    lines.push('the machines are not the same:', ...headerLines(logs.headers, bound).map((line) => `  ${line}`));
  if (logs.first.a !== undefined || logs.first.b !== undefined) lines.push(...recordLines(logs));
  if (state !== undefined) lines.push(...firstDifferenceLines(state, bound));
  if (step !== undefined) lines.push(...stepLines(step, bound));
  if (verdict === 'different') lines.push(...partingLines(found));
  return lines;
}

export function recordLines({first, commonInputs, a, b}: LogComparison): string[] {
  const line = (input: NumberedInput | undefined, log: LogSummary): string =>
    input === undefined
      ? `no further input; ends at position ${log.position}`
      : recordToLine(input.record, {ordinal: input.ordinal}).trim().replace(/ {2,}/g, '  ');
  return [
    `the first inputs that differ, after ${count(commonInputs, 'input')} in common:`,
    `  A ${line(first.a, a)}`,
    `  B ${line(first.b, b)}`,
  ];
}

function firstDifferenceLines({position, cause, difference}: FirstDifference, bound: Bound): string[] {
  const how = {
    powerOn: 'the states differ from power-on:',
    inputs: `the states first differ at position ${position}, by what was delivered there:`,
    step: `the states first differ at position ${position}, after the step that ended there:`,
  };
  return [how[cause], ...stateLines(difference, bound)];
}

function stepLines({position, a, b, difference}: FirstStep, bound: Bound): string[] {
  const lines = [
    `the first step that does otherwise: from position ${position} to ${position + 1n}`,
    ...bothLines(a, b),
  ];
  const changes = changeRows(a, b);
  if (changes.length > 0) {
    lines.push('  what the step did');
    const rows = [['', 'before', 'after in A', 'after in B'], ...changes];
    lines.push(...bounded(columns(rows), bound.maxLines, 'registers').map((line) => `    ${line}`));
  }
  return [...lines, `the states after it, at position ${position + 1n}:`, ...stateLines(difference, bound)];
}

/** Where the ways part, or why there is nothing to say about it. */
function partingLines({state, step, parting, comparedThrough}: LogDifference): string[] {
  if (step === undefined) {
    const differAlready = state?.difference.entries.some(({group}) => group === 'registers' || group === 'csrs');
    return differAlready
      ? ['the registers differ there already: no step is the first to do otherwise']
      : [`no step does otherwise up to position ${comparedThrough}`];
  }
  if (parting === undefined) return [`no lasting parting of the ways up to position ${comparedThrough}`];
  const {position, a, b} = parting;
  const [toA, toB] = [a, b].map(({pcAfter}) => address(pcAfter));
  if (position === step.position) return [`with this step the ways part: A goes on at ${toA}, B at ${toB}`];
  return [
    `the ways part with the step from position ${position} to ${position + 1n}: A goes on at ${toA}, B at ${toB}`,
    ...bothLines(a, b),
  ];
}

function bothLines(a: StepAccount, b: StepAccount): string[] {
  const [ofA, ofB] = [accountLines(a), accountLines(b)];
  if (ofA.join('\n') === ofB.join('\n')) return ofA.map((line) => `  both: ${line}`);
  return [...ofA.map((line) => `  A: ${line}`), ...ofB.map((line) => `  B: ${line}`)];
}

function accountLines(account: StepAccount): string[] {
  const {code, interrupt, handler, exception, step} = account;
  if (step === 'ended') return [`no step: the guest has ended at pc ${address(code.pc)}`];
  if (step === 'waiting')
    return [`no step: the guest waits at pc ${address(code.pc)}, and its log has nothing to wake it`];
  const lines = [codeLine(code)];
  if (interrupt !== undefined && handler !== undefined)
    lines[0] = `${interrupt} taken before pc ${address(code.pc)}; then ${codeLine(handler)}`;
  if (exception !== undefined) lines.push(`trapped: ${exception}`);
  return lines;
}

/** Registers that either side changed. */
function changeRows(a: StepAccount, b: StepAccount): string[][] {
  const names = new Set([...a.changes, ...b.changes].map(({name}) => name));
  const rows = [...names].map((name) => {
    const [ofA, ofB] = [a, b].map(({changes}) => changes.find((change) => change.name === name));
    const before = (ofA ?? ofB)?.before ?? 0n;
    return [registerTitle(name), address(before), address(ofA?.after ?? before), address(ofB?.after ?? before)];
  });
  return [...rows, ['pc', address(a.code.pc), address(a.pcAfter), address(b.pcAfter)]];
}

function side(entry: EntryDifference, which: 'a' | 'b'): string {
  const bytes = entry[which];
  if (bytes === undefined) return '(none)';
  if (entry.type === 'blob' || entry.type === 'bytes')
    return entry.type === 'blob' && bytes.length === 0 ? '(empty)' : shownAroundDifference(entry, bytes);
  const value = littleEndian(bytes);
  return entry.group === 'machine' ? String(value) : address(value);
}

/** Long byte strings are shown from the neighbourhood of the first difference on. */
function shownAroundDifference({a, b}: EntryDifference, bytes: Uint8Array): string {
  let offset = 0;
  while (offset < bytes.length && a?.[offset] === b?.[offset]) offset += 1;
  const start = bytes.length <= BLOB_SHOWN_BYTES ? 0 : Math.max(0, Math.min(offset - 4, bytes.length - 1));
  const lead = start > 0 ? `[${start}]…` : '';
  return `${lead}${hexBytes(bytes.subarray(start), BLOB_SHOWN_BYTES)} (${count(bytes.length, 'byte')})`;
}

function bytesOrNone(bytes: Uint8Array | undefined): string {
  return bytes === undefined ? '(no page)' : hexBytes(bytes);
}

function address(value: bigint): string {
  return `0x${value.toString(16)}`;
}

function count(n: number, what: string): string {
  return `${n} ${what}${n === 1 ? '' : 's'}`;
}

function columns(rows: readonly (readonly string[])[]): string[] {
  const widths = rows.reduce<number[]>((most, row) => row.map((cell, n) => Math.max(most[n] ?? 0, cell.length)), []);
  return rows.map((row) =>
    row
      .map((cell, n) => cell.padEnd(widths[n]))
      .join('  ')
      .trimEnd(),
  );
}

function bounded(lines: readonly string[], maxLines: number, what: string): string[] {
  if (lines.length <= maxLines) return [...lines];
  return [...lines.slice(0, maxLines), `… and ${lines.length - maxLines} more ${what}`];
}
