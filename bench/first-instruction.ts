// `ftvm record debian` as a user types it, from its start to the guest's first instruction: with kernel and initrd as they are, and in
// place of the firmware a program that prints a byte at once and then waits. Beside it, by turns, a Node that does nothing.

import {spawn} from 'node:child_process';
import {writeFileSync} from 'node:fs';
import {join} from 'node:path';
import {fileURLToPath} from 'node:url';

const PROGRAM = fileURLToPath(new URL('../bin/run.js', import.meta.url));

const FIRMWARE = Uint32Array.of(
  0x1000_02b7, // lui  t0, 0x10000    the UART
  0x0210_0313, // addi t1, x0, '!'
  0x0062_8023, // sb   t1, 0(t0)
  0x1050_0073, // wfi
  0xffdf_f06f, // j    -4
);

/** Starts are short, and vary. */
const STARTS = 5;

/** Seconds of each start. */
export type Starts = {ftvmS: number[]; nodeS: number[]};

/** Throws when the program ends before its guest has printed. */
export async function measureStarts(guest: string, options: {folder: string; signal: AbortSignal}): Promise<Starts> {
  const firmwarePath = join(options.folder, 'first-instruction.bin');
  writeFileSync(firmwarePath, FIRMWARE);
  const logPath = join(options.folder, 'first-instruction.ftlog');
  const starts: Starts = {ftvmS: [], nodeS: []};
  const record = [PROGRAM, 'record', guest, '--bios', firmwarePath, '-o', logPath, '--force'];
  // The first start finds no cache of what has changed since.
  await secondsTo('first byte', record, options.signal);
  for (let start = 0; start < STARTS; start += 1) {
    starts.nodeS.push(await secondsTo('exit', ['-e', '0'], options.signal));
    starts.ftvmS.push(await secondsTo('first byte', record, options.signal));
  }
  return starts;
}

async function secondsTo(what: 'first byte' | 'exit', argv: readonly string[], signal: AbortSignal): Promise<number> {
  const startedMs = performance.now();
  const child = spawn(process.execPath, argv, {stdio: ['pipe', 'pipe', 'pipe'], signal});
  const closed = new Promise((resolve) => child.once('close', resolve));
  let stderr = '';
  child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()));
  try {
    await new Promise<void>((resolve, reject) => {
      child.once('error', reject);
      child.once('close', () => {
        if (what === 'exit') resolve();
        else reject(new Error(`ftvm record ended before its guest printed anything: ${stderr}`));
      });
      child.stdout.once('data', () => resolve());
    });
    return (performance.now() - startedMs) / 1000;
  } finally {
    // In order: Node writes its cache of compiled modules when it ends, and the next start is to find it.
    child.kill('SIGTERM');
    await closed;
  }
}
