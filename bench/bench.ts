// `npm run bench`: measures what docs/benchmarks.md states, on this machine and now. Progress goes to stderr; the table, or with
// --json the report, to stdout.

import {mkdtempSync, rmSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {parseArgs} from 'node:util';
import type {Bench} from './bench-context.ts';
import {measureDebian} from './debian.ts';
import {writeDocument} from './document.ts';
import {availableEngines} from './engines.ts';
import {describeHost, formatHost} from './host-description.ts';
import {JUDGED_PROGRAM, measureModes, measureSpeeds, QUICK_PROGRAMS, readPrograms} from './programs.ts';
import {qemuVersion} from './qemu-run.ts';
import {reportOf, tablesOf} from './report.ts';
import {formatText} from './table.ts';

const USAGE = `npm run bench -- [--quick] [--json] [--write]

  --quick  one repetition, two programs, 10 s of idle time: under a minute
  --json   print the report as JSON instead of tables
  --write  put the tables into docs/benchmarks.md
`;

const FULL = {repetitions: 3, idleS: 60};
const QUICK = {repetitions: 1, idleS: 10};

async function main(): Promise<void> {
  const {values} = parseArgs({
    options: {
      quick: {type: 'boolean', default: false},
      json: {type: 'boolean', default: false},
      write: {type: 'boolean', default: false},
      help: {type: 'boolean', short: 'h', default: false},
    },
  });
  if (values.help) {
    process.stdout.write(USAGE);
    return;
  }
  const stop = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => stop.abort());
  const folder = mkdtempSync(join(tmpdir(), 'ftvm-bench-'));
  try {
    const engines = availableEngines();
    const qemu = qemuVersion();
    const started = performance.now();
    const bench: Bench = {
      ...(values.quick ? QUICK : FULL),
      engines,
      defaultEngine: engines[engines.length - 1],
      qemu,
      folder,
      signal: stop.signal,
      elapsedS: () => (performance.now() - started) / 1000,
      progress(what, repetition) {
        process.stderr.write(
          `${String(Math.round(this.elapsedS())).padStart(4)} s  ${repetition}/${this.repetitions}  ${what}\n`,
        );
      },
    };
    const host = describeHost(qemu);
    if (qemu === undefined) process.stderr.write('qemu-system-riscv64 is not installed: no column QEMU\n');
    const all = readPrograms();
    const programs = values.quick ? all.filter(({name}) => QUICK_PROGRAMS.includes(name)) : all;
    const judged = all.find(({name}) => name === JUDGED_PROGRAM);
    if (judged === undefined) throw new Error(`bench/guests has no program ${JUDGED_PROGRAM}`);
    const debian = await measureDebian(bench);
    if (debian === undefined) {
      process.stderr.write('there is no guest debian: no figures of it (build it with `ftvm guest build debian`)\n');
    }
    const modes = await measureModes(bench, judged);
    const speeds = await measureSpeeds(bench, programs);
    const report = reportOf(
      {speeds, modes, debian, idleS: bench.idleS},
      {
        command: ['npm run bench', ...(values.quick ? ['-- --quick'] : [])].join(' '),
        date: new Date().toISOString().slice(0, 10),
        host,
        engines,
        repetitions: bench.repetitions,
      },
    );
    if (values.json) process.stdout.write(`${JSON.stringify(report, undefined, 2)}\n`);
    else process.stdout.write(`${formatHost(host)}\n\n${tablesOf(report).map(formatText).join('\n')}`);
    if (values.write) writeDocument(report);
  } finally {
    rmSync(folder, {recursive: true, force: true});
  }
}

try {
  await main();
} catch (error) {
  process.stderr.write(`error: ${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
}
