// What is judged: a figure, its target, and what stands beside it. All targets stand here.

import {type Spread, spreadOf} from './statistics.ts';
import {formatNumber, type Table} from './table.ts';

export type Target = {atLeast: number} | {atMost: number};
export type Verdict = 'reached' | 'missed';

export type Figure = {
  name: string;
  unit: string;
  ftvm: Spread;
  target?: Target;
  verdict?: Verdict;
  /** The same of QEMU, and of which of its modes. */
  qemu?: Spread;
  qemuMode?: string;
};

/** Speed of ftvm while it records, as a multiple of QEMU's, per class of programs under Debian. */
export const SPEED_TARGETS = {
  integer: {tcg: {atLeast: 1}, rrRecord: {atLeast: 1.6}},
  'floating point': {tcg: {atLeast: 2.5}, rrRecord: {atLeast: 2.5}},
  'memory-bound': {tcg: {atLeast: 1}, rrRecord: {atLeast: 1}},
  system: {tcg: {atLeast: 1.2}, rrRecord: {atLeast: 1.2}},
  /** Wall time to the first user process. */
  boot: {tcg: {atLeast: 0.8}, rrRecord: {atLeast: 1}},
} as const;

export const TARGETS = {
  interpreterMips: {atLeast: 250},
  recordingRatio: {atLeast: 0.98},
  replayRatio: {atMost: 1},
  /** Of 60 s; scaled to what was recorded. */
  idleReplayS: {atMost: 1},
  firstInstructionS: {atMost: 0.3},
  bootLogBytes: {atMost: 7000},
  idleBytesPerS: {atMost: 100},
  /** Per second of the guest. */
  integerBytesPerS: {atMost: 500},
  systemBytesPerS: {atMost: 1000},
  /** When computing. */
  bytesPer1000Steps: {atMost: 0.01},
  /** What the channel carries beyond the log of a recording that nobody follows. */
  channelBytesPerS: {atMost: 2000},
  extraMemoryMb: {atMost: 250},
  lagMs: {atMost: 20},
  /** Speed with a backup attached ÷ without. */
  backupRatio: {atLeast: 0.95},
  joinPauseMs: {atMost: 100},
} as const;

/** The median decides. */
export function judge(figure: Figure): Figure {
  const {target, ftvm} = figure;
  if (target === undefined) return figure;
  const isReached = 'atLeast' in target ? ftvm.median >= target.atLeast : ftvm.median <= target.atMost;
  return {...figure, verdict: isReached ? 'reached' : 'missed'};
}

export function beside(values: readonly number[], qemuMode: string): {qemu?: Spread; qemuMode?: string} {
  return values.length === 0 ? {} : {qemu: spreadOf(values), qemuMode};
}

/** Judged figures as a table; the column of QEMU only where there is something in it. */
export function figureTable(title: string, figures: readonly Figure[]): Table {
  const hasQemu = figures.some(({qemu}) => qemu !== undefined);
  return {
    title: `${title}: median (least–most) of ${repeated(figures.map(({ftvm}) => ftvm))}`,
    columns: ['figure', 'ftvm', 'target', 'verdict', ...(hasQemu ? ['QEMU'] : [])],
    rows: figures.map(({name, unit, ftvm, target, verdict, qemu, qemuMode}) => [
      `${name}, ${unit}`,
      formatSpread(ftvm),
      target === undefined ? '' : formatTarget(target),
      verdict ?? '',
      ...(hasQemu ? [qemu === undefined ? '' : `${formatSpread(qemu)} ${qemuMode ?? ''}`.trim()] : []),
    ]),
  };
}

/** How often was measured: a busy host may have left time for fewer repetitions of some than of others. */
export function repeated(spreads: readonly Spread[]): string {
  const counts = spreads.map(({count}) => count);
  const [least, most] = [Math.min(...counts), Math.max(...counts)];
  return least === most ? `${most}` : `${least} to ${most}`;
}

export function formatSpread({median, min, max, count}: Spread): string {
  if (count === 1) return formatNumber(median);
  return `${formatNumber(median)} (${formatNumber(min)}–${formatNumber(max)})`;
}

export function formatTarget(target: Target): string {
  return 'atLeast' in target ? `≥ ${formatLimit(target.atLeast)}` : `≤ ${formatLimit(target.atMost)}`;
}

/** A limit is a round number: without the digits that it does not have. */
function formatLimit(limit: number): string {
  return String(Number(limit.toPrecision(3)));
}
