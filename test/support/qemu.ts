// QEMU as the oracle: runs a bare-metal guest under qemu-system-riscv64 with a time limit and gives back what it printed on the
// UART and how it ended. The machine is told to be ours: our extensions, virtio-mmio version 2, no firmware (DESIGN 4).

import {type ChildProcess, spawn} from 'node:child_process';
import {mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {setTimeout as sleep} from 'node:timers/promises';
import {hasCommand} from './skip.ts';

export const QEMU = 'qemu-system-riscv64';
const CONSOLE = 'console';

/** Our extensions and no others. `zbc`, `h` and `v` are what QEMU's `rv64` would add. */
export const QEMU_CPU = 'rv64,h=off,v=off,zba=on,zbb=on,zbc=off,zbs=on,sstc=on,mmu=on,pmp=on';

/** Bytes typed once the console has shown `after`; later steps look only at what came after the earlier ones. */
export type ConsoleStep = {after: string; send: string | Uint8Array};

export type GuestRun = {
  /** The ELF. */
  kernel: Uint8Array;
  input?: ConsoleStep[];
  /** One virtio disk of that size, all zeros; what the guest writes is thrown away. */
  diskBytes?: number;
  ramMebibytes?: number;
  timeoutMs?: number;
};

export type GuestResult = {
  console: Uint8Array;
  /** What the guest wrote to the finisher; undefined when the time ran out. */
  exitCode: number | undefined;
};

/** Why QEMU cannot be used here, or undefined. */
export function qemuMissing(): string | undefined {
  return hasCommand(QEMU) ? undefined : `${QEMU} is not installed (Debian: qemu-system-misc)`;
}

export async function runQemu(run: GuestRun): Promise<GuestResult> {
  const folder = mkdtempSync(join(tmpdir(), 'ftvm-qemu-'));
  try {
    writeFileSync(join(folder, 'guest.elf'), run.kernel);
    const child = spawn(QEMU, qemuArguments(run, folder), {stdio: ['pipe', 'pipe', 'pipe']});
    const ended = await attend(child, run);
    return run.input === undefined ? {...ended, console: readFileSync(join(folder, CONSOLE))} : ended;
  } finally {
    rmSync(folder, {recursive: true, force: true});
  }
}

function qemuArguments(run: GuestRun, folder: string): string[] {
  const disk = join(folder, 'disk.img');
  if (run.diskBytes !== undefined) {
    writeFileSync(disk, '');
    truncateSync(disk, run.diskBytes);
  }
  return [
    ...['-machine', 'virt', '-cpu', QEMU_CPU, '-m', `${run.ramMebibytes ?? 128}M`],
    // With room for a second hart TCG executes atomics as such. With one it takes a load and a store in their place, and a
    // failing AMO then reports a load's fault, where the specification wants a store's.
    ...['-smp', '1,maxcpus=2'],
    ...['-bios', 'none', '-kernel', join(folder, 'guest.elf')],
    ...['-display', 'none', '-monitor', 'none', '-no-reboot'],
    // Not -nographic: that would keep Ctrl-A for itself.
    // A pipe that is full for a moment costs the last byte of a guest that ends just then; a file never is.
    ...[
      '-chardev',
      run.input === undefined ? `file,id=console,path=${join(folder, CONSOLE)}` : 'stdio,id=console,signal=off',
    ],
    ...['-serial', 'chardev:console'],
    ...['-global', 'virtio-mmio.force-legacy=false'],
    ...(run.diskBytes === undefined
      ? []
      : [
          ...['-drive', `file=${disk},format=raw,if=none,id=disk0`],
          ...['-device', 'virtio-blk-device,drive=disk0,bus=virtio-mmio-bus.0'],
        ]),
  ];
}

async function attend(child: ChildProcess, run: GuestRun): Promise<GuestResult> {
  const chunks: Buffer[] = [];
  const steps = [...(run.input ?? [])];
  let complaint = '';
  let seen = '';
  let timedOut = false;
  const ended = new Promise<number | null>((resolve, reject) => {
    child.on('error', reject);
    child.on('close', resolve);
  });
  // A guest that ends with input still unread closes the pipe: not a failure of ours.
  child.stdin?.on('error', () => undefined);
  child.stderr?.on('data', (data: Buffer) => {
    complaint += data.toString();
  });
  child.stdout?.on('data', (data: Buffer) => {
    chunks.push(data);
    seen += data.toString('latin1');
    for (let step = steps[0]; step !== undefined && seen.includes(step.after); step = steps[0]) {
      seen = seen.slice(seen.indexOf(step.after) + step.after.length);
      child.stdin?.write(step.send);
      steps.shift();
    }
  });
  const limit = new AbortController();
  const expired = sleep(run.timeoutMs ?? 20_000, undefined, {signal: limit.signal}).then(
    () => {
      timedOut = true;
      child.kill('SIGKILL');
    },
    () => undefined,
  );
  const status = await ended;
  limit.abort();
  await expired;
  const console = new Uint8Array(Buffer.concat(chunks));
  if (!timedOut && (status === null || complaint !== '')) {
    throw new Error(`${QEMU} ended with ${status ?? 'a signal'}: ${complaint}`);
  }
  return {console, exitCode: timedOut ? undefined : (status ?? undefined)};
}
