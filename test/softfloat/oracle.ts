// Builds oracle.c and asks it, under QEMU's user mode; or builds it as a guest of our machine.

import {spawnSync} from 'node:child_process';
import {mkdtempSync, readFileSync, rmSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {hasCommand} from '../support/skip.ts';
import {ANSWER_BYTES, RECORD_BYTES} from './batch.ts';

const COMPILER = 'riscv64-linux-gnu-gcc';
const EMULATOR = 'qemu-riscv64';
const FLAGS = ['-O1', '-static', '-nostdlib', '-ffreestanding', '-fno-stack-protector', '-march=rv64gc', '-mabi=lp64d'];

/** The ELF's own headers take the page before the text. */
const BARE_METAL_FLAGS = ['-DBARE_METAL', '-mcmodel=medany', '-Wl,-Ttext=0x80001000,--build-id=none'];

/** Why oracle.c cannot be built here, or undefined. */
export function compilerMissing(): string | undefined {
  return hasCommand(COMPILER) ? undefined : `${COMPILER} is not installed (Debian: gcc-riscv64-linux-gnu)`;
}

/** Why the oracle cannot be asked here, or undefined. */
export function oracleMissing(): string | undefined {
  return hasCommand(EMULATOR) ? compilerMissing() : `${EMULATOR} is not installed (Debian: qemu-user)`;
}

export class Oracle implements Disposable {
  readonly #folder = mkdtempSync(join(tmpdir(), 'ftvm-softfloat-'));

  constructor() {
    compile(this.#program, []);
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

/** oracle.c as a guest of our machine: an ELF. */
export function buildGuest(): Uint8Array {
  const folder = mkdtempSync(join(tmpdir(), 'ftvm-softfloat-'));
  try {
    const program = join(folder, 'guest.elf');
    compile(program, BARE_METAL_FLAGS);
    return readFileSync(program);
  } finally {
    rmSync(folder, {recursive: true, force: true});
  }
}

function compile(program: string, flags: readonly string[]): void {
  const source = join(import.meta.dirname, 'oracle.c');
  const {status, stderr} = spawnSync(COMPILER, [...FLAGS, ...flags, '-o', program, source], {encoding: 'utf8'});
  if (status !== 0) throw new Error(`${COMPILER} failed: ${stderr}`);
}
