// `npm run bench`: measures what docs/benchmarks.md states, on this machine and now. Progress goes to stderr; the tables, or with
// --json the report, to stdout.

import {mkdtempSync, rmSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {parseArgs} from 'node:util';
import {JUDGED_PROGRAM, measureModes, measureSpeeds, QUICK_PROGRAMS, readPrograms} from './bare-programs.ts';
import {bareSection} from './bare-section.ts';
import type {Bench} from './bench-context.ts';
import {measureBoot} from './boot.ts';
import {bootSection} from './boot-section.ts';
import {COLUMNS, type Column} from './column.ts';
import {DEBIAN_COMMAND, readDebianPrograms} from './debian-guest.ts';
import {measureDebianPrograms, QUICK_DEBIAN_PROGRAMS} from './debian-programs.ts';
import {debianProgramsSection} from './debian-programs-section.ts';
import {writeDocument} from './document.ts';
import {availableEngines} from './engines.ts';
import {ftSection} from './ft-section.ts';
import {describeHost} from './host-description.ts';
import {qemuVersion} from './qemu-run.ts';
import {formatReport, type Report, reportJson} from './report.ts';
import {SECTION_NAMES, type Section, type SectionName} from './section.ts';
import {measureFaultTolerance, WORKLOAD_GUEST_COMMAND} from './workloads.ts';

const USAGE = `npm run bench -- [--quick] [--only SECTION,…] [--programs NAME,…] [--columns NAME,…] [--repeat N] [--json] [--write]

  --quick     one repetition, fewer programs, 10 s of idle time
  --only      only these sections: ${SECTION_NAMES.join(', ')}
  --programs  of the section debian-programs, only these: ${readDebianPrograms()
    .map(({name}) => name)
    .join(' ')}
  --columns   of the section debian-programs, only these: ${Object.keys(COLUMNS).join(' ')}
  --repeat    so many repetitions, however long they take
  --json      print the report as JSON instead of tables
  --write     put the tables into docs/benchmarks.md
`;

const FULL = {repetitions: 3, idleS: 60};
const QUICK = {repetitions: 1, idleS: 10};

/** Seconds after the start at which a section shall be over, unless repetitions are asked for: on a busy host it gets fewer. */
const UNTIL_S: Readonly<Record<SectionName, number>> = {'debian-programs': 480, boot: 620, bare: 720, ft: 880};

async function main(): Promise<void> {
  const {values} = parseArgs({
    options: {
      quick: {type: 'boolean', default: false},
      only: {type: 'string'},
      programs: {type: 'string'},
      columns: {type: 'string'},
      repeat: {type: 'string'},
      json: {type: 'boolean', default: false},
      write: {type: 'boolean', default: false},
      help: {type: 'boolean', short: 'h', default: false},
    },
  });
  if (values.help) {
    process.stdout.write(USAGE);
    return;
  }
  const names = chosen(values.only, {from: SECTION_NAMES, option: '--only'}) ?? SECTION_NAMES;
  const all = readDebianPrograms().map(({name}) => name);
  const programs = chosen(values.programs, {from: all, option: '--programs'});
  const everyColumn = Object.keys(COLUMNS) as Column[];
  const columns = chosen(values.columns, {from: everyColumn, option: '--columns'}) ?? everyColumn;
  const stop = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => stop.abort());
  const folder = mkdtempSync(join(tmpdir(), 'ftvm-bench-'));
  try {
    const engines = availableEngines();
    const qemu = qemuVersion();
    const started = performance.now();
    const how = values.quick ? QUICK : FULL;
    const bench: Bench = {
      ...how,
      repetitions: values.repeat === undefined ? how.repetitions : Number(values.repeat),
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
    if (qemu === undefined) process.stderr.write('qemu-system-riscv64 is not installed: no columns of QEMU\n');
    const sections: Section[] = [];
    for (const name of names) {
      const quickPrograms = values.quick ? QUICK_DEBIAN_PROGRAMS : undefined;
      const untilS = values.repeat === undefined ? UNTIL_S[name] : Number.POSITIVE_INFINITY;
      const what = {name, columns, programs: programs ?? quickPrograms, quick: values.quick, untilS};
      const section = await measure(bench, what);
      if (section !== undefined) sections.push(section);
      else
        process.stderr.write(
          `no section ${name}: its guest is missing (${name === 'ft' ? WORKLOAD_GUEST_COMMAND : DEBIAN_COMMAND})\n`,
        );
    }
    const report: Report = {
      command: ['npm run bench', ...(process.argv.length > 2 ? ['--', ...process.argv.slice(2)] : [])].join(' '),
      date: new Date().toISOString().slice(0, 10),
      host,
      repetitions: bench.repetitions,
      sections,
    };
    process.stdout.write(values.json ? reportJson(report) : formatReport(report));
    if (values.write) writeDocument(report);
  } finally {
    rmSync(folder, {recursive: true, force: true});
  }
}

/** Undefined where the guest that it needs is not there. */
async function measure(
  bench: Bench,
  what: {
    name: SectionName;
    columns: readonly Column[];
    programs: readonly string[] | undefined;
    quick: boolean;
    untilS: number;
  },
): Promise<Section | undefined> {
  const {name, columns, programs: names, quick, untilS} = what;
  switch (name) {
    case 'debian-programs': {
      const measured = await measureDebianPrograms(bench, {columns, names, untilS});
      return measured && debianProgramsSection(measured);
    }
    case 'ft': {
      const measured = await measureFaultTolerance(bench, {untilS});
      return measured && ftSection(measured);
    }
    case 'boot': {
      const samples = await measureBoot(bench, {untilS});
      return samples && bootSection(samples);
    }
    case 'bare': {
      const all = readPrograms();
      const program = all.find((candidate) => candidate.name === JUDGED_PROGRAM)!;
      const programs = quick ? all.filter((candidate) => QUICK_PROGRAMS.includes(candidate.name)) : all;
      const modes = await measureModes(bench, {program, untilS});
      const speeds = await measureSpeeds(bench, {programs, untilS});
      return bareSection({speeds, modes, engines: bench.engines});
    }
  }
}

/** The names of a list with commas. */
function chosen<Name extends string>(
  list: string | undefined,
  {from, option}: {from: readonly Name[]; option: string},
): Name[] | undefined {
  const names = list?.split(',');
  const unknown = names?.find((name) => !(from as readonly string[]).includes(name));
  if (unknown !== undefined) throw new Error(`${option} ${unknown}: there are ${from.join(', ')}`);
  return names && from.filter((name) => names.includes(name));
}

try {
  await main();
} catch (error) {
  process.stderr.write(`error: ${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
}
