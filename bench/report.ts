// What a run of the benchmarks found, as tables for people and as data for programs.

import {type Figure, figuresOf, type Measured, speedsOf, type Target} from './figures.ts';
import type {HostDescription} from './host-description.ts';
import type {Engine} from './job.ts';
import {type Spread, spreadOf} from './statistics.ts';
import {formatNumber, type Table} from './table.ts';

export type Report = {
  command: string;
  date: string;
  host: HostDescription;
  engines: readonly Engine[];
  repetitions: number;
  figures: readonly Figure[];
  /** MIPS by program. */
  programs: readonly {name: string; description: string; engines: Record<string, Spread>; qemu: Spread | null}[];
};

export function reportOf(measured: Measured, about: Omit<Report, 'figures' | 'programs'>): Report {
  return {
    ...about,
    figures: figuresOf(measured),
    programs: measured.speeds.map((speeds) => ({
      name: speeds.program.name,
      description: speeds.program.description,
      engines: Object.fromEntries(about.engines.map((engine) => [engine, spreadOf(speedsOf(speeds, engine))])),
      qemu: speeds.qemu.length === 0 ? null : spreadOf(speeds.qemu),
    })),
  };
}

export function tablesOf(report: Report): Table[] {
  return [figureTable(report), programTable(report)];
}

function figureTable({figures, engines}: Report): Table {
  return {
    title: `ftvm with its ${engines.at(-1)}: median (least–most) of ${repeated(figures.map(({ftvm}) => ftvm))}`,
    columns: ['figure', 'ftvm', 'target', 'verdict', 'QEMU'],
    rows: figures.map(({name, unit, ftvm, target, verdict, qemu, qemuMode}) => [
      `${name}, ${unit}`,
      formatSpread(ftvm),
      target === undefined ? '' : formatTarget(target),
      verdict ?? '',
      qemu === undefined ? '' : `${formatSpread(qemu)} ${qemuMode ?? ''}`.trim(),
    ]),
  };
}

function programTable({programs, engines}: Report): Table {
  const hasQemu = programs.some(({qemu}) => qemu !== null);
  return {
    title: `Million instructions per CPU second on bare metal: median (least–most) of ${repeated(programs.flatMap(({engines: spreads}) => Object.values(spreads)))}`,
    columns: ['program', 'what it does', ...engines, ...(hasQemu ? ['QEMU', `${engines.at(-1)} ÷ QEMU`] : [])],
    rows: programs.map(({name, description, engines: spreads, qemu}) => [
      name,
      description,
      ...engines.map((engine) => formatSpread(spreads[engine])),
      ...(qemu === null ? [] : [formatSpread(qemu), formatNumber(spreads[engines.at(-1)!].median / qemu.median)]),
    ]),
  };
}

/** How often was measured: a busy host may have left time for fewer repetitions of some than of others. */
function repeated(spreads: readonly Spread[]): string {
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
