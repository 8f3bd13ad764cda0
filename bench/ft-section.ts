// What fault tolerance costs real workloads: beside the paper's tables 1 and 2.

import {type Figure, figureTable, judge, TARGETS} from './figures.ts';
import {between, markOf, type Run} from './job.ts';
import type {Section} from './section.ts';
import {medianOf, quantileOf, ratioOf, spreadOf} from './statistics.ts';
import {formatNumber, type Table} from './table.ts';
import type {FaultTolerance, WorkloadRuns} from './workloads.ts';

export function ftSection(measured: FaultTolerance): Section {
  const figures = [...measured.workloads.flatMap(figuresOf), ...lateFigures(measured.late)].map(judge);
  return {
    name: 'ft',
    figures,
    tables: [figureTable('A backup attached, on the same processors', figures), workloadTable(measured.workloads)],
    data: {
      workloads: measured.workloads.map(({workload, alone, protected: withBackup}) => {
        return {workload, alone: alone.map(withoutConsole), protected: withBackup.map(withoutConsole)};
      }),
      late: measured.late.map(withoutConsole),
    },
  };
}

function figuresOf({workload, alone, protected: withBackup}: WorkloadRuns): Figure[] {
  const {name} = workload;
  const time = (runs: readonly Run[], clock: 'wallS' | 'cpuS') =>
    runs.map((run) => between(run, 'begins', 'done')[clock]);
  const lags = withBackup.map(lagsOf);
  return [
    {
      name: `${name}, speed with a backup ÷ without, wall time`,
      unit: '×',
      ftvm: ratioOf({numerator: time(alone, 'wallS'), denominator: time(withBackup, 'wallS')}),
      target: TARGETS.backupRatio,
    },
    {
      name: `${name}, the same by the primary's CPU time`,
      unit: '×',
      ftvm: ratioOf({numerator: time(alone, 'cpuS'), denominator: time(withBackup, 'cpuS')}),
    },
    {name: `${name}, lag, median`, unit: 'ms', ftvm: spreadOf(lags.map(medianOf)), target: TARGETS.lagMs},
    {name: `${name}, lag, 99th percentile`, unit: 'ms', ftvm: spreadOf(lags.map((all) => quantileOf(all, 0.99)))},
  ];
}

function lateFigures(late: readonly Run[]): Figure[] {
  const pauses = late.flatMap(({joinPausesMs}) => joinPausesMs ?? []);
  if (pauses.length === 0) return [];
  const name = 'pause of the guest while a backup joins late';
  return [{name, unit: 'ms', ftvm: spreadOf(pauses), target: TARGETS.joinPauseMs}];
}

function workloadTable(workloads: readonly WorkloadRuns[]): Table {
  return {
    title: 'The same, medians: seconds of the workload, and what the log and the channel carried meanwhile',
    columns: [
      ...['workload', 'what it does', 'wall s alone', 'wall s with a backup', 'CPU s alone', 'CPU s of the primary'],
      ...['CPU s of the backup', 'log alone, Mbit/s', 'log with a backup, Mbit/s', 'channel, Mbit/s'],
    ],
    rows: workloads.map(({workload, alone, protected: withBackup}) => {
      const median = (runs: readonly Run[], of: (run: Run) => number) => formatNumber(medianOf(runs.map(of)));
      const wall = (run: Run) => between(run, 'begins', 'done').wallS;
      const cpu = (run: Run) => between(run, 'begins', 'done').cpuS;
      const rate = (what: 'logBytes' | 'channelBytes') => (run: Run) => (gained(run, what) * 8) / 1e6 / wall(run);
      return [
        workload.name,
        workload.description,
        ...[median(alone, wall), median(withBackup, wall), median(alone, cpu), median(withBackup, cpu)],
        median(withBackup, (run) => gained(run, 'backupCpuS')),
        ...[
          median(alone, rate('logBytes')),
          median(withBackup, rate('logBytes')),
          median(withBackup, rate('channelBytes')),
        ],
      ];
    }),
  };
}

function gained(run: Run, what: 'logBytes' | 'channelBytes' | 'backupCpuS'): number {
  return (markOf(run, 'done')[what] ?? Number.NaN) - (markOf(run, 'begins')[what] ?? Number.NaN);
}

/** A run that was over before a sample was taken had no lag to speak of. */
function lagsOf({lagsMs}: Run): readonly number[] {
  return lagsMs === undefined || lagsMs.length === 0 ? [0] : lagsMs;
}

function withoutConsole({console: _, ...run}: Run): object {
  return run;
}
