// Runs ftvm as its user does, from bin/run.js and in a process of its own, for tests of the whole program: to its end, or in the
// background with its output watched. Every process and folder is disposable (`using`, `await using`), so that a failing test
// leaves nothing behind.

import {type ChildProcessWithoutNullStreams, spawn} from 'node:child_process';
import {mkdtempSync, rmSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {fileURLToPath} from 'node:url';

export interface FtvmOptions {
  /** Bytes for stdin, which is then closed. Without it stdin stays open for `FtvmProcess.write`, and `runFtvm` closes it. */
  readonly input?: string | Uint8Array;
  readonly environment?: Readonly<Record<string, string>>;
  readonly cwd?: string;
  /** Words in front of the command line: what starts it, somewhere else. */
  readonly prefix?: readonly string[];
  /** Files that it writes cannot grow beyond this: a full disk without privileges. */
  readonly fileLimitKibibytes?: number;
}

export interface FtvmResult {
  /** Null when a signal ended it. */
  readonly exitCode: number | null;
  readonly signal: NodeJS.Signals | null;
  /** Decoded as UTF-8; the bytes are `FtvmProcess.stdoutBytes`. */
  readonly stdout: string;
  readonly stderr: string;
}

const DEFAULT_TIMEOUT_MS = 20_000;
const entryPoint = fileURLToPath(new URL('../../bin/run.js', import.meta.url));

/** Runs one command line to its end; kills it and rejects after `timeoutMs`. */
export async function runFtvm(
  argv: readonly string[],
  options: FtvmOptions & {timeoutMs?: number} = {},
): Promise<FtvmResult> {
  await using running = new FtvmProcess(argv, {input: '', ...options});
  return await running.exit(options.timeoutMs);
}

/** ftvm in the background. Disposing kills it with SIGKILL, unless it has ended. */
export class FtvmProcess implements AsyncDisposable {
  readonly child: ChildProcessWithoutNullStreams;
  readonly #argv: readonly string[];
  readonly #stdout: Buffer[] = [];
  readonly #stderr: Buffer[] = [];
  readonly #watchers = new Set<() => void>();
  readonly #exit: Promise<FtvmResult>;

  constructor(argv: readonly string[], options: FtvmOptions = {}) {
    this.#argv = argv;
    const {FORCE_COLOR: _forced, ...inherited} = process.env;
    const {fileLimitKibibytes: limit} = options;
    const limited = limit === undefined ? [] : ['bash', '-c', `ulimit -f ${limit}; exec "$@"`, 'limited'];
    const [command, ...words] = [...(options.prefix ?? []), ...limited, process.execPath, entryPoint, ...argv];
    this.child = spawn(command, words, {
      cwd: options.cwd,
      env: {...inherited, NO_COLOR: '1', ...options.environment},
    });
    // A program that ended without reading its stdin is no failure of the test.
    this.child.stdin.on('error', () => {});
    if (options.input !== undefined) this.child.stdin.end(options.input);
    const collect = (chunks: Buffer[]) => (chunk: Buffer) => {
      chunks.push(chunk);
      this.#notify();
    };
    this.child.stdout.on('data', collect(this.#stdout));
    this.child.stderr.on('data', collect(this.#stderr));
    this.#exit = new Promise((resolve, reject) => {
      this.child.on('error', reject);
      this.child.on('close', (exitCode, signal) => {
        resolve({exitCode, signal, stdout: this.stdout, stderr: this.stderr});
        this.#notify();
      });
    });
  }

  get stdoutBytes(): Buffer {
    return Buffer.concat(this.#stdout);
  }

  get stdout(): string {
    return this.stdoutBytes.toString('utf8');
  }

  get stderr(): string {
    return Buffer.concat(this.#stderr).toString('utf8');
  }

  write(input: string | Uint8Array): void {
    this.child.stdin.write(input);
  }

  /** Resolves to the match once the stream's whole text so far matches; rejects when the program ends or the time is up. */
  async waitFor(
    pattern: RegExp,
    options: {stream?: 'stdout' | 'stderr'; timeoutMs?: number} = {},
  ): Promise<RegExpExecArray> {
    const {stream = 'stdout', timeoutMs = DEFAULT_TIMEOUT_MS} = options;
    const deadlineMs = Date.now() + timeoutMs;
    for (;;) {
      const match = pattern.exec(this[stream]);
      if (match !== null) return match;
      const hasEnded = this.child.exitCode !== null || this.child.signalCode !== null;
      if (hasEnded && this.child.stdout.closed && this.child.stderr.closed) {
        const {exitCode, signalCode} = this.child;
        const how = `ended with ${exitCode ?? signalCode}`;
        throw new Error(`${this.#describe()} ${how} before ${stream} matched ${pattern}\n${this.#output()}`);
      }
      if (Date.now() >= deadlineMs) {
        throw new Error(
          `${this.#describe()}: ${stream} did not match ${pattern} in ${timeoutMs} ms\n${this.#output()}`,
        );
      }
      await this.#change(deadlineMs - Date.now());
    }
  }

  /** Waits for the end; rejects, leaving the program alone, when it does not come in time. */
  async exit(timeoutMs: number = DEFAULT_TIMEOUT_MS): Promise<FtvmResult> {
    let timer: NodeJS.Timeout | undefined;
    const timeUp = new Promise<never>((_resolve, reject) => {
      timer = setTimeout(
        () => reject(new Error(`${this.#describe()} did not end in ${timeoutMs} ms\n${this.#output()}`)),
        timeoutMs,
      );
    });
    try {
      return await Promise.race([this.#exit, timeUp]);
    } finally {
      clearTimeout(timer);
    }
  }

  kill(signal: NodeJS.Signals = 'SIGKILL'): void {
    this.child.kill(signal);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.child.kill('SIGKILL');
    await this.#exit.catch(() => {});
  }

  #notify(): void {
    for (const watcher of [...this.#watchers]) watcher();
  }

  /** Until more output, the end, or `atMostMs`. */
  #change(atMostMs: number): Promise<void> {
    return new Promise((resolve) => {
      const done = (): void => {
        clearTimeout(timer);
        this.#watchers.delete(done);
        resolve();
      };
      const timer = setTimeout(done, atMostMs);
      this.#watchers.add(done);
    });
  }

  #describe(): string {
    return `ftvm ${this.#argv.join(' ')}`;
  }

  #output(): string {
    const end = (text: string): string => (text.length > 2000 ? `…${text.slice(-2000)}` : text);
    return `--- stdout\n${end(this.stdout)}\n--- stderr\n${end(this.stderr)}`;
  }
}

/** A folder that disappears with its `using` block. */
export class TemporaryFolder implements Disposable {
  readonly path: string = mkdtempSync(join(tmpdir(), 'ftvm-test-'));

  join(...names: string[]): string {
    return join(this.path, ...names);
  }

  [Symbol.dispose](): void {
    rmSync(this.path, {recursive: true, force: true});
  }
}
