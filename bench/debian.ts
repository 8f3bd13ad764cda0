// Debian from power-on to its shell: without a log, recorded and left idle for a while, replayed; and under QEMU, plain and with
// its own record and replay. Every run is a process of its own and its clock starts with it, so that reading and hashing the
// images counts.

import {statSync} from 'node:fs';
import {join} from 'node:path';
import {FIRST_PROCESS_MARKER, PROMPT} from '../src/guests/debian/init-script.ts';
import {resolveGuest} from '../src/guests/manifest.ts';
import {type Bench, repeat} from './bench-context.ts';
import {runFtvm} from './ftvm-run.ts';
import {between, markOf, type QemuMode, type Run, type Step} from './job.ts';
import {runQemu} from './qemu-run.ts';

const GUEST = 'debian';
/** When this part shall be over, of a run of eight minutes. */
const UNTIL_S = 320;
/** The shell has asked its terminal for the cursor, and the kernel's last timers of the boot have run. */
const SETTLE_MS = 3000;
/** QEMU's log is complete only when QEMU ends by itself, so that in those runs the shell is replaced by `true`. */
const QEMU_RR_APPEND = ' ftvm.run=true';

/** Ten times what it takes: its replay can hang. */
const QEMU_TIMEOUT_MS = 40_000;

const BOOT: readonly Step[] = [
  {name: 'firmware', waitFor: 'OpenSBI v'},
  {name: 'user', waitFor: FIRST_PROCESS_MARKER},
  {name: 'shell', waitFor: PROMPT},
];

/** One value a repetition in each list. */
export type Samples = {
  /** Process start to the first user process. */
  userS: {record: number[]; qemu: number[]; qemuRecord: number[]};
  /** The same in CPU seconds. */
  userCpuS: {record: number[]; qemu: number[]};
  /** Steps a CPU second from the firmware's first line to the shell, in millions. */
  speed: {plain: number[]; record: number[]};
  /** Process start to the shell. */
  wallS: {record: number[]; replay: number[]; qemuRecord: number[]; qemuReplay: number[]};
  cpuS: {record: number[]; replay: number[]};
  idleReplayS: number[];
  bootLogBytes: {record: number[]; qemuRecord: number[]};
  idleBytesPerS: number[];
  peakRssBytes: {record: number[]; replay: number[]; qemu: number[]};
  ramBytes: number;
};

/** Undefined where no Debian guest is built. */
export async function measureDebian(bench: Bench): Promise<Samples | undefined> {
  const resolved = await resolveGuest(GUEST).catch(() => undefined);
  if (resolved === undefined) return undefined;
  const samples: Samples = {
    userS: {record: [], qemu: [], qemuRecord: []},
    userCpuS: {record: [], qemu: []},
    speed: {plain: [], record: []},
    wallS: {record: [], replay: [], qemuRecord: [], qemuReplay: []},
    cpuS: {record: [], replay: []},
    idleReplayS: [],
    bootLogBytes: {record: [], qemuRecord: []},
    idleBytesPerS: [],
    peakRssBytes: {record: [], replay: [], qemu: []},
    ramBytes: resolved.ramBytes,
  };
  await repeat(bench, {untilS: UNTIL_S}, async (repetition) => {
    await measureFtvm(bench, {repetition, samples});
    if (bench.qemu !== undefined) await measureQemu(bench, {repetition, samples, resolved});
  });
  return samples;
}

async function measureFtvm(bench: Bench, work: {repetition: number; samples: Samples}): Promise<void> {
  const {repetition, samples} = work;
  const options = {engine: bench.defaultEngine, signal: bench.signal};
  const guest = {image: GUEST, endsItself: false};
  const logPath = join(bench.folder, 'debian.ftlog');

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
  samples.userS.record.push(markOf(recorded, 'user').wallS);
  samples.userCpuS.record.push(markOf(recorded, 'user').cpuS);
  samples.speed.record.push(bootSpeed(recorded));
  samples.wallS.record.push(boot.wallS);
  samples.cpuS.record.push(boot.cpuS);
  samples.bootLogBytes.record.push(markOf(recorded, 'shell').logBytes ?? Number.NaN);
  samples.idleBytesPerS.push(((idled.logBytes ?? 0) - (settled.logBytes ?? 0)) / (idled.wallS - settled.wallS));
  samples.peakRssBytes.record.push(recorded.peakRssBytes ?? Number.NaN);

  bench.progress('Debian replayed', repetition);
  const marks = ['shell', 'settled', 'idle'].map((name) => ({name, position: positionOf(recorded, name)}));
  const replayed = await runFtvm({mode: 'replay', logPath, marks}, options);
  const bootAgain = between(replayed, 'start', 'shell');
  samples.wallS.replay.push(bootAgain.wallS);
  samples.cpuS.replay.push(bootAgain.cpuS);
  samples.idleReplayS.push(between(replayed, 'settled', 'idle').wallS);
  samples.peakRssBytes.replay.push(replayed.peakRssBytes ?? Number.NaN);
}

async function measureQemu(
  bench: Bench,
  work: {repetition: number; samples: Samples; resolved: Awaited<ReturnType<typeof resolveGuest>>},
): Promise<void> {
  const {repetition, samples, resolved} = work;
  const {paths, commandLine, ramBytes} = resolved;
  const rrPath = join(bench.folder, 'qemu.rr');
  const run = (mode: QemuMode): Promise<Run> => {
    const alone = mode !== 'tcg';
    bench.progress(`Debian under QEMU, ${QEMU_MODES[mode]}`, repetition);
    return runQemu(
      {...paths, commandLine: commandLine + (alone ? QEMU_RR_APPEND : ''), ramBytes, endsItself: alone},
      {mode, steps: alone ? BOOT.slice(0, 2) : BOOT, rrPath, signal: limited(bench.signal)},
    );
  };
  const plain = await run('tcg');
  samples.userS.qemu.push(markOf(plain, 'user').wallS);
  samples.userCpuS.qemu.push(markOf(plain, 'user').cpuS);
  samples.peakRssBytes.qemu.push(markOf(plain, 'shell').peakRssBytes ?? Number.NaN);
  if (samples.wallS.qemuRecord.length < repetition - 1) return;
  try {
    const recorded = await run('rrRecord');
    const replayed = await run('rrReplay');
    samples.userS.qemuRecord.push(markOf(recorded, 'user').wallS);
    samples.wallS.qemuRecord.push(recorded.wallS);
    samples.wallS.qemuReplay.push(replayed.wallS);
    samples.bootLogBytes.qemuRecord.push(statSync(rrPath).size);
  } catch (error) {
    bench.signal.throwIfAborted();
    const reason = error instanceof Error ? error.message : String(error);
    process.stderr.write(`QEMU's record and replay of this guest are left out from here on: ${reason}\n`);
  }
}

const QEMU_MODES: Readonly<Record<QemuMode, string>> = {tcg: 'plain', rrRecord: 'recording', rrReplay: 'replaying'};

function limited(signal: AbortSignal): AbortSignal {
  return AbortSignal.any([signal, AbortSignal.timeout(QEMU_TIMEOUT_MS)]);
}

function bootSpeed(run: Run): number {
  const steps = BigInt(positionOf(run, 'shell')) - BigInt(positionOf(run, 'firmware'));
  return Number(steps) / between(run, 'firmware', 'shell').cpuS / 1e6;
}

function positionOf(run: Run, name: string): string {
  const {position} = markOf(run, name);
  if (position === undefined) throw new Error(`the mark ${name} has no position`);
  return position;
}
