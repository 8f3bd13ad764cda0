// From runs to tables: ratios, verdicts and the log by cause, of runs whose figures are known.

import assert from 'node:assert/strict';
import type {Column} from '../../bench/column.ts';
import {debianProgramsSection} from '../../bench/debian-programs-section.ts';
import {ftSection} from '../../bench/ft-section.ts';
import type {Mark, Run} from '../../bench/job.ts';
import {WORKLOADS} from '../../bench/workloads.ts';

const STEPS = 2_000_000_000;

/** `seconds` of CPU and wall for the program, after two for the boot. */
function runOf(name: string, seconds: number, more: Partial<Run> = {}): Run {
  const marks: Mark[] = [
    {name: 'user', wallS: 2, cpuS: 2, position: '1000'},
    {name: `${name} begins`, wallS: 2, cpuS: 2, position: '1000', channelBytes: 100},
    {name, wallS: 2 + seconds, cpuS: 2 + seconds, position: String(1000 + STEPS), channelBytes: 5100},
  ];
  return {marks, wallS: 3 + seconds, cpuS: 3 + seconds, console: 'text', ...more};
}

describe('the section of programs under Debian', () => {
  const runs = new Map<Column, Run[]>([
    ['plain', [runOf('sort', 0.99)]],
    ['record', [runOf('sort', 1)]],
    ['replay', [runOf('sort', 2)]],
    ['backup', [runOf('sort', 1, {lagsMs: [1, 2, 3]})]],
    ['tcg', [runOf('sort', 1.5)]],
    ['rrRecord', [runOf('sort', 1.5)]],
    ['rrReplay', []],
  ]);
  const accounts = [
    [
      {position: 500n, cause: 'header', lengthBytes: 1000},
      {position: 2000n, cause: 'clock', lengthBytes: 30},
      {position: 3000n, cause: 'frames', lengthBytes: 49},
    ],
  ];
  const programs = [{name: 'sort', class: 'integer' as const, description: 'sorts', checksum: ''}];
  const section = debianProgramsSection({programs, accounts, runs});
  const figure = (name: RegExp) => section.figures.find((candidate) => name.test(candidate.name));

  it('judges the speed of recording by that of QEMU, each mode by its own target', () => {
    assert.equal(figure(/integer, speed recording ÷ QEMU plain/)?.ftvm.median, 1.5);
    assert.equal(figure(/integer, speed recording ÷ QEMU plain/)?.verdict, 'reached');
    assert.equal(figure(/integer, speed recording ÷ QEMU rr=record/)?.verdict, 'missed');
  });

  it('judges what recording and replaying cost', () => {
    assert.equal(figure(/recording ÷ not recording/)?.verdict, 'reached');
    assert.equal(figure(/replaying ÷ recording/)?.ftvm.median, 2);
    assert.equal(figure(/replaying ÷ recording/)?.verdict, 'missed');
  });

  it('counts of the log what was written while the program ran', () => {
    assert.equal(section.figures.find(({unit}) => unit === 'B per guest second')?.ftvm.median, 79);
    assert.equal(figure(/channel to a backup/)?.ftvm.median, 5000 - 79);
  });

  it('shows all columns that ran, with the instructions that ftvm counted', () => {
    const [row] = section.tables[2].rows;
    assert.deepEqual(row.slice(0, 4), ['sort', 'integer', 'sorts', '2000']);
    assert.equal(row.length, 4 + 6 + 2);
  });

  it('keeps the runs as data, without what their consoles said', () => {
    assert.ok(!JSON.stringify(section.data).includes('"text"'));
  });
});

describe('the section of fault tolerance', () => {
  const run = (seconds: number, more: Partial<Run> = {}): Run => ({
    marks: [
      {name: 'begins', wallS: 1, cpuS: 1, logBytes: 0, channelBytes: 0, backupCpuS: 1},
      {name: 'done', wallS: 1 + seconds, cpuS: 1 + seconds, logBytes: 250_000, channelBytes: 500_000, backupCpuS: 2},
    ],
    wallS: 9,
    cpuS: 9,
    console: '',
    ...more,
  });
  const workloads = [{workload: WORKLOADS[0], alone: [run(1)], protected: [run(2, {lagsMs: [5, 5, 30]})]}];
  const section = ftSection({workloads, late: [run(1, {joinPausesMs: [12]})]});

  it('compares with and without a backup, and tells lag and pause', () => {
    const found = section.figures.map(({name, ftvm, verdict}) => [name.replace(/^\w+, /, ''), ftvm.median, verdict]);
    assert.deepEqual(found, [
      ['speed with a backup ÷ without, wall time', 0.5, 'missed'],
      ["the same by the primary's CPU time", 0.5, undefined],
      ['lag, median', 5, 'reached'],
      ['lag, 99th percentile', 30, undefined],
      ['pause of the guest while a backup joins late', 12, 'reached'],
    ]);
  });

  it('gives rates in Mbit a second', () => {
    assert.deepEqual(section.tables[1].rows[0].slice(-4), ['1.00', '2.00', '1.00', '2.00']);
  });
});
