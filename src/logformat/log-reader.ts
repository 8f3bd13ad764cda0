// LogReader: bytes in, frames of checked records out. Incremental: push what has come, then take frames until there is none.
// It believes nothing that it has not checked, takes memory only for what a limit bounds, and tells torn from corrupt
// (DESIGN 6): torn is what a crash leaves and is good up to the last whole frame; corrupt is never cut off by itself.

import {FtvmError} from '../errors.ts';
import {crc32c} from './crc32c.ts';
import {MalformedError} from './fields.ts';
import {
  decodeFrameHeader,
  FRAME_CLOSING_BYTE,
  FRAME_HEADER_BYTES,
  FRAME_OVERHEAD_BYTES,
  type FrameHeader,
  frameHeaderIsIntact,
} from './frame.ts';
import {FORMAT_VERSION, PREAMBLE_BYTES} from './limits.ts';
import {decodePreamble, hasLogMagic, mismatchedVersion, type Preamble} from './preamble.ts';
import type {LogRecord} from './record.ts';
import {decodeRecord} from './record-codec.ts';
import {hashFrame} from './running-hash.ts';
import {endedAfter, type StreamPoint} from './stream-point.ts';

export type LogFrame = {
  /** Offset in the stream, and length with header and closing byte. */
  offset: bigint;
  lengthBytes: number;
  /** Ordinal of the first record; the others follow without a gap. */
  firstOrdinal: bigint;
  releasedThrough: bigint;
  records: LogRecord[];
  /** The point after this frame. */
  end: StreamPoint;
};

export type TornReason = 'partialPreamble' | 'partialHeader' | 'partialPayload' | 'zeros' | 'noEnd';

/** `torn`: `offset` is the stream offset after the last whole frame; `tailBytes` more bytes follow it and are worth nothing.
 *  A log that stops after a whole frame, but without an `end` record, is torn as well (`noEnd`). */
export type LogEnd = {kind: 'whole'} | {kind: 'torn'; offset: bigint; tailBytes: number; reason: TornReason};

export class LogReader {
  #preamble: Preamble | undefined;
  #point: StreamPoint | undefined;
  #buffer: Uint8Array = new Uint8Array(0);
  #start = 0;
  #length = 0;
  /** Set once the rest of the file can only be zeros: how many have been seen and thrown away. */
  #zeroBytes = 0;
  #inZeros = false;

  /** `from`: the bytes begin with a frame at that point of the stream (a channel, or a file already partly read). Otherwise
   *  they begin with a file's preamble. */
  constructor(options: {from?: StreamPoint} = {}) {
    this.#point = options.from;
  }

  /** The file's preamble, once it has been read. */
  get preamble(): Preamble | undefined {
    return this.#preamble;
  }

  /** The point after the last whole frame; undefined before the preamble has been read. */
  get point(): StreamPoint | undefined {
    return this.#point;
  }

