// A log as a file: LogFileWriter appends whole frames, LogFileReader reads what is there and waits for more. They move bytes
// and know nothing of what is in them; frames never reach the file in part, unless the process dies in the middle of a write,
// and then only the last one. Files have mode 0600: a log holds whatever the guest was told.

import {constants, type FSWatcher, watch} from 'node:fs';
import {type FileHandle, open, rm, stat} from 'node:fs/promises';
import {dirname} from 'node:path';
import {assert, FtvmError} from '../errors.ts';
import {toFileError, withFileErrors} from './file-error.ts';

/** What LogFileWriter needs of a file; tests put a full disk in its place. */
export type WritableFile = Pick<FileHandle, 'write' | 'truncate' | 'datasync' | 'close'>;

/** Frames that are written together at most, in bytes: beyond it the next write begins. */
const MAX_WRITE_BYTES = 4 << 20;

/** How often a waiting reader looks at the file's size where the operating system does not tell of changes. */
const POLL_INTERVAL_MS = 50;

const READ_BYTES = 256 * 1024;

type Waiting = {frame: Uint8Array; resolve: () => void; reject: (error: unknown) => void};

export class LogFileWriter {
  readonly path: string;
  readonly #file: WritableFile;
  readonly #queue: Waiting[] = [];
  #isWriting = false;
  /** Settles when the queue has been written. */
  #written: Promise<void> = Promise.resolve();
  #sizeBytes: number;
  #queuedBytes = 0;
  #failure: unknown;

  constructor(file: WritableFile, options: {path: string; sizeBytes: number}) {
    this.#file = file;
    this.path = options.path;
    this.#sizeBytes = options.sizeBytes;
  }

  /** Creates `path`. What is there already is refused, or with `overwrite` removed: whoever reads the old log goes on reading it. */
  static async create(path: string, options: {overwrite: boolean}): Promise<LogFileWriter> {
    return withFileErrors({doing: 'create', path}, async () => {
      const kind = await kindOf(path);
      if (kind === 'folder') throw Object.assign(new Error(), {code: 'EISDIR'});
      if (kind === 'regular' && options.overwrite) await rm(path);
      // A pipe or a device (/dev/null) is there already and takes bytes like a new file.
      const file = await open(path, kind === 'other' ? 'a' : 'ax', 0o600);
      if (kind !== 'other') await syncFolder(path);
      return new LogFileWriter(file, {path, sizeBytes: 0});
    });
  }

  /** Opens an existing log to carry it on; `sizeBytes` is where its last whole frame ends. A torn tail behind that is cut off. */
  static async continue(path: string, options: {sizeBytes: number}): Promise<LogFileWriter> {
    return withFileErrors({doing: 'carry on', path}, async () => {
      const file = await open(path, constants.O_WRONLY | constants.O_APPEND);
      try {
        const found = await file.stat();
        if (!found.isFile()) throw new FtvmError('fileSystem', `cannot carry on ${path}: it is no regular file`);
        assert(found.size >= options.sizeBytes, `${path} has ${found.size} bytes, ${options.sizeBytes} were read`);
        if (found.size > options.sizeBytes) {
          await file.truncate(options.sizeBytes);
          await file.datasync();
        }
      } catch (error) {
        await file.close();
        throw error;
      }
      return new LogFileWriter(file, {path, sizeBytes: options.sizeBytes});
    });
  }

  /** Bytes written, all of them whole frames. */
  get sizeBytes(): number {
    return this.#sizeBytes;
  }

  /** Bytes that wait to be written: the session's measure for holding the guest back. */
  get queuedBytes(): number {
    return this.#queuedBytes;
  }

