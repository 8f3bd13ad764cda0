// What the recordings of programs under Debian wrote: bytes a second of the guest and per 1000 instructions, by cause; and what went over
// the channel to a backup.

import type {Chart} from './chart.ts';
import type {DebianProgram, ProgramClass} from './debian-guest.ts';
import type {ProgramRuns} from './debian-programs.ts';
import {type Figure, TARGETS, type Target} from './figures.ts';
import {between, markOf, type Run, stepsBetween} from './job.ts';
import {type BytesByCause, type LogAccount, spentBetween, totalOf} from './log-account.ts';
import {medianOf, spreadOf} from './statistics.ts';
import {formatNumber, type Table} from './table.ts';

/** What one recording wrote while the programs of a class ran. */
export type Spent = {bytes: BytesByCause; seconds: number; steps: number};

const RATE_TARGETS: Partial<Record<ProgramClass, {perS?: Target; per1000Steps?: Target}>> = {
  integer: {perS: TARGETS.integerBytesPerS, per1000Steps: TARGETS.bytesPer1000Steps},
  'floating point': {per1000Steps: TARGETS.bytesPer1000Steps},
  'memory-bound': {per1000Steps: TARGETS.bytesPer1000Steps},
  system: {perS: TARGETS.systemBytesPerS},
};

export function logFigures(measured: ProgramRuns, classes: readonly ProgramClass[]): Figure[] {
  return classes.flatMap((name) => {
    const spent = spentBy(measured, programsOf(measured, name));
    if (spent.length === 0) return [];
    const {perS, per1000Steps} = RATE_TARGETS[name] ?? {};
    const figures: Figure[] = [
      {
        name: `${name}, log`,
        unit: 'B per guest second',
        ftvm: spreadOf(spent.map(perSecond)),
        ...(perS === undefined ? {} : {target: perS}),
      },
      {
        name: `${name}, log`,
        unit: 'B per 1000 instructions',
        ftvm: spreadOf(spent.map(({bytes, steps}) => (1000 * totalOf(bytes)) / steps)),
        ...(per1000Steps === undefined ? {} : {target: per1000Steps}),
      },
    ];
    const channel = channelRates(measured, programsOf(measured, name));
    if (channel.length > 0) {
      const alone = medianOf(spent.map(perSecond));
      figures.push({
        name: `${name}, channel to a backup, beyond that log`,
        unit: 'B per second',
        ftvm: spreadOf(channel.map((rate) => rate - alone)),
        target: TARGETS.channelBytesPerS,
      });
    }
    return figures;
  });
}

/** Medians of bytes a guest second, a column for each cause that there is. */
export function logTable(measured: ProgramRuns, classes: readonly ProgramClass[]): Table {
  const {causes, rows} = ratesByCause(measured, classes);
  return {
    title:
      'Log by cause, bytes per guest second while the programs of a class run (frames: 49 bytes around the records of each write)',
    columns: ['class', ...causes, 'all', 'all per 1000 instructions', 'guest seconds'],
    rows: rows.map(({name, spent, rates}) => [
      name,
      ...rates.map(formatNumber),
      formatNumber(medianOf(spent.map(perSecond))),
      medianOf(spent.map(({bytes, steps}) => (1000 * totalOf(bytes)) / steps)).toPrecision(2),
      formatNumber(medianOf(spent.map(({seconds}) => seconds))),
    ]),
  };
}

export function logChart(measured: ProgramRuns, classes: readonly ProgramClass[]): Chart {
  const {causes, rows} = ratesByCause(measured, classes);
  return {
    title: 'Log by cause, bytes per guest second',
    series: causes,
    rows: rows.map(({name, rates}) => {
      const target = RATE_TARGETS[name]?.perS;
      return {label: name, values: rates, ...(target && 'atMost' in target ? {target: target.atMost} : {})};
    }),
  };
}

function ratesByCause(
  measured: ProgramRuns,
  classes: readonly ProgramClass[],
): {causes: string[]; rows: {name: ProgramClass; spent: Spent[]; rates: number[]}[]} {
  const all = classes.map((name) => ({name, spent: spentBy(measured, programsOf(measured, name))}));
  const causes = [...new Set(all.flatMap(({spent}) => spent.flatMap(({bytes}) => Object.keys(bytes))))].sort();
  const rows = all
    .filter(({spent}) => spent.length > 0)
    .map(({name, spent}) => {
      const rates = causes.map((cause) => medianOf(spent.map(({bytes, seconds}) => (bytes[cause] ?? 0) / seconds)));
      return {name, spent, rates};
    });
  return {causes, rows};
}

export function spentBy(measured: ProgramRuns, programs: readonly DebianProgram[]): Spent[] {
  const runs = measured.runs.get('record') ?? [];
  return measured.accounts.map((account, index) => sum(programs.map(({name}) => spentIn(account, runs[index], name))));
}

function spentIn(account: LogAccount, run: Run, name: string): Spent {
  const [from, to] = [`${name} begins`, name].map((mark) => BigInt(markOf(run, mark).position ?? 0));
  const steps = stepsBetween(run, `${name} begins`, name) ?? Number.NaN;
  return {bytes: spentBetween(account, {from, to}), seconds: between(run, `${name} begins`, name).wallS, steps};
}

function sum(parts: readonly Spent[]): Spent {
  const bytes: Record<string, number> = {};
  for (const part of parts)
    for (const [cause, each] of Object.entries(part.bytes)) bytes[cause] = (bytes[cause] ?? 0) + each;
  const add = (of: (part: Spent) => number): number => parts.reduce((all, part) => all + of(part), 0);
  return {bytes, seconds: add(({seconds}) => seconds), steps: add(({steps}) => steps)};
}

function perSecond({bytes, seconds}: Spent): number {
  return totalOf(bytes) / seconds;
}

function channelRates(measured: ProgramRuns, programs: readonly DebianProgram[]): number[] {
  return (measured.runs.get('backup') ?? []).map((run) => {
    let [bytes, seconds] = [0, 0];
    for (const {name} of programs) {
      bytes += (markOf(run, name).channelBytes ?? 0) - (markOf(run, `${name} begins`).channelBytes ?? 0);
      seconds += between(run, `${name} begins`, name).wallS;
    }
    return bytes / seconds;
  });
}

function programsOf(measured: ProgramRuns, name: ProgramClass): DebianProgram[] {
  return measured.programs.filter((program) => program.class === name);
}
