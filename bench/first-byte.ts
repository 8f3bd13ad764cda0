// `ftvm record debian` as a user types it, from its start to the first byte that the guest prints: an upper limit for the time until the
// guest's first instruction, as the firmware has executed about a million when it prints.

import {spawn} from 'node:child_process';
import {fileURLToPath} from 'node:url';

const PROGRAM = fileURLToPath(new URL('../bin/run.js', import.meta.url));

/** Seconds. Throws when the program ends before. */
export async function secondsToFirstByte(
  guest: string,
  options: {logPath: string; signal: AbortSignal},
): Promise<number> {
  const {logPath, signal} = options;
  const startedMs = performance.now();
  const child = spawn(process.execPath, [PROGRAM, 'record', guest, '-o', logPath, '--force'], {
    stdio: ['pipe', 'pipe', 'pipe'],
    signal,
  });
  let stderr = '';
  child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()));
  try {
    await new Promise<void>((resolve, reject) => {
      child.once('error', reject);
      child.once('close', () => reject(new Error(`ftvm record ended before its guest printed anything: ${stderr}`)));
      child.stdout.once('data', () => resolve());
    });
    return (performance.now() - startedMs) / 1000;
  } finally {
    child.kill('SIGKILL');
  }
}
