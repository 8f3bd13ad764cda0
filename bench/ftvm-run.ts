// Starts a worker for one run of ftvm, in a process of its own: its CPU seconds and memory are the whole program's.

import {spawn} from 'node:child_process';
import {join} from 'node:path';
import {bundle} from '../build/bundle.ts';
import {environmentOf} from './engines.ts';
import type {Engine, Job, Run} from './job.ts';

const FOLDER = join(import.meta.dirname, 'dist');

/** Throws when the worker fails, which a diverging replay does. */
export async function runFtvm(job: Job, options: {engine: Engine; signal: AbortSignal}): Promise<Run> {
  const child = spawn(process.execPath, [await WorkerProgram.path(), JSON.stringify(job)], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: {...process.env, ...environmentOf(options.engine)},
    signal: options.signal,
    killSignal: 'SIGKILL',
  });
  let stdout = '';
  let stderr = '';
  child.stdout.on('data', (chunk: Buffer) => (stdout += chunk.toString()));
  child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()));
  const code = await new Promise<number | null>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', resolve);
  });
  if (code !== 0) throw new Error(`a run of ftvm (${job.mode}) failed:\n${stderr.trim()}`);
  return JSON.parse(stdout) as Run;
}

/** The worker's program, bundled as ftvm itself is. */
class WorkerProgram {
  static #path: Promise<string> | undefined;

  static path(): Promise<string> {
    WorkerProgram.#path ??= bundle({worker: join(import.meta.dirname, 'worker.ts')}, FOLDER).then(() =>
      join(FOLDER, 'worker.cjs'),
    );
    return WorkerProgram.#path;
  }
}
