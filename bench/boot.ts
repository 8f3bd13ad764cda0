// Debian from the command to its shell: without a log; recorded, and left idle for a while; replayed; and under QEMU. Every run is a
// process of its own and its clock starts with it, so that reading and hashing the images counts.

import {statSync} from 'node:fs';
import {join} from 'node:path';
import {FIRST_PROCESS_MARKER, PROMPT} from '../src/guests/debian/init-script.ts';
import type {ResolvedGuest} from '../src/guests/manifest.ts';
import {type Bench, repeat} from './bench-context.ts';
import {DEBIAN, findDebian} from './debian-guest.ts';
import {measureStarts, type Starts} from './first-instruction.ts';
import {runFtvm} from './ftvm-run.ts';
import {between, markOf, type QemuMode, type Run, type Step, stepsBetween} from './job.ts';
import {runQemu} from './qemu-run.ts';

/** The shell has asked its terminal for the cursor, and the kernel's last timers of the boot have run. */
const SETTLE_MS = 3000;
/** QEMU's log is complete only when QEMU ends by itself, so that in that run the shell is replaced by `true`. */
const QEMU_RR_APPEND = ' ftvm.run=true';
/** Twenty times what it takes. */
const QEMU_TIMEOUT_MS = 60_000;

const BOOT: readonly Step[] = [
  {name: 'firmware', waitFor: 'OpenSBI v'},
  {name: 'user', waitFor: FIRST_PROCESS_MARKER},
  {name: 'shell', waitFor: PROMPT},
];

/** One value a repetition in each list. */
export type BootSamples = {
  /** `ftvm record debian` to its guest's first instruction; several a repetition. */
  starts: Starts;
  /** Steps a CPU second from the firmware's first line to the shell, in millions. */
  speed: {plain: number[]; record: number[]};
  /** Process start to the shell. */
  wallS: {record: number[]; replay: number[]; qemu: number[]};
  cpuS: {record: number[]; replay: number[]; qemu: number[]};
  bootLogBytes: {record: number[]; qemuRecord: number[]};
  idleBytesPerS: number[];
  idleReplayS: number[];
  peakRssBytes: {record: number[]; replay: number[]; qemu: number[]};
  idleS: number;
  ramBytes: number;
};

/** Undefined where no guest `debian` is built. */
export async function measureBoot(bench: Bench, {untilS}: {untilS: number}): Promise<BootSamples | undefined> {
  const debian = await findDebian();
  if (debian === undefined) return undefined;
  const samples: BootSamples = {
    starts: {ftvmS: [], nodeS: []},
    speed: {plain: [], record: []},
    wallS: {record: [], replay: [], qemu: []},
    cpuS: {record: [], replay: [], qemu: []},
    bootLogBytes: {record: [], qemuRecord: []},
    idleBytesPerS: [],
    idleReplayS: [],
    peakRssBytes: {record: [], replay: [], qemu: []},
    idleS: bench.idleS,
    ramBytes: debian.ramBytes,
  };
  await repeat(bench, {untilS}, async (repetition) => {
    await measureFtvm(bench, {repetition, samples});
    if (bench.qemu !== undefined) await measureQemu(bench, {repetition, samples, debian});
  });
  return samples;
}

async function measureFtvm(bench: Bench, work: {repetition: number; samples: BootSamples}): Promise<void> {
  const {repetition, samples} = work;
  const options = {engine: bench.defaultEngine, signal: bench.signal};
  const guest = {image: DEBIAN, endsItself: false};
  const logPath = join(bench.folder, 'debian.ftlog');

  bench.progress('Debian started', repetition);
  const {ftvmS, nodeS} = await measureStarts(DEBIAN, bench);
  samples.starts.ftvmS.push(...ftvmS);
  samples.starts.nodeS.push(...nodeS);

  bench.progress('Debian without a log', repetition);
  samples.speed.plain.push(bootSpeed(await runFtvm({mode: 'plain', guest, steps: BOOT}, options)));

  bench.progress(`Debian recorded, then ${bench.idleS} s idle`, repetition);
  const idle: Step[] = [
    {name: 'settled', sleepMs: SETTLE_MS},
    {name: 'idle', sleepMs: bench.idleS * 1000},
  ];
  const recorded = await runFtvm({mode: 'record', guest, steps: [...BOOT, ...idle], logPath}, options);
  const boot = between(recorded, 'start', 'shell');
  const [settled, idled] = [markOf(recorded, 'settled'), markOf(recorded, 'idle')];
  samples.speed.record.push(bootSpeed(recorded));
  samples.wallS.record.push(boot.wallS);
  samples.cpuS.record.push(boot.cpuS);
  samples.bootLogBytes.record.push(markOf(recorded, 'shell').logBytes ?? Number.NaN);
  samples.idleBytesPerS.push(((idled.logBytes ?? 0) - (settled.logBytes ?? 0)) / (idled.wallS - settled.wallS));
  samples.peakRssBytes.record.push(recorded.peakRssBytes ?? Number.NaN);

  bench.progress('Debian replayed', repetition);
  const marks = ['shell', 'settled', 'idle'].map((name) => ({name, position: markOf(recorded, name).position ?? '0'}));
  const replayed = await runFtvm({mode: 'replay', logPath, marks}, options);
  const bootAgain = between(replayed, 'start', 'shell');
  samples.wallS.replay.push(bootAgain.wallS);
  samples.cpuS.replay.push(bootAgain.cpuS);
  samples.idleReplayS.push(between(replayed, 'settled', 'idle').wallS);
  samples.peakRssBytes.replay.push(replayed.peakRssBytes ?? Number.NaN);
}

async function measureQemu(
  bench: Bench,
  work: {repetition: number; samples: BootSamples; debian: ResolvedGuest},
): Promise<void> {
  const {repetition, samples, debian} = work;
  const {paths, commandLine, ramBytes} = debian;
  const rrPath = join(bench.folder, 'qemu.rr');
  const run = (mode: QemuMode, options: {append: string; steps: readonly Step[]}): Promise<Run> => {
    bench.progress(`Debian under QEMU, ${mode}`, repetition);
    const signal = AbortSignal.any([bench.signal, AbortSignal.timeout(QEMU_TIMEOUT_MS)]);
    const guest = {...paths, commandLine: commandLine + options.append, ramBytes, endsItself: options.append !== ''};
    return runQemu(guest, {mode, steps: options.steps, rrPath, signal});
  };
  const plain = await run('tcg', {append: '', steps: BOOT});
  const boot = between(plain, 'start', 'shell');
  samples.wallS.qemu.push(boot.wallS);
  samples.cpuS.qemu.push(boot.cpuS);
  samples.peakRssBytes.qemu.push(markOf(plain, 'shell').peakRssBytes ?? Number.NaN);
  await run('rrRecord', {append: QEMU_RR_APPEND, steps: BOOT.slice(0, 2)});
  samples.bootLogBytes.qemuRecord.push(statSync(rrPath).size);
}

function bootSpeed(run: Run): number {
  return (stepsBetween(run, 'firmware', 'shell') ?? Number.NaN) / between(run, 'firmware', 'shell').cpuS / 1e6;
}
