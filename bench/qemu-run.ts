// One measured run of qemu-system-riscv64, told to be our machine. CPU seconds come from the kernel's own account of the process:
// at a mark from /proc, at its end from a shell that waits for it.

import {type ChildProcess, execFileSync, spawn} from 'node:child_process';
import {createReadStream, mkdtempSync, rmSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import type {Mark, QemuMode, Run, Step} from './job.ts';
import {childOf, usageOf} from './process-usage.ts';
import {Scenario} from './scenario.ts';

const QEMU = 'qemu-system-riscv64';
/** Our extensions and no others. */
const QEMU_CPU = 'rv64,h=off,v=off,zba=on,zbb=on,zbc=off,zbs=on,sstc=on,mmu=on,pmp=on';

export type QemuGuest = {
  kernel: string;
  firmware?: string | undefined;
  initrd?: string | undefined;
  commandLine: string;
  ramBytes: number;
  endsItself: boolean;
};

/** `QEMU emulator version 7.2.19 …`; undefined where there is none. */
export function qemuVersion(): string | undefined {
  try {
    return /version (\S+)/.exec(execFileSync(QEMU, ['--version'], {encoding: 'utf8', stdio: 'pipe'}))?.[1];
  } catch {
    return undefined;
  }
}

/** `rrPath`: QEMU's own log, for its modes of recording and replaying. Throws when QEMU fails. */
export async function runQemu(
  guest: QemuGuest,
  options: {mode: QemuMode; steps: readonly Step[]; rrPath: string; signal: AbortSignal},
): Promise<Run> {
  // A named pipe, because Node's own are sockets, on which QEMU's console gets slower by orders of magnitude. Input is at its end
  // from the start, because QEMU's record and replay do not stand anything else.
  const folder = mkdtempSync(join(tmpdir(), 'ftvm-qemu-'));
  const consolePath = join(folder, 'console');
  execFileSync('mkfifo', [consolePath]);
  const startedMs = performance.now();
  // `times` prints what the children of the shell have used.
  const script = '"$@" >"$0"; status=$?; times >&2; exit $status';
  const child = spawn('/bin/sh', ['-c', script, consolePath, QEMU, ...argumentsOf(guest, options)], {
    stdio: ['ignore', 'ignore', 'pipe'],
    detached: true,
  });
  const kill = () => killGroup(child);
  options.signal.addEventListener('abort', kill);
  process.once('exit', kill);
  const marks: Mark[] = [];
  const look = () => ({wallS: (performance.now() - startedMs) / 1000, ...usageOf(childOf(child.pid!) ?? Number.NaN)});
  let stopped: Run | undefined;
  const scenario = new Scenario(options.steps, (step) => {
    marks.push({name: step.name, ...look()});
    if (scenario.finished && !guest.endsItself) {
      stopped = {marks, ...look(), console: scenario.tail};
      kill();
    }
  });
  let stderr = '';
  const consoleStream = createReadStream(consolePath);
  consoleStream.on('data', (chunk) => scenario.show(chunk.toString('latin1')));
  const consoleEnded = new Promise<void>((resolve) => consoleStream.once('close', () => resolve()));
  child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()));
  let status: number | null;
  try {
    status = await new Promise((resolve, reject) => {
      child.once('error', reject);
      child.once('close', resolve);
    });
    await consoleEnded;
  } finally {
    options.signal.removeEventListener('abort', kill);
    process.off('exit', kill);
    rmSync(folder, {recursive: true, force: true});
  }
  options.signal.throwIfAborted();
  if (stopped !== undefined) return stopped;
  const wallS = (performance.now() - startedMs) / 1000;
  const cpuS = childSeconds(stderr);
  if (status !== 0 || cpuS === undefined) throw new Error(`${QEMU} (${options.mode}) failed: ${stderr.trim()}`);
  return {marks, wallS, cpuS, console: scenario.tail};
}

function argumentsOf(guest: QemuGuest, options: {mode: QemuMode; rrPath: string}): string[] {
  const {firmware, initrd, commandLine} = guest;
  const icount = {
    tcg: [],
    icount: ['-icount', 'shift=1'],
    rrRecord: ['-icount', `shift=1,rr=record,rrfile=${options.rrPath}`],
    rrReplay: ['-icount', `shift=1,rr=replay,rrfile=${options.rrPath}`],
  }[options.mode];
  return [
    ...['-machine', 'virt', '-cpu', QEMU_CPU, '-m', `${guest.ramBytes / 2 ** 20}M`],
    ...['-bios', firmware ?? 'none', '-kernel', guest.kernel],
    ...(initrd === undefined ? [] : ['-initrd', initrd]),
    ...(commandLine === '' ? [] : ['-append', commandLine]),
    ...['-display', 'none', '-monitor', 'none', '-no-reboot', '-net', 'none'],
    ...['-chardev', 'stdio,id=console,signal=off', '-serial', 'chardev:console'],
    ...icount,
  ];
}

/** The second line of `times`: user and system time of the children, as `1m2.34s`. */
export function childSeconds(text: string): number | undefined {
  const lines = [...text.matchAll(/^(\d+)m([\d.]+)s (\d+)m([\d.]+)s$/gm)];
  const last = lines.at(-1);
  if (lines.length < 2 || last === undefined) return undefined;
  const [userMinutes, userSeconds, systemMinutes, systemSeconds] = last.slice(1).map(Number);
  return 60 * (userMinutes + systemMinutes) + userSeconds + systemSeconds;
}

function killGroup(child: ChildProcess): void {
  if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
  try {
    process.kill(-child.pid, 'SIGKILL');
  } catch {
    // It has ended in between.
  }
}
