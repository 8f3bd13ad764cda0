// Builds oracle.c and asks it, under QEMU's user mode.

import {spawnSync} from 'node:child_process';
import {mkdtempSync, rmSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {hasCommand} from '../support/skip.ts';
import {ANSWER_BYTES, RECORD_BYTES} from './batch.ts';

const COMPILER = 'riscv64-linux-gnu-gcc';
const EMULATOR = 'qemu-riscv64';
const FLAGS = ['-O1', '-static', '-nostdlib', '-ffreestanding', '-fno-stack-protector', '-march=rv64gc', '-mabi=lp64d'];

/** Why the oracle cannot be asked here, or undefined. */
export function oracleMissing(): string | undefined {
  if (!hasCommand(COMPILER)) return `${COMPILER} is not installed (Debian: gcc-riscv64-linux-gnu)`;
  if (!hasCommand(EMULATOR)) return `${EMULATOR} is not installed (Debian: qemu-user)`;
  return undefined;
}

export class Oracle implements Disposable {
  readonly #folder = mkdtempSync(join(tmpdir(), 'ftvm-softfloat-'));

  constructor() {
    const source = join(import.meta.dirname, 'oracle.c');
    const {status, stderr} = spawnSync(COMPILER, [...FLAGS, '-o', this.#program, source], {encoding: 'utf8'});
    if (status !== 0) throw new Error(`${COMPILER} failed: ${stderr}`);
  }

  /** The answers to encoded cases. */
  answer(records: Uint8Array): Uint8Array {
    const {status, stdout, stderr} = spawnSync(EMULATOR, [this.#program], {input: records, maxBuffer: 2 ** 30});
    const expectedBytes = (records.length / RECORD_BYTES) * ANSWER_BYTES;
    if (status !== 0 || stdout.length !== expectedBytes) {
      throw new Error(`${EMULATOR} ended with ${status} after ${stdout.length} of ${expectedBytes} bytes: ${stderr}`);
    }
    return new Uint8Array(stdout);
  }

  [Symbol.dispose](): void {
    rmSync(this.#folder, {recursive: true, force: true});
  }

  get #program(): string {
    return join(this.#folder, 'oracle');
  }
}