  /** Takes a copy of `bytes`, which follow those pushed before. */
  push(bytes: Uint8Array): void {
    if (this.#start + this.#length + bytes.length > this.#buffer.length) this.#makeRoom(bytes.length);
    this.#buffer.set(bytes, this.#start + this.#length);
    this.#length += bytes.length;
  }

  /**
   * The next whole frame, or undefined: more bytes are needed. Throws FtvmError `notALog`, `mismatchedVersion` or `corrupt`,
   * with `details.offset`; after that the reader is of no more use.
   */
  next(): LogFrame | undefined {
    if (this.#point === undefined && !this.#readPreamble()) return undefined;
    const point = this.#point!;
    if (this.#inZeros) {
      this.#skipZeros(point);
      return undefined;
    }
    if (this.#length < FRAME_HEADER_BYTES) return undefined;
    const bytes = this.#pending();
    if (!frameHeaderIsIntact(bytes)) {
      if (bytes[FRAME_HEADER_BYTES - 1] !== 0) throw corrupt(point.offset, 'a frame header does not match its CRC');
      this.#enterZeros(point, FRAME_HEADER_BYTES - 1);
      return undefined;
    }
    const header = this.#checkedHeader(bytes, point);
    const lengthBytes = header.payloadBytes + FRAME_OVERHEAD_BYTES;
    if (this.#length < lengthBytes) return undefined;
    const frame = bytes.subarray(0, lengthBytes);
    const payload = frame.subarray(FRAME_HEADER_BYTES, lengthBytes - 1);
    if (frame[lengthBytes - 1] === 0) {
      this.#enterZeros(point, lengthBytes - 1);
      return undefined;
    }
    if (frame[lengthBytes - 1] !== FRAME_CLOSING_BYTE) {
      throw corrupt(point.offset + BigInt(lengthBytes - 1), 'a frame does not end with its closing byte');
    }
    if (crc32c(payload) !== header.payloadCrc) {
      throw corrupt(point.offset + BigInt(FRAME_HEADER_BYTES), "a frame's payload does not match its CRC");
    }
    const records = decodePayload(payload, header, point);
    const end: StreamPoint = {
      lineageId: point.lineageId,
      offset: point.offset + BigInt(lengthBytes),
      ordinal: point.ordinal + BigInt(records.length),
      position: records[records.length - 1].position,
      releasedThrough: header.releasedThrough,
      hash: hashFrame(frame),
      ended: endedAfter(records[records.length - 1]),
    };
    this.#drop(lengthBytes);
    this.#point = end;
    const {firstOrdinal, releasedThrough} = header;
    return {offset: point.offset, lengthBytes, firstOrdinal, releasedThrough, records, end};
  }

  /** Says how the log ends, when no more bytes will come and next() has returned undefined. Throws like next(). */
  end(): LogEnd {
    if (this.#point === undefined) {
      const bytes = this.#pending();
      if (bytes.length > 0 && !hasLogMagic(bytes)) decodePreamble(bytes);
      return {kind: 'torn', offset: 0n, tailBytes: bytes.length, reason: 'partialPreamble'};
    }
    const {offset, ended} = this.#point;
    if (this.#inZeros) return {kind: 'torn', offset, tailBytes: this.#zeroBytes, reason: 'zeros'};
    if (this.#length > 0) {
      const isZeros = this.#pending().every((byte) => byte === 0);
      const reason = isZeros ? 'zeros' : this.#length < FRAME_HEADER_BYTES ? 'partialHeader' : 'partialPayload';
      return {kind: 'torn', offset, tailBytes: this.#length, reason};
    }
    return ended === 'no' ? {kind: 'torn', offset, tailBytes: 0, reason: 'noEnd'} : {kind: 'whole'};
  }

  #readPreamble(): boolean {
    const bytes = this.#pending();
    if (bytes.length < PREAMBLE_BYTES) {
      // A file that is no log is refused at its first bytes, whatever its length.
      if (!hasLogMagic(bytes)) decodePreamble(bytes);
      return false;
    }
    this.#preamble = decodePreamble(bytes);
    this.#point = this.#preamble.point;
    this.#drop(PREAMBLE_BYTES);
    return true;
  }

  #checkedHeader(bytes: Uint8Array, point: StreamPoint): FrameHeader {
    const header = wellFormed(point.offset, () => decodeFrameHeader(bytes));
    if (header.firstOrdinal !== point.ordinal + 1n) {
      const what = `a frame begins with record ${header.firstOrdinal}, record ${point.ordinal + 1n} expected`;
      throw corrupt(point.offset, what, {expected: point.ordinal + 1n, actual: header.firstOrdinal});
    }
    if (!equalBytes(header.previousHash, point.hash)) {
      throw corrupt(point.offset, 'a frame does not follow the one before it: the running hashes differ', {
        expected: toHex(point.hash),
        actual: toHex(header.previousHash),
      });
    }
    if (header.releasedThrough < point.releasedThrough) {
      const what = `outputs released through ${header.releasedThrough}, after ${point.releasedThrough}`;
      throw corrupt(point.offset, what);
    }
    if (point.ended === 'final') throw corrupt(point.offset, "a frame follows the guest's end");
    return header;
  }

  /** From `from` bytes after the point on, only zeros may come: a crash left them, or the log is corrupt. */
  #enterZeros(point: StreamPoint, from: number): void {
    this.#inZeros = true;
    this.#zeroBytes = from;
    this.#drop(from);
    this.#skipZeros(point);
  }

  #skipZeros(point: StreamPoint): void {
    const bytes = this.#pending();
    const index = bytes.findIndex((byte) => byte !== 0);
    if (index !== -1) {
      const what = `a frame is cut off by zeros, but byte ${point.offset + BigInt(this.#zeroBytes + index)} is not zero`;
      throw corrupt(point.offset, what);
    }
    this.#zeroBytes += bytes.length;
    this.#drop(bytes.length);
  }

  #pending(): Uint8Array {
    return this.#buffer.subarray(this.#start, this.#start + this.#length);
  }

  #drop(count: number): void {
    this.#start += count;
    this.#length -= count;
    if (this.#length === 0) this.#start = 0;
  }

  #makeRoom(moreBytes: number): void {
    const needed = this.#length + moreBytes;
    // Doubled, so that many small pushes copy each byte only a few times.
    const target =
      needed > this.#buffer.length ? new Uint8Array(Math.max(needed, this.#buffer.length * 2, 4096)) : this.#buffer;
    if (target === this.#buffer) target.copyWithin(0, this.#start, this.#start + this.#length);
    else target.set(this.#pending());
    this.#buffer = target;
    this.#start = 0;
  }
}

/** A log's bytes, whole: all frames up to the end or the tear. Throws like LogReader.next(). */
export function readLog(bytes: Uint8Array): {preamble: Preamble | undefined; frames: LogFrame[]; end: LogEnd} {
  const reader = new LogReader();
  reader.push(bytes);
  const frames: LogFrame[] = [];
  for (let frame = reader.next(); frame !== undefined; frame = reader.next()) frames.push(frame);
  return {preamble: reader.preamble, frames, end: reader.end()};
}

function decodePayload(payload: Uint8Array, header: FrameHeader, point: StreamPoint): LogRecord[] {
  const records: LogRecord[] = [];
  const payloadOffset = point.offset + BigInt(FRAME_HEADER_BYTES);
  let position = point.position;
  let ended = point.ended;
  let start = 0;
  for (let index = 0; index < header.recordCount; index++) {
    const offset = payloadOffset + BigInt(start);
    const {record, end} = wellFormed(offset, () => {
      const decoded = decodeRecord(payload, {start, previousPosition: position});
      checkOrder(decoded.record, {ordinal: header.firstOrdinal + BigInt(index), ended, lineageId: point.lineageId});
      return decoded;
    });
    records.push(record);
    position = record.position;
    ended = endedAfter(record);
    start = end;
  }
  if (start !== payload.length) {
    throw corrupt(payloadOffset + BigInt(start), `${payload.length - start} bytes after a frame's last record`);
  }
  return records;
}

function checkOrder(
  record: LogRecord,
  at: {ordinal: bigint; ended: StreamPoint['ended']; lineageId: Uint8Array},
): void {
  if ((record.kind === 'header') !== (at.ordinal === 1n)) {
    throw new MalformedError(`record ${at.ordinal} is a ${record.kind}: the header comes first, and only once`);
  }
  if (record.kind === 'header' && !equalBytes(record.lineageId, at.lineageId)) {
    throw new MalformedError("the header's lineage is not the stream's");
  }
  if (record.kind === 'header' && record.formatVersion !== FORMAT_VERSION) {
    throw mismatchedVersion(record.formatVersion);
  }
  if (at.ended === 'final') throw new MalformedError(`a ${record.kind} record follows the guest's end`);
}

/** Gives what `decode` finds malformed its place. */
function wellFormed<T>(offset: bigint, decode: () => T): T {
  try {
    return decode();
  } catch (error) {
    if (error instanceof MalformedError) throw corrupt(offset, error.message);
    throw error;
  }
}

function corrupt(offset: bigint, what: string, details: Record<string, unknown> = {}): FtvmError {
  return new FtvmError('corrupt', `the log is corrupt at byte ${offset}: ${what}`, {
    hint: 'The file was changed after it was written, or its disk lies; restore it from a copy.',
    details: {offset, ...details},
  });
}

function equalBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, index) => byte === b[index]);
}

function toHex(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
}
