// LogWriter: records in, frames out. It only encodes and enqueues; when a frame is cut, and where it goes, is the session's
// business. It starts at power-on, or carries on where a reader's stream ends (promotion).

import {assert} from '../errors.ts';
import {encodeFrame, FRAME_OVERHEAD_BYTES} from './frame.ts';
import {MAX_FRAME_RECORDS, MAX_PAYLOAD_BYTES} from './limits.ts';
import type {LogRecord} from './record.ts';
import {encodeRecord} from './record-codec.ts';
import {hashFrame} from './running-hash.ts';
import {endedAfter, type StreamPoint} from './stream-point.ts';

export class LogWriter {
  readonly #queue: {encoded: Uint8Array; position: bigint; ended: StreamPoint['ended']}[] = [];
  #pendingBytes = 0;
  #lastPosition: bigint;
  #lastOrdinal: bigint;
  #ended: StreamPoint['ended'];
  #point: StreamPoint;

  constructor(point: StreamPoint) {
    this.#point = point;
    this.#lastPosition = point.position;
    this.#lastOrdinal = point.ordinal;
    this.#ended = point.ended;
  }

  /** The end of the last frame taken. */
  get point(): StreamPoint {
    return this.#point;
  }

  /** Ordinal of the last record appended. */
  get lastOrdinal(): bigint {
    return this.#lastOrdinal;
  }

  /** Position of the last record appended. */
  get lastPosition(): bigint {
    return this.#lastPosition;
  }

  /** Records appended and not yet taken, and their bytes without the frame's 49. */
  get pendingRecords(): number {
    return this.#queue.length;
  }

  get pendingBytes(): number {
    return this.#pendingBytes;
  }

  /** Enqueues `record` and returns its ordinal. Its byte strings are copied. */
  append(record: LogRecord): bigint {
    assert(this.#ended !== 'final', `a ${record.kind} record after the guest's end`);
    assert(
      (record.kind === 'header') === (this.#lastOrdinal === 0n),
      `${record.kind} is record ${this.#lastOrdinal + 1n}: the header comes first, and only once`,
    );
    const encoded = encodeRecord(record, this.#lastPosition);
    const ended = endedAfter(record);
    this.#queue.push({encoded, position: record.position, ended});
    this.#pendingBytes += encoded.length;
    this.#lastPosition = record.position;
    this.#lastOrdinal += 1n;
    this.#ended = ended;
    return this.#lastOrdinal;
  }

  /** The next frame, or undefined when nothing waits. What exceeds one frame's limits stays for the next call. */
  takeFrame({releasedThrough}: {releasedThrough: bigint}): Uint8Array | undefined {
    const count = this.#countForOneFrame();
    if (count === 0) return undefined;
    const {hash, ordinal, offset, lineageId, releasedThrough: releasedBefore} = this.#point;
    assert(releasedThrough >= releasedBefore, `released through ${releasedThrough} after ${releasedBefore}`);
    const taken = this.#queue.splice(0, count);
    const last = taken[count - 1];
    const records = taken.map(({encoded}) => encoded);
    const frame = encodeFrame(records, {firstOrdinal: ordinal + 1n, releasedThrough, previousHash: hash});
    this.#pendingBytes -= frame.length - FRAME_OVERHEAD_BYTES;
    this.#point = {
      lineageId,
      offset: offset + BigInt(frame.length),
      ordinal: ordinal + BigInt(count),
      position: last.position,
      releasedThrough,
      hash: hashFrame(frame),
      ended: last.ended,
    };
    return frame;
  }

  #countForOneFrame(): number {
    let payloadBytes = 0;
    let count = 0;
    while (count < this.#queue.length && count < MAX_FRAME_RECORDS) {
      payloadBytes += this.#queue[count].encoded.length;
      if (payloadBytes > MAX_PAYLOAD_BYTES) break;
      count++;
    }
    return count;
  }
}
