// Runs qemu-system-riscv64 as an interactive oracle: a machine that is known to be right boots what we built. The console is a
// pipe; the helper waits for texts, types, and always ends the process it started.

import {type ChildProcess, spawn} from 'node:child_process';
import {mkdtempSync, rmSync, writeFileSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import type {BootPlan} from '../../src/emulator/image/boot.ts';
import {QEMU, QEMU_CPU} from '../support/qemu.ts';

/** QEMU's own polling, when nothing is printed. */
const POLL_MS = 200;
const TAIL_CHARS = 1500;

export class InteractiveQemu implements Disposable {
  readonly #child: ChildProcess;
  readonly #exit: Promise<number>;
  #output = '';
  #seen = 0;
  #wake: () => void = () => undefined;

  constructor(args: readonly string[], onExit: () => void = () => undefined) {
    this.#child = spawn(QEMU, [...CONSOLE_ARGUMENTS, ...args], {stdio: ['pipe', 'pipe', 'pipe']});
    this.#child.stdin!.on('error', () => undefined); // The guest may power off before it has read everything.
    for (const stream of [this.#child.stdout!, this.#child.stderr!]) {
      stream.on('data', (chunk: Buffer) => {
        this.#output += chunk.toString('latin1');
        this.#wake();
      });
    }
    this.#exit = new Promise((resolve, reject) => {
      this.#child.once('error', reject);
      this.#child.once('close', (code) => {
        onExit();
        resolve(code ?? -1);
        this.#wake();
      });
    });
    this.#exit.catch(() => undefined);
  }

  /** Everything printed so far. */
  get output(): string {
    return this.#output;
  }

  /** Waits until `text` appears behind what was waited for before; rejects when QEMU ends or the time is up. */
  async waitFor(text: string, timeoutMs: number): Promise<void> {
    const deadlineMs = Date.now() + timeoutMs;
    for (;;) {
      const at = this.#output.indexOf(text, this.#seen);
      if (at >= 0) {
        this.#seen = at + text.length;
        return;
      }
      const leftMs = deadlineMs - Date.now();
      if (leftMs <= 0 || this.#child.exitCode !== null) {
        const why = leftMs <= 0 ? 'not within the time' : 'QEMU has ended';
        throw new Error(`${JSON.stringify(text)}: ${why}; the output ends with:\n${this.#output.slice(-TAIL_CHARS)}`);
      }
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, Math.min(leftMs, POLL_MS));
        this.#wake = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
  }

  type(text: string): void {
    this.#child.stdin!.write(text);
  }

  /** QEMU's exit code. */
  async exit(timeoutMs: number): Promise<number> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_, reject) => {
      const fail = () =>
        reject(new Error(`QEMU did not end; the output ends with:\n${this.#output.slice(-TAIL_CHARS)}`));
      timer = setTimeout(fail, timeoutMs);
    });
    try {
      return await Promise.race([this.#exit, late]);
    } finally {
      clearTimeout(timer);
    }
  }

  [Symbol.dispose](): void {
    this.#child.kill('SIGKILL');
  }
}

/** The `virt` machine with our processor. Not -nographic: that would keep Ctrl-A for itself. */
const CONSOLE_ARGUMENTS = [
  ...['-machine', 'virt', '-cpu', QEMU_CPU, '-display', 'none', '-monitor', 'none', '-no-reboot'],
  ...['-chardev', 'stdio,id=console,signal=off', '-serial', 'chardev:console'],
  ...['-global', 'virtio-mmio.force-legacy=false'],
];

/**
 * Starts QEMU from a boot plan of ours: every write is loaded where the plan says, and a few instructions at `scratchAddress`
 * set the registers and jump, as our machine does at power-on. QEMU's own firmware, device tree and loader take no part.
 */
export function bootPlanInQemu(
  plan: BootPlan,
  options: {ramBytes: number; scratchAddress: number; args?: readonly string[]},
): InteractiveQemu {
  const folder = mkdtempSync(join(tmpdir(), 'ftvm-plan-'));
  const pieces = [...plan.writes, {address: options.scratchAddress, bytes: trampoline(plan)}];
  const loaders = pieces.flatMap(({address, bytes}, index) => {
    const file = join(folder, `${index}.bin`);
    writeFileSync(file, bytes);
    return ['-device', `loader,addr=0x${address.toString(16)},file=${file},force-raw=on`];
  });
  const start = ['-device', `loader,addr=0x${options.scratchAddress.toString(16)},cpu-num=0`];
  const machine = ['-m', `${options.ramBytes / 2 ** 20}M`, '-bios', 'none'];
  return new InteractiveQemu([...machine, ...loaders, ...start, ...(options.args ?? [])], () =>
    rmSync(folder, {recursive: true, force: true}),
  );
}

/** `auipc t0, 0`, then a0, a1, a2 and t0 loaded from the table behind the code, then `jr t0`. */
function trampoline(plan: BootPlan): Uint8Array {
  const T0 = 5;
  const tableOffset = 24;
  const ld = (rd: number, offset: number) => ((offset << 20) | (T0 << 15) | (3 << 12) | (rd << 7) | 0x03) >>> 0;
  const code = [
    (T0 << 7) | 0x17,
    ld(10, tableOffset),
    ld(11, tableOffset + 8),
    ld(12, tableOffset + 16),
    ld(T0, tableOffset + 24),
    (T0 << 15) | 0x67,
  ];
  const bytes = new Uint8Array(tableOffset + 32);
  const view = new DataView(bytes.buffer);
  for (const [index, word] of code.entries()) view.setUint32(index * 4, word, true);
  const {a0, a1, a2, pc} = plan.registers;
  for (const [index, value] of [a0, a1, a2, pc].entries()) view.setBigUint64(tableOffset + index * 8, value, true);
  return bytes;
}
