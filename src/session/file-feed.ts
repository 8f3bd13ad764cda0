// Frames from log files that are complete as they are: one, or several that continue each other.

import {FtvmError} from '../errors.ts';
import {LogFileReader} from '../host/log-file.ts';
import {type LogEnd, type LogFrame, LogReader} from '../logformat/log-reader.ts';
import type {StreamPoint} from '../logformat/stream-point.ts';
import type {FrameFeed} from './record-queue.ts';

/** A file's bytes, from its start; empty at its end. */
export type FileBytes = {next(): Promise<Uint8Array>; close(): Promise<void>};

export class FileFeed implements FrameFeed {
  readonly #paths: readonly string[];
  readonly #openFile: (path: string) => Promise<FileBytes>;
  #index = 0;
  #file: FileBytes;
  #reader = new LogReader();
  #previous: StreamPoint | undefined;
  #end: LogEnd | undefined;

  private constructor(paths: readonly string[], openFile: (path: string) => Promise<FileBytes>, file: FileBytes) {
    this.#paths = paths;
    this.#openFile = openFile;
    this.#file = file;
  }

  static async open(
    paths: readonly string[],
    openFile: (path: string) => Promise<FileBytes> = (path) => LogFileReader.open(path),
  ): Promise<FileFeed> {
    return new FileFeed(paths, openFile, await openFile(paths[0]));
  }

  /** How the last file ends, once `next` has given everything. */
  get end(): LogEnd | undefined {
    return this.#end;
  }

  /** The point after the last whole frame. */
  get point(): StreamPoint | undefined {
    return this.#reader.point;
  }

  async next(): Promise<LogFrame | undefined> {
    while (this.#end === undefined) {
      const frame = this.#reader.next();
      if (this.#previous !== undefined && this.#reader.preamble !== undefined) this.#checkChain(this.#previous);
      if (frame !== undefined) return frame;
      const bytes = await this.#file.next();
      if (bytes.length > 0) {
        this.#reader.push(bytes);
        continue;
      }
      const end = this.#reader.end();
      if (this.#index + 1 < this.#paths.length) await this.#nextFile();
      else this.#end = end;
    }
    return undefined;
  }

  async close(): Promise<void> {
    await this.#file.close();
  }

  async #nextFile(): Promise<void> {
    this.#previous = this.#reader.point;
    await this.#file.close();
    this.#index += 1;
    this.#file = await this.#openFile(this.#paths[this.#index]);
    this.#reader = new LogReader();
  }

  /** A file of a chain begins where the one before it ends. */
  #checkChain(previous: StreamPoint): void {
    const {point} = this.#reader.preamble as {point: StreamPoint};
    this.#previous = undefined;
    const path = this.#paths[this.#index];
    const same =
      Buffer.from(point.hash).equals(previous.hash) && Buffer.from(point.lineageId).equals(previous.lineageId);
    if (point.offset === previous.offset && same) return;
    throw new FtvmError(
      'corrupt',
      `${path} does not continue ${this.#paths[this.#index - 1]}: it starts at byte ${point.offset} of the stream, ${previous.offset} expected`,
      {
        hint: 'Give the files of one lineage in their order, without a gap.',
        details: {path, expected: previous.offset, actual: point.offset},
      },
    );
  }
}
