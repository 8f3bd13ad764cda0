// What the programs under Debian say: per class the seconds of its programs together, and the ratios that are judged; then program by
// program.

import type {Chart} from './chart.ts';
import {COLUMNS, type Column, isOfQemu} from './column.ts';
import type {DebianProgram, ProgramClass} from './debian-guest.ts';
import type {ProgramRuns} from './debian-programs.ts';
import {type Figure, figureTable, formatSpread, judge, SPEED_TARGETS, TARGETS, type Target} from './figures.ts';
import {between, type Run, stepsBetween} from './job.ts';
import {logChart, logFigures, logTable, spentBy} from './log-figures.ts';
import type {Section} from './section.ts';
import {medianOf, quantileOf, ratioOf, spreadOf} from './statistics.ts';
import {formatNumber, type Table} from './table.ts';

/** What stands in a column: a time of each of its runs. */
type Timing = {name: string; secondsOf(run: Run): number};

export function debianProgramsSection(measured: ProgramRuns): Section {
  const classes = [...new Set(measured.programs.map((program) => program.class))];
  const classTimings = classes.map((name): Timing & {name: ProgramClass} => {
    const programs = measured.programs.filter((program) => program.class === name);
    return {name, secondsOf: (run) => programs.reduce((sum, program) => sum + cpuOf(run, program), 0)};
  });
  const figures = [
    ...classTimings.flatMap((timing) => {
      const targets = timing.name === 'short' ? undefined : SPEED_TARGETS[timing.name];
      return speedFigures(measured, {timing, clock: 'CPU', targets});
    }),
    ...speedFigures(measured, {timing: BOOT, clock: 'wall', targets: SPEED_TARGETS.boot}),
    ...classTimings.flatMap((timing) => costFigures(measured, timing)),
    ...backupFigures(measured),
    ...logFigures(measured, classes),
  ].map(judge);
  return {
    name: 'debian-programs',
    figures,
    tables: [
      figureTable('Programs under Debian; ratios are of medians', figures),
      timeTable(measured, classTimings),
      programTable(measured),
      logTable(measured, classes),
    ],
    charts: [speedChart(measured, [...classTimings, BOOT]), logChart(measured, classes)],
    data: {
      programs: measured.programs,
      log: Object.fromEntries(
        classes.map((name) => [
          name,
          spentBy(
            measured,
            measured.programs.filter((program) => program.class === name),
          ),
        ]),
      ),
      runs: Object.fromEntries(
        [...measured.runs].map(([column, runs]) => [column, runs.map(({console: _, ...run}) => run)]),
      ),
    },
  };
}

const BOOT: Timing = {
  name: 'Debian boot to the first user process',
  secondsOf: (run) => between(run, 'start', 'user').wallS,
};
const BOOT_CPU: Timing = {
  name: 'boot to the first user process',
  secondsOf: (run) => between(run, 'start', 'user').cpuS,
};
const WHOLE: Timing = {name: 'the whole process', secondsOf: (run) => run.cpuS};

/** How fast ftvm records, against QEMU plain and recording. */
function speedFigures(
  measured: ProgramRuns,
  of: {timing: Timing; clock: string; targets: {tcg: Target; rrRecord: Target} | undefined},
): Figure[] {
  const {timing, clock, targets} = of;
  return (['tcg', 'rrRecord'] as const).flatMap((column) => {
    const ratio = speedRatio(measured, {of: 'record', against: column, timing});
    if (ratio === undefined) return [];
    const name = `${timing.name}, speed recording ÷ ${COLUMNS[column]}, ${clock} time`;
    return [{name, unit: '×', ftvm: ratio, ...(targets === undefined ? {} : {target: targets[column]})}];
  });
}

/** What recording, replaying and a backup cost. */
function costFigures(measured: ProgramRuns, timing: Timing): Figure[] {
  const recording = speedRatio(measured, {of: 'record', against: 'plain', timing});
  const replaying = speedRatio(measured, {of: 'record', against: 'replay', timing});
  const figures: Figure[] = [];
  if (recording !== undefined) {
    const target = TARGETS.recordingRatio;
    figures.push({
      name: `${timing.name}, speed recording ÷ not recording, CPU time`,
      unit: '×',
      ftvm: recording,
      target,
    });
  }
  if (replaying !== undefined) {
    const target = TARGETS.replayRatio;
    figures.push({name: `${timing.name}, replaying ÷ recording, CPU time`, unit: '×', ftvm: replaying, target});
  }
  return figures;
}