  /**
   * Enqueues `frame`, which must not be changed afterwards. Resolves when write() has returned for all of it: then it is
   * *released* in the sense of DESIGN 6. Rejects with FtvmError `fileSystem`; after that, so does every later call, and the
   * file ends with the last whole frame.
   */
  append(frame: Uint8Array): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#queue.push({frame, resolve, reject});
      this.#queuedBytes += frame.length;
      if (this.#isWriting) return;
      this.#isWriting = true;
      this.#written = this.#writeQueue();
    });
  }

  /** Resolves when all that was appended before is on the disk itself (fdatasync). */
  async sync(): Promise<void> {
    await this.#written;
    if (this.#failure !== undefined) throw this.#failure;
    await withFileErrors({doing: 'sync', path: this.path}, async () => {
      try {
        await this.#file.datasync();
      } catch (error) {
        // A pipe or a device has nothing to sync.
        if ((error as NodeJS.ErrnoException).code !== 'EINVAL') throw error;
      }
    });
  }

  /** Writes what waits, then closes. */
  async close(): Promise<void> {
    await this.#written;
    await withFileErrors({doing: 'close', path: this.path}, () => this.#file.close());
  }

  async #writeQueue(): Promise<void> {
    while (this.#queue.length > 0) {
      const batch = this.#takeBatch();
      if (this.#failure === undefined) await this.#writeBatch(batch);
      else for (const {reject} of batch) reject(this.#failure);
    }
    this.#isWriting = false;
  }

  #takeBatch(): Waiting[] {
    let count = 0;
    let batchBytes = 0;
    while (
      count < this.#queue.length &&
      (count === 0 || batchBytes + this.#queue[count].frame.length <= MAX_WRITE_BYTES)
    ) {
      batchBytes += this.#queue[count++].frame.length;
    }
    this.#queuedBytes -= batchBytes;
    return this.#queue.splice(0, count);
  }

  async #writeBatch(batch: readonly Waiting[]): Promise<void> {
    const bytes = batch.length === 1 ? batch[0].frame : Buffer.concat(batch.map(({frame}) => frame));
    const start = this.#sizeBytes;
    let written = 0;
    try {
      while (written < bytes.length) {
        const {bytesWritten} = await this.#file.write(bytes, written, bytes.length - written);
        written += bytesWritten;
      }
      this.#sizeBytes = start + written;
    } catch (error) {
      this.#failure = toFileError(error, {doing: 'write', path: this.path});
      await this.#cutToWholeFrames(batch, {start, written});
    }
    let end = start;
    for (const {frame, resolve, reject} of batch) {
      end += frame.length;
      if (end <= this.#sizeBytes) resolve();
      else reject(this.#failure);
    }
  }

  /** After a failed write: the frames that got through stay, the part of the next one goes. */
  async #cutToWholeFrames(batch: readonly Waiting[], reached: {start: number; written: number}): Promise<void> {
    let whole = reached.start;
    for (const {frame} of batch) {
      if (whole + frame.length > reached.start + reached.written) break;
      whole += frame.length;
    }
    this.#sizeBytes = whole;
    try {
      if (reached.start + reached.written > whole) await this.#file.truncate(whole);
    } catch {
      // The part that stays is a torn tail, which every reader recognises; the failed write is the error to report.
    }
  }
}

export class LogFileReader {
  readonly path: string;
  readonly #file: FileHandle;
  readonly #buffer = new Uint8Array(READ_BYTES);
  #offset: number;

  private constructor(file: FileHandle, options: {path: string; offset: number}) {
    this.#file = file;
    this.path = options.path;
    this.#offset = options.offset;
  }

  /** Opens `path`, a regular file, for reading from byte `offset` on. */
  static async open(path: string, options: {offset?: number} = {}): Promise<LogFileReader> {
    return withFileErrors({doing: 'open', path}, async () => {
      const file = await open(path, 'r');
      const found = await file.stat();
      if (!found.isFile()) {
        await file.close();
        const what = found.isDirectory() ? 'it is a folder' : 'it is no regular file';
        throw new FtvmError('fileSystem', `cannot read ${path}: ${what}`, {hint: 'Name a log file.', details: {path}});
      }
      return new LogFileReader(file, {path, offset: options.offset ?? 0});
    });
  }

  /** Bytes read so far, from the file's beginning. */
  get offset(): number {
    return this.#offset;
  }

  /** The file's size now. */
  async sizeBytes(): Promise<number> {
    return withFileErrors({doing: 'read', path: this.path}, async () => (await this.#file.stat()).size);
  }

  /** The bytes that follow those read before; empty at the file's present end. Valid until the next call. */
  async next(): Promise<Uint8Array> {
    return withFileErrors({doing: 'read', path: this.path}, async () => {
      const {bytesRead} = await this.#file.read(this.#buffer, 0, this.#buffer.length, this.#offset);
      this.#offset += bytesRead;
      return this.#buffer.subarray(0, bytesRead);
    });
  }

  /**
   * Waits until there is more than was read. Throws FtvmError `peerVanished` when the file was removed, or has become shorter
   * than what was read: another recording took its place.
   */
  async waitForGrowth(
    options: {signal?: AbortSignal; timeoutMs?: number} = {},
  ): Promise<'grown' | 'timeout' | 'aborted'> {
    const {signal} = options;
    const deadlineMs =
      options.timeoutMs === undefined ? Number.POSITIVE_INFINITY : performance.now() + options.timeoutMs;
    const changes = new ChangeSignal(this.path, signal);
    try {
      for (;;) {
        if (await this.#hasGrown()) return 'grown';
        if (signal?.aborted) return 'aborted';
        const leftMs = deadlineMs - performance.now();
        if (leftMs <= 0) return 'timeout';
        await changes.wait(Math.min(leftMs, POLL_INTERVAL_MS));
      }
    } finally {
      changes.close();
    }
  }

  async close(): Promise<void> {
    await withFileErrors({doing: 'close', path: this.path}, () => this.#file.close());
  }

  async #hasGrown(): Promise<boolean> {
    const {size, nlink} = await withFileErrors({doing: 'read', path: this.path}, () => this.#file.stat());
    if (size > this.#offset) return true;
    if (size < this.#offset || nlink === 0) {
      const what = nlink === 0 ? 'was removed' : `became shorter (${size} bytes, ${this.#offset} were read)`;
      throw new FtvmError('peerVanished', `${this.path} ${what} while it was followed`, {
        hint: 'Another recording may have taken its place: follow that one from its start.',
        details: {path: this.path, offset: this.#offset},
      });
    }
    return false;
  }
}

/** Wakes its waiter when the file changes, by the operating system's notice where there is one, else by time alone. */
class ChangeSignal {
  #watcher: FSWatcher | undefined;
  #isChanged = false;
  #wake: (() => void) | undefined;
  readonly #signal: AbortSignal | undefined;
  readonly #notice = (): void => {
    this.#isChanged = true;
    this.#wake?.();
  };

  constructor(path: string, signal: AbortSignal | undefined) {
    this.#signal = signal;
    signal?.addEventListener('abort', this.#notice);
    try {
      this.#watcher = watch(path, this.#notice);
      this.#watcher.on('error', () => this.#watcher?.close());
    } catch {
      // No inotify instance left, or a file system without notices: the time-out of wait() serves.
    }
  }

  async wait(timeoutMs: number): Promise<void> {
    if (!this.#isChanged) {
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, timeoutMs);
        this.#wake = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
    this.#isChanged = false;
    this.#wake = undefined;
  }

  close(): void {
    this.#watcher?.close();
    this.#signal?.removeEventListener('abort', this.#notice);
  }
}

async function kindOf(path: string): Promise<'none' | 'regular' | 'folder' | 'other'> {
  try {
    const found = await stat(path);
    return found.isFile() ? 'regular' : found.isDirectory() ? 'folder' : 'other';
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return 'none';
    throw error;
  }
}

/** Makes a new file's name durable: after a power failure a synced file without a name would be lost all the same. */
async function syncFolder(path: string): Promise<void> {
  const folder = await open(dirname(path), 'r');
  try {
    await folder.sync();
  } catch {
    // Some network file systems refuse to sync a folder; they keep names durable by themselves.
  } finally {
    await folder.close();
  }
}
