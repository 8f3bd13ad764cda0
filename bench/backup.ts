// The backup of a measured recording: a process of its own, as on another host it would be; here it shares this one's processors.

import {type ChildProcess, spawn} from 'node:child_process';
import {fileURLToPath} from 'node:url';
import type {Job, Run} from './job.ts';
import {usageOf} from './process-usage.ts';

const WORKER = fileURLToPath(new URL('./worker.ts', import.meta.url));

export class Backup {
  readonly #logPath: string;
  #child: ChildProcess | undefined;
  #run: Promise<Run> | undefined;

  constructor(logPath: string) {
    this.#logPath = logPath;
  }

  attach(endpoint: string): void {
    const job: Job = {mode: 'follow', endpoint, logPath: this.#logPath};
    const child = spawn(process.execPath, [WORKER, JSON.stringify(job)], {stdio: ['ignore', 'pipe', 'inherit']});
    this.#child = child;
    let stdout = '';
    child.stdout.on('data', (chunk: Buffer) => (stdout += chunk.toString()));
    this.#run = new Promise((resolve, reject) => {
      child.once('error', reject);
      child.once('close', (code) =>
        code === 0 ? resolve(JSON.parse(stdout) as Run) : reject(new Error(`the backup failed with ${code}`)),
      );
    });
  }

  /** What it has used so far. */
  usage(): {backupCpuS: number} {
    return {backupCpuS: usageOf(this.#child?.pid ?? Number.NaN).cpuS};
  }

  /** Its own account, once it has ended. Throws when it failed, which a divergence does. */
  run(): Promise<Run> {
    if (this.#run === undefined) throw new Error('no backup was attached');
    return this.#run;
  }

  kill(): void {
    if (this.#child?.exitCode === null) this.#child.kill('SIGKILL');
  }
}
