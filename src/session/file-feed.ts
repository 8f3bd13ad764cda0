// Frames from a log file that is complete as it is.

import {LogFileReader} from '../host/log-file.ts';
import {type LogEnd, type LogFrame, LogReader} from '../logformat/log-reader.ts';
import type {StreamPoint} from '../logformat/stream-point.ts';
import type {FrameFeed} from './record-queue.ts';

/** A file's bytes, from its start; empty at its end. */
export type FileBytes = {next(): Promise<Uint8Array>; close(): Promise<void>};

export class FileFeed implements FrameFeed {
  readonly #file: FileBytes;
  readonly #reader = new LogReader();
  #end: LogEnd | undefined;

  private constructor(file: FileBytes) {
    this.#file = file;
  }

  static async open(
    path: string,
    openFile: (path: string) => Promise<FileBytes> = (file) => LogFileReader.open(file),
  ): Promise<FileFeed> {
    return new FileFeed(await openFile(path));
  }

  /** How the file ends, once `next` has given everything. */
  get end(): LogEnd | undefined {
    return this.#end;
  }

  /** The point where the file starts, once `next` was asked. */
  get start(): StreamPoint | undefined {
    return this.#reader.preamble?.point;
  }

  /** The point after the last whole frame. */
  get point(): StreamPoint | undefined {
    return this.#reader.point;
  }

  async next(): Promise<LogFrame | undefined> {
    while (this.#end === undefined) {
      const frame = this.#reader.next();
      if (frame !== undefined) return frame;
      const bytes = await this.#file.next();
      if (bytes.length > 0) this.#reader.push(bytes);
      else this.#end = this.#reader.end();
    }
    return undefined;
  }

  async close(): Promise<void> {
    await this.#file.close();
  }
}
