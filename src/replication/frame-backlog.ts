// Frames and advances that a follower has received and not yet replayed. Decoded, a log takes ten times its bytes; so only the first frames
// are kept decoded, and the others as the bytes they came in, which were checked: they are decoded again when it is their turn.

import {assert} from '../errors.ts';
import {type LogFrame, LogReader} from '../logformat/log-reader.ts';
import type {StreamPoint} from '../logformat/stream-point.ts';
import type {Advance} from '../session/record-queue.ts';

/** So many bytes of the log are kept decoded. */
const DECODED_LIMIT_BYTES = 256 * 1024;
/** Frames that are decoded again at once. */
const RUN_LIMIT_BYTES = 64 * 1024;

/** Frames that follow each other, from this point of the stream on. */
type Run = {kind: 'run'; from: StreamPoint; frames: number; pieces: Uint8Array[]; lengthBytes: number};
type Entry = {kind: 'frame'; frame: LogFrame} | {kind: 'advance'; advance: Advance} | Run;

export class FrameBacklog {
  /** From `#start` on: those before have been taken. */
  #entries: (Entry | undefined)[] = [];
  #start = 0;
  #bytes = 0;

  /** Length of all frames in here. */
  get bytes(): number {
    return this.#bytes;
  }

  /** `bytes` is the frame as it came, `from` the point before it. */
  addFrame(frame: LogFrame, {bytes, from}: {bytes: Uint8Array; from: StreamPoint | undefined}): void {
    const isDecoded = from === undefined || this.#bytes < DECODED_LIMIT_BYTES;
    this.#bytes += frame.lengthBytes;
    const last = this.#last;
    if (last?.kind === 'run' && last.lengthBytes < RUN_LIMIT_BYTES) {
      last.frames += 1;
      last.pieces.push(bytes);
      last.lengthBytes += bytes.length;
      // One piece for each frame would cost more than what is in them.
      if (last.lengthBytes >= RUN_LIMIT_BYTES) last.pieces = [Buffer.concat(last.pieces)];
    } else if (isDecoded) {
      this.#entries.push({kind: 'frame', frame});
    } else {
      this.#entries.push({kind: 'run', from, frames: 1, pieces: [bytes], lengthBytes: bytes.length});
    }
  }

  /** Replaces one that nothing came after: the guest was where it says, so that the run before is over, wherever it stopped. */
  addAdvance(advance: Advance): void {
    const last = this.#last;
    if (last?.kind === 'advance') last.advance = advance;
    else this.#entries.push({kind: 'advance', advance});
  }

  /** What came first; undefined when nothing is left. */
  take(): LogFrame | Advance | undefined {
    const entry = this.#entries[this.#start];
    if (entry === undefined) return undefined;
    if (entry.kind === 'run') {
      this.#decode(entry);
      return this.take();
    }
    this.#entries[this.#start] = undefined;
    this.#start += 1;
    if (this.#start * 2 > this.#entries.length) {
      this.#entries = this.#entries.slice(this.#start);
      this.#start = 0;
    }
    if (entry.kind === 'advance') return entry.advance;
    this.#bytes -= entry.frame.lengthBytes;
    return entry.frame;
  }

  get #last(): Entry | undefined {
    return this.#start < this.#entries.length ? this.#entries.at(-1) : undefined;
  }

  /** The run at the head becomes its frames. */
  #decode({from, frames: count, pieces}: Run): void {
    const reader = new LogReader({from});
    reader.push(Buffer.concat(pieces));
    const frames: Entry[] = [];
    for (let frame = reader.next(); frame !== undefined; frame = reader.next()) frames.push({kind: 'frame', frame});
    assert(frames.length === count, `${frames.length} frames of ${count} that were received`);
    this.#entries = [...frames, ...this.#entries.slice(this.#start + 1)];
    this.#start = 0;
  }
}
