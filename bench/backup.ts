// The backup of a measured recording: a process of its own, as on another host it would be; here it shares this one's processors.

import {type ChildProcess, spawn} from 'node:child_process';
import {extname} from 'node:path';
import {fileURLToPath} from 'node:url';
import type {Job, Run} from './job.ts';
import {usageOf} from './process-usage.ts';

/** From source, or bundled with this. */
const WORKER = fileURLToPath(new URL(`./worker${extname(import.meta.url)}`, import.meta.url));

/** Its primary has ended: it has no more to do than to execute what is left. */
const FAREWELL_MS = 20_000;

export class Backup {
  readonly #logPath: string;
  readonly #joinAfter: string | undefined;
  #endpoint: string | undefined;
  #child: ChildProcess | undefined;
  #failure: string | undefined;
  #run: Promise<Run> | undefined;

  /** `joinAfter`: the step after which it comes; undefined: as soon as it can. */
  constructor(options: {logPath: string; joinAfter: string | undefined}) {
    this.#logPath = options.logPath;
    this.#joinAfter = options.joinAfter;
  }

  /** The primary listens at HOST:PORT. */
  listening(endpoint: string): void {
    this.#endpoint = endpoint;
    if (this.#joinAfter === undefined) this.#attach(endpoint);
  }

  /** A step of the scenario is over. */
  passed(name: string): void {
    if (name === this.#joinAfter && this.#endpoint !== undefined) this.#attach(this.#endpoint);
  }

  #attach(endpoint: string): void {
    const job: Job = {mode: 'follow', endpoint, logPath: this.#logPath};
    const child = spawn(process.execPath, [WORKER, JSON.stringify(job)], {stdio: ['ignore', 'pipe', 'inherit']});
    this.#child = child;
    let stdout = '';
    child.stdout.on('data', (chunk: Buffer) => (stdout += chunk.toString()));
    this.#run = new Promise((resolve, reject) => {
      child.once('error', reject);
      child.once('close', (code, signal) =>
        code === 0 ? resolve(JSON.parse(stdout) as Run) : reject(new Error(`the backup failed with ${code ?? signal}`)),
      );
    });
  }

  /** What it has used so far. */
  get cpuS(): number {
    return usageOf(this.#child?.pid ?? Number.NaN).cpuS;
  }

  /** A run whose backup is not the backup any more measures nothing. */
  fail(standing: string): void {
    this.#failure = `at the end of the run the primary was ${standing}`;
  }

  /** Its own account, once it has ended, as it does with its primary. Throws when it failed, which a divergence does. */
  async run(): Promise<Run> {
    if (this.#run === undefined) throw new Error('no backup was attached');
    if (this.#failure !== undefined) throw new Error(this.#failure);
    const late = setTimeout(() => this.kill(), FAREWELL_MS);
    try {
      return await this.#run;
    } finally {
      clearTimeout(late);
    }
  }

  kill(): void {
    if (this.#child?.exitCode === null) this.#child.kill('SIGKILL');
  }
}
