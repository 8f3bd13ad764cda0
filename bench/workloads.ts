// Fault tolerance under real workloads: other people's programs in a Debian guest, recorded by themselves and with a backup attached, by
// turns; and a backup that joins late, to a guest of 256 MB that writes its memory all the time. The backup runs on the same processors, which it would not on another host.

import {execFileSync} from 'node:child_process';
import {readFileSync, rmSync, truncateSync, writeFileSync} from 'node:fs';
import {join} from 'node:path';
import {fileURLToPath} from 'node:url';
import {FIRST_PROCESS_MARKER} from '../src/guests/debian/init-script.ts';
import {type ResolvedGuest, resolveGuest} from '../src/guests/manifest.ts';
import {type Bench, repeat} from './bench-context.ts';
import {findDebian, initrdWith} from './debian-guest.ts';
import {runFtvm} from './ftvm-run.ts';
import type {GuestSpec, Job, Run, Step} from './job.ts';

export const WORKLOAD_PACKAGES = 'gcc,libc6-dev,redis-server,redis-tools,sqlite3,python3';
const GUEST = 'bench';
export const WORKLOAD_GUEST_COMMAND = `ftvm guest build debian --name ${GUEST} --packages ${WORKLOAD_PACKAGES}`;

export type Workload = {name: string; description: string; usesDisk: boolean};

export const WORKLOADS: readonly Workload[] = [
  {name: 'compile', description: 'gcc -O2 of five C files, twice each', usesDisk: false},
  {name: 'redis', description: 'redis-benchmark, 20 clients over loopback', usesDisk: false},
  {name: 'sqlite', description: 'sqlite3, 150 transactions of 10 inserts on a disk, durable', usesDisk: true},
  {name: 'python', description: 'python3: dictionaries, strings, big numbers', usesDisk: false},
];

const LATE = 'dirty';
const SOURCES = ['bench.h', 'loop.c', 'sort.c', 'vm.c', 'float.c', 'fft.c'];
const DISK_BYTES = 64 * 2 ** 20;
const FOLDER = fileURLToPath(new URL('./guests/', import.meta.url));

export type WorkloadRuns = {
  workload: Workload;
  /** One run a repetition. */
  alone: Run[];
  protected: Run[];
};
export type FaultTolerance = {workloads: readonly WorkloadRuns[]; late: readonly Run[]};

/** Undefined where the guest with the packages is not built. */
export async function measureFaultTolerance(
  bench: Bench,
  {untilS}: {untilS: number},
): Promise<FaultTolerance | undefined> {
  const resolved = await resolveGuest(GUEST).catch(() => undefined);
  if (resolved === undefined) return undefined;
  const disk = makeDisk(bench.folder);
  const workloads = WORKLOADS.filter(({usesDisk}) => disk !== undefined || !usesDisk);
  const initrdPath = writeInitrd(resolved, join(bench.folder, 'workload-initrd.cpio'));
  const debian = await findDebian();
  const lateInitrdPath = debian && writeInitrd(debian, join(bench.folder, 'late-initrd.cpio'));
  const measured = workloads.map((workload): WorkloadRuns => ({workload, alone: [], protected: []}));
  const late: Run[] = [];
  const run = (job: Job): Promise<Run> => runFtvm(job, {engine: bench.defaultEngine, signal: bench.signal});
  await repeat(bench, {untilS}, async (repetition) => {
    for (const {workload, alone, protected: withBackup} of measured) {
      const guest = guestOf(workload.name, {image: GUEST, initrdPath, disk: workload.usesDisk ? disk : undefined});
      const job = {guest, steps: stepsOf(workload.name), logPath: join(bench.folder, 'workload.ftlog')};
      bench.progress(`${workload.name}, recorded`, repetition);
      alone.push(await run({...job, mode: 'record'}));
      bench.progress(`${workload.name}, with a backup`, repetition);
      withBackup.push(await run({...job, mode: 'backup'}));
    }
    if (lateInitrdPath === undefined) return;
    bench.progress('a backup that joins late', repetition);
    const guest = guestOf(LATE, {image: 'debian', initrdPath: lateInitrdPath, disk: undefined});
    const job = {guest, steps: stepsOf(LATE), logPath: join(bench.folder, 'late.ftlog')};
    late.push(await run({...job, mode: 'backup', joinAfter: 'begins'}));
  });
  rmSync(initrdPath);
  if (lateInitrdPath !== undefined) rmSync(lateInitrdPath);
  return {workloads: measured, late};
}

function guestOf(name: string, of: {image: string; initrdPath: string; disk: string | undefined}): GuestSpec {
  const {image, initrdPath, disk} = of;
  const append = `ftvm.run="workload ${name}"`;
  return {image, append, initrdPath, endsItself: true, ...(disk === undefined ? {} : {disks: [disk]})};
}

function stepsOf(name: string): Step[] {
  return [
    {name: 'user', waitFor: FIRST_PROCESS_MARKER},
    {name: 'begins', waitFor: `${name}: begin`},
    {name: 'done', waitFor: `${name}: end`},
  ];
}

function writeInitrd({images}: ResolvedGuest, initrdPath: string): string {
  const files = [
    {path: 'usr/local/bin/workload', mode: 0o755, bytes: readFileSync(join(FOLDER, 'workload.sh'))},
    ...SOURCES.map((file) => ({path: `usr/src/${file}`, mode: 0o644, bytes: readFileSync(join(FOLDER, file))})),
  ];
  writeFileSync(initrdPath, initrdWith(images.initrd!, files));
  return initrdPath;
}

/** An empty ext4; undefined where there is no mke2fs. */
function makeDisk(folder: string): string | undefined {
  const path = join(folder, 'disk.img');
  writeFileSync(path, '');
  truncateSync(path, DISK_BYTES);
  try {
    execFileSync('mke2fs', ['-q', '-t', 'ext4', path], {stdio: 'ignore'});
    return path;
  } catch {
    process.stderr.write('mke2fs is not installed: no workload with a disk\n');
    return undefined;
  }
}
