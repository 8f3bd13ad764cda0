// Frames on their way to the log file, in order; and who is told when they are there.

import type {FrameSink} from './record-journal.ts';

/** A log that is appended to: a file, or what stands for one in a simulation. */
export interface LogStore {
  /** Resolves when it is written; after a failure every later call rejects. */
  append(bytes: Uint8Array): Promise<void>;
  /** Resolves when all that was appended before is on the disk itself. */
  sync(): Promise<void>;
  close(): Promise<void>;
  /** Bytes written. */
  readonly sizeBytes: number;
}

export class LogSink implements FrameSink {
  readonly #file: LogStore;
  readonly #onWritten: () => void;
  #writtenThrough: bigint;
  #queuedBytes = 0;
  #failure: unknown;
  #last: Promise<void> = Promise.resolve();

  /** `onWritten` is called after every frame that reached the file, or failed to: then `failure` is set. */
  constructor(file: LogStore, options: {writtenThrough: bigint; onWritten: () => void}) {
    this.#file = file;
    this.#writtenThrough = options.writtenThrough;
    this.#onWritten = options.onWritten;
  }

  /** Ordinal of the last record for which write() has returned. */
  get writtenThrough(): bigint {
    return this.#writtenThrough;
  }

  get queuedBytes(): number {
    return this.#queuedBytes;
  }

  get failure(): unknown {
    return this.#failure;
  }

  write(frame: Uint8Array, through: bigint): void {
    this.#queuedBytes += frame.length;
    this.#last = this.#file.append(frame).then(
      () => {
        this.#queuedBytes -= frame.length;
        this.#writtenThrough = through;
        this.#onWritten();
      },
      (error: unknown) => {
        this.#queuedBytes -= frame.length;
        this.#failure ??= error;
        this.#onWritten();
      },
    );
  }

  /** Everything that was handed over is in the file. Throws FtvmError `fileSystem` when it is not. */
  async drained(): Promise<void> {
    await this.#last;
    if (this.#failure !== undefined) throw this.#failure;
  }
}