function backupFigures({runs}: ProgramRuns): Figure[] {
  const lags = (runs.get('backup') ?? []).flatMap(({lagsMs}) => (lagsMs === undefined ? [] : [[...lagsMs]]));
  if (lags.length === 0) return [];
  return [
    {
      name: 'lag of a backup on the same cores, median',
      unit: 'ms',
      ftvm: spreadOf(lags.map(medianOf)),
      target: TARGETS.lagMs,
    },
    {
      name: 'lag of a backup on the same cores, 99th percentile',
      unit: 'ms',
      ftvm: spreadOf(lags.map((all) => quantileOf(all, 0.99))),
    },
  ];
}

/** Time of `against` by time of `of`; undefined where one of them was not run. */
function speedRatio(
  measured: ProgramRuns,
  {of, against, timing}: {of: Column; against: Column; timing: Timing},
): ReturnType<typeof ratioOf> | undefined {
  const [numerator, denominator] = [against, of].map((column) =>
    (measured.runs.get(column) ?? []).map(timing.secondsOf),
  );
  const count = Math.min(numerator.length, denominator.length);
  if (count === 0) return undefined;
  return ratioOf({numerator: numerator.slice(0, count), denominator: denominator.slice(0, count)});
}

function speedChart(measured: ProgramRuns, timings: readonly Timing[]): Chart {
  const targets: Readonly<Record<string, {tcg: Target; rrRecord: Target}>> = SPEED_TARGETS;
  return {
    title: 'Speed of ftvm recording, as a multiple of QEMU’s; the mark is the target',
    series: ['times'],
    rows: (['tcg', 'rrRecord'] as const).flatMap((against) =>
      timings.flatMap((timing) => {
        const ratio = speedRatio(measured, {of: 'record', against, timing});
        const target = targets[timing === BOOT ? 'boot' : timing.name]?.[against];
        if (ratio === undefined) return [];
        return [
          {
            label: `${timing === BOOT ? 'boot, wall' : timing.name} ÷ ${COLUMNS[against]}`,
            values: [ratio.median],
            ...(target !== undefined && 'atLeast' in target ? {target: target.atLeast} : {}),
          },
        ];
      }),
    ),
  };
}

function timeTable(measured: ProgramRuns, classTimings: readonly Timing[]): Table {
  const columns = columnsOf(measured);
  return {
    title: 'CPU seconds of the whole process while the programs of a class run',
    columns: ['class', ...columns.map((column) => COLUMNS[column])],
    rows: [BOOT_CPU, ...classTimings, WHOLE].map((timing) => [
      timing.name,
      ...columns.map((column) => formatSpread(spreadOf(measured.runs.get(column)!.map(timing.secondsOf)))),
    ]),
  };
}

/** Million instructions a CPU second: as many in every column as ftvm counted. */
function programTable(measured: ProgramRuns): Table {
  const columns = columnsOf(measured);
  const compared = columns.filter((column) => column === 'tcg' || column === 'rrRecord');
  const judged = columns.includes('record');
  return {
    title: 'Program by program: million instructions a CPU second, and the speed of ftvm recording against QEMU',
    columns: [
      ...['program', 'class', 'what it does', 'M instructions'],
      ...columns.map((column) => COLUMNS[column]),
      ...(judged ? compared.map((column) => `÷ ${COLUMNS[column]}`) : []),
    ],
    rows: measured.programs.map((program) => {
      const timing: Timing = {name: program.name, secondsOf: (run) => cpuOf(run, program)};
      const steps = instructionsOf(measured, program);
      return [
        ...[program.name, program.class, program.description, formatNumber(steps / 1e6)],
        ...columns.map((column) =>
          formatNumber(steps / 1e6 / medianOf(measured.runs.get(column)!.map(timing.secondsOf))),
        ),
        ...(judged
          ? compared.map((against) =>
              formatNumber(speedRatio(measured, {of: 'record', against, timing})?.median ?? Number.NaN),
            )
          : []),
      ];
    }),
  };
}

function instructionsOf({runs}: ProgramRuns, {name}: DebianProgram): number {
  const counted = [...runs].flatMap(([column, all]) => (isOfQemu(column) ? [] : all));
  const steps = counted.flatMap((run) => stepsBetween(run, `${name} begins`, name) ?? []);
  return steps.length === 0 ? Number.NaN : medianOf(steps);
}

function cpuOf(run: Run, {name}: DebianProgram): number {
  return between(run, `${name} begins`, name).cpuS;
}

/** Those that have a run. */
function columnsOf({runs}: ProgramRuns): Column[] {
  return [...runs].flatMap(([column, all]) => (all.length > 0 ? [column] : []));
}
