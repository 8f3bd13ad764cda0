// This same ftvm in a process of its own, as the demonstration starts it: its console is a pipe in both directions. Whatever becomes
// of the parent, also SIGKILL, the child ends with it: it holds a channel to its parent and dies when that breaks (bin/run.js).

import {type ChildProcess, spawn} from 'node:child_process';
import {basename} from 'node:path';
import type {Readable, Writable} from 'node:stream';
import {FtvmError} from '../../errors.ts';
import {Wakeup} from '../../session/wakeup.ts';

/** Long enough for a slow and busy host; what takes longer hangs. */
const PATIENCE_MS = 30_000;

export class FtvmChild {
  readonly #argv: readonly string[];
  readonly #process: ChildProcess;
  readonly #signal: AbortSignal;
  readonly #changed = new Wakeup();
  readonly #abort = (): void => this.kill();
  #stdout: Buffer = Buffer.alloc(0);
  #stderr = '';
  #ended = false;
  /** Called with all of stdout whenever there is more. */
  onStdout: (stdout: Uint8Array) => void = () => {};

  /** Starts `ftvm ARGV`, whose program is `entryPoint`, in the folder `cwd`; it is killed when `signal` is aborted. */
  constructor(argv: readonly string[], options: {entryPoint: string; cwd: string; signal: AbortSignal}) {
    const {entryPoint, cwd, signal} = options;
    const {FORCE_COLOR: _, ...environment} = process.env;
    this.#argv = argv;
    this.#signal = signal;
    this.#process = spawn(process.execPath, [entryPoint, ...argv], {
      cwd,
      stdio: ['pipe', 'pipe', 'pipe', 'ipc'],
      // The last one makes it die with us; a process group of its own keeps a terminal's Ctrl-C for us, who then end it.
      env: {...environment, NO_COLOR: '1', FTVM_REEXECUTED: '1'},
      detached: true,
    });
    const {stdin, stdout, stderr} = this.#process as {stdin: Writable; stdout: Readable; stderr: Readable};
    stdin.on('error', () => {});
    stdout.on('data', (bytes: Buffer) => {
      this.#stdout = Buffer.concat([this.#stdout, bytes]);
      this.onStdout(this.#stdout);
      this.#changed.signal();
    });
    stderr.setEncoding('utf8').on('data', (text: string) => {
      this.#stderr += text;
      this.#changed.signal();
    });
    this.#process.on('error', (error) => {
      this.#stderr += error.message;
      this.#end();
    });
    this.#process.on('close', () => this.#end());
    signal.addEventListener('abort', this.#abort);
    if (signal.aborted) this.kill();
  }

  get pid(): number {
    return this.#process.pid ?? 0;
  }

  /** Everything that it has written to stdout. */
  get stdout(): Uint8Array {
    return this.#stdout;
  }

  get stderr(): string {
    return this.#stderr;
  }

  /** The command line as a user would type it. */
  get commandLine(): string {
    return [
      'ftvm',
      ...this.#argv.map((word) => (word.includes('/') && !word.includes('://') ? basename(word) : word)),
    ].join(' ');
  }

  /** Types on its console. */
  type(text: string): void {
    this.#process.stdin?.write(text);
  }

  closeStdin(): void {
    this.#process.stdin?.end();
  }

  kill(): void {
    this.#process.kill('SIGKILL');
  }

  /** Waits until `condition` gives something. Throws FtvmError `internal` when the child ends before, or takes too long. */
  async until<T>(what: string, condition: () => T | undefined): Promise<T> {
    const deadlineMs = performance.now() + PATIENCE_MS;
    for (;;) {
      const value = condition();
      if (value !== undefined) return value;
      this.#signal.throwIfAborted();
      if (this.#ended) throw this.#failure(`ended before ${what}`);
      const leftMs = deadlineMs - performance.now();
      if (leftMs <= 0) throw this.#failure(`did not come to it in ${PATIENCE_MS / 1000} s: ${what}`);
      await this.#changed.wait(leftMs);
    }
  }

  /** Throws FtvmError `internal` when it has ended. */
  mustRun(): void {
    const {exitCode, signalCode} = this.#process;
    if (signalCode !== null) throw this.#failure(`was ended by ${signalCode}, which somebody else has sent`);
    if (this.#ended || exitCode !== null) throw this.#failure('ended before its time');
  }

  /** Waits until everything was read and the process is gone. */
  async ended(): Promise<{exitCode: number | null; signal: NodeJS.Signals | null}> {
    await this.until('its end', () => this.#ended || undefined);
    const {exitCode, signalCode} = this.#process;
    return {exitCode, signal: signalCode};
  }

  /** Waits for the end, which must be a good one. Throws FtvmError `internal` with what it said otherwise. */
  async succeeded(): Promise<void> {
    const {exitCode, signal} = await this.ended();
    this.#signal.throwIfAborted();
    if (exitCode !== 0)
      throw this.#failure(signal === null ? `ended with exit code ${exitCode}` : `was ended by ${signal}`);
  }

  #end(): void {
    this.#ended = true;
    this.#signal.removeEventListener('abort', this.#abort);
    this.#changed.signal();
  }

  #failure(what: string): FtvmError {
    const said = this.#stderr.trim();
    return new FtvmError(
      'internal',
      `the demonstration failed: ${this.commandLine} (pid ${this.pid}) ${what}${said === '' ? '' : `; it said:\n${said}`}`,
    );
  }
}
