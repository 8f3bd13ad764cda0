// Frames from a log file that somebody still writes. When a promotion cuts a torn tail off and writes on, the feed goes back to the
// last whole frame and follows what comes.

import {FtvmError} from '../errors.ts';
import {LogFileReader} from '../host/log-file.ts';
import {PREAMBLE_BYTES} from '../logformat/limits.ts';
import {type LogFrame, LogReader} from '../logformat/log-reader.ts';
import type {StreamPoint} from '../logformat/stream-point.ts';
import type {FrameFeed} from './record-queue.ts';

export class GrowingFileFeed implements FrameFeed {
  readonly #path: string;
  readonly #stop = new AbortController();
  #file: LogFileReader;
  #reader = new LogReader();
  /** File offset of stream offset 0, once the preamble was read. */
  #shiftBytes = 0n;

  private constructor(path: string, file: LogFileReader) {
    this.#path = path;
    this.#file = file;
  }

  static async open(path: string): Promise<GrowingFileFeed> {
    return new GrowingFileFeed(path, await LogFileReader.open(path));
  }

  /** The point after the last whole frame. */
  get point(): StreamPoint | undefined {
    return this.#reader.point;
  }

  /** Bytes of the file up to there. */
  get wholeBytes(): number {
    return this.point === undefined ? 0 : Number(this.point.offset + this.#shiftBytes);
  }

  /** Do not wait any more: `next` gives what is there, then undefined. */
  drain(): void {
    this.#stop.abort();
  }

  async next(): Promise<LogFrame | undefined> {
    for (;;) {
      const frame = this.#reader.next();
      const {preamble} = this.#reader;
      if (preamble !== undefined) this.#shiftBytes = BigInt(PREAMBLE_BYTES) - preamble.point.offset;
      if (frame !== undefined) return frame;
      const bytes = await this.#file.next();
      if (bytes.length > 0) {
        this.#reader.push(bytes);
        continue;
      }
      if (this.#stop.signal.aborted) return undefined;
      await this.#waitForGrowth();
    }
  }

  async close(): Promise<void> {
    this.#stop.abort();
    await this.#file.close();
  }

  async #waitForGrowth(): Promise<void> {
    try {
      await this.#file.waitForGrowth({signal: this.#stop.signal});
    } catch (error) {
      if (!(error instanceof FtvmError) || error.code !== 'peerVanished') throw error;
      await this.#backToWholeFrames(error);
    }
  }

  async #backToWholeFrames(error: FtvmError): Promise<void> {
    const {point} = this;
    const file = await LogFileReader.open(this.#path);
    if (point === undefined || (await file.sizeBytes()) < this.wholeBytes) {
      await file.close();
      throw error;
    }
    await file.close();
    await this.#file.close();
    this.#file = await LogFileReader.open(this.#path, {offset: this.wholeBytes});
    this.#reader = new LogReader({from: point});
  }
}
