// One column of the table, some programs, in this very process, for a profiler: `node [--cpu-prof] bench/alone.ts COLUMN [PROGRAM…]`
// (docs/benchmarks.md). Prints what each program took.

import {mkdtempSync, rmSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {prepareV8} from '../bin/prepare-v8.js';
import {COLUMNS, type Column, type ColumnRunner, recordingOf, runColumn} from './column.ts';
import {DEBIAN_COMMAND, findDebian, guestRunning, readDebianPrograms, stepsOf} from './debian-guest.ts';
import {runFtvm} from './ftvm-run.ts';
import {between, type Run, stepsBetween} from './job.ts';
import {formatNumber, formatText} from './table.ts';

async function main(): Promise<void> {
  prepareV8();
  const {perform} = await import('./perform.ts');
  const [column, ...names] = process.argv.slice(2);
  const all = readDebianPrograms();
  if (!(column in COLUMNS) || names.some((name) => !all.some((program) => program.name === name))) {
    const words = {columns: Object.keys(COLUMNS).join('|'), programs: all.map(({name}) => name).join(' ')};
    throw new Error(`usage: node bench/alone.ts ${words.columns} [${words.programs}]`);
  }
  const debian = await findDebian();
  if (debian === undefined) throw new Error(`there is no guest debian: ${DEBIAN_COMMAND}`);
  const programs = names.length === 0 ? all : all.filter(({name}) => names.includes(name));
  const folder = mkdtempSync(join(tmpdir(), 'ftvm-alone-'));
  try {
    const {signal} = new AbortController();
    const guest = guestRunning(programs, {debian, folder});
    const how: ColumnRunner = {guest, steps: stepsOf(programs), folder, runFtvm: perform, signal};
    const before = recordingOf(column as Column);
    const elsewhere = {
      ...how,
      runFtvm: (job: Parameters<typeof perform>[0]) => runFtvm(job, {engine: 'translator', signal}),
    };
    const recorded = before === undefined ? undefined : await runColumn(before, elsewhere);
    const run = await runColumn(column as Column, how, recorded);
    const counted = recorded === undefined ? run : recorded;
    const rows = [
      timeOf(run, counted, {name: 'boot', from: 'start', to: 'user'}),
      ...programs.map(({name}) => timeOf(run, counted, {name, from: `${name} begins`, to: name})),
      timeOf(run, counted, {name: 'all', from: 'start', to: 'end'}),
    ];
    const title = COLUMNS[column as Column];
    process.stdout.write(formatText({title, columns: ['program', 'CPU s', 'wall s', 'M steps', 'MIPS'], rows}));
  } finally {
    rmSync(folder, {recursive: true, force: true});
  }
}

function timeOf(run: Run, counted: Run, what: {name: string; from: string; to: string}): string[] {
  const {name, from, to} = what;
  const {cpuS, wallS} = between(run, from, to);
  const steps = stepsBetween(counted, from, to);
  const counts = steps === undefined ? ['', ''] : [formatNumber(steps / 1e6), formatNumber(steps / 1e6 / cpuS)];
  return [name, formatNumber(cpuS), formatNumber(wallS), ...counts];
}

try {
  await main();
} catch (error) {
  process.stderr.write(`error: ${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
}
