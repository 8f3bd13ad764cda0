// SIGINT, SIGTERM and a closed stdout, for one run of one command. A command that asks for the abort signal ends in its own
// way (the recorder writes its `end` record) and then exits with 130 or 143; one that never asked is ended at once. A second
// signal ends any command at once.

/** 128 + the signal's number, as a shell reports it. */
const EXIT_SIGINT = 130;
const EXIT_SIGTERM = 143;

/** Signals that come together are one. */
const SAME_WISH_MS = 300;

/** Any length does: the timer's existence is what counts. */
const HOLD_INTERVAL_MS = 60_000;

export interface InterruptionProcess {
  readonly stdout: NodeJS.EventEmitter;
  on(event: 'SIGINT' | 'SIGTERM', listener: () => void): unknown;
  off(event: 'SIGINT' | 'SIGTERM', listener: () => void): unknown;
  exit(code: number): void;
}

/** Why a command was asked to stop; the reason of its abort signal. */
export type StopReason = 'SIGINT' | 'SIGTERM' | 'stdout closed';

export class Interruption {
  readonly #process: InterruptionProcess;
  readonly #controller = new AbortController();
  /** Set once a command asked for the signal. Waiting for nothing but a signal does not hold a Node program; this does. */
  #hold: NodeJS.Timeout | undefined;
  #exitCode: number | undefined;
  #stoppedMs = 0;

  constructor(hostProcess: InterruptionProcess = process) {
    this.#process = hostProcess;
    this.#process.on('SIGINT', this.#onSigint);
    this.#process.on('SIGTERM', this.#onSigterm);
    this.#process.stdout.on('error', this.#onStdoutError);
  }

  /** Aborted with a `StopReason` when the command should end. Whoever asks for it promises to end soon after. */
  get signal(): AbortSignal {
    this.#hold ??= setInterval(() => {}, HOLD_INTERVAL_MS);
    return this.#controller.signal;
  }

  /** The exit code that the interruption demands, or undefined when there was none. */
  get exitCode(): number | undefined {
    return this.#exitCode;
  }

  dispose(): void {
    clearInterval(this.#hold);
    this.#process.off('SIGINT', this.#onSigint);
    this.#process.off('SIGTERM', this.#onSigterm);
    this.#process.stdout.off('error', this.#onStdoutError);
  }

  readonly #onSigint = (): void => this.#stop('SIGINT', EXIT_SIGINT);
  readonly #onSigterm = (): void => this.#stop('SIGTERM', EXIT_SIGTERM);

  // `ftvm dump x.ftlog | head`: the reader has what it wanted, so this is no failure.
  readonly #onStdoutError = (error: NodeJS.ErrnoException): void => {
    if (error.code === 'EPIPE') this.#stop('stdout closed', 0);
  };

  #stop(reason: StopReason, exitCode: number): void {
    // The parent of a re-executed ftvm hands signals on, and whoever signals a whole process group reaches both: one wish, two signals.
    if (this.#controller.signal.aborted && performance.now() - this.#stoppedMs < SAME_WISH_MS) return;
    // Every write to a closed stdout reports it again; only a second signal is impatience.
    if (this.#controller.signal.aborted && reason === 'stdout closed') return;
    if (this.#hold === undefined || this.#controller.signal.aborted) {
      this.#process.exit(exitCode);
      return;
    }
    this.#exitCode = exitCode;
    this.#stoppedMs = performance.now();
    this.#controller.abort(reason);
  }
}
