// Frames: the unit in which the stream is written, sent, checked and cut. A header of 48 bytes with a CRC of its own, a
// payload (a CBOR sequence of records, RFC 8742) and one closing byte. Little-endian.
//
// | offset | size | field                                                                       |
// |      0 |    1 | 0xb1: a frame                                                               |
// |      1 |    1 | reserved: 0                                                                 |
// |      2 |    2 | records in the payload, 1 to 65,535                                         |
// |      4 |    4 | payload length, bytes, 1 to MAX_PAYLOAD_BYTES                               |
// |      8 |    8 | ordinal of the first record                                                 |
// |     16 |    8 | releasedThrough: ordinal of the last output really handed over              |
// |     24 |   16 | running hash of all frames before this one                                  |
// |     40 |    4 | CRC-32C of the payload                                                      |
// |     44 |    4 | CRC-32C of bytes 0 to 43                                                    |
// |     48 |    n | payload                                                                     |
// | 48 + n |    1 | 0xe5. Never zero: a file that a crash filled up with zeros is torn, and no  |
// |        |      | single changed bit can make a whole frame look like that                    |

import {assert} from '../errors.ts';
import {crc32c} from './crc32c.ts';
import {MalformedError} from './fields.ts';
import {MAX_FRAME_RECORDS, MAX_PAYLOAD_BYTES, MAX_U63} from './limits.ts';

export const FRAME_HEADER_BYTES = 48;
export const FRAME_OVERHEAD_BYTES = FRAME_HEADER_BYTES + 1;
export const FRAME_MARK = 0xb1;
export const FRAME_CLOSING_BYTE = 0xe5;

export type FrameHeader = {
  recordCount: number;
  payloadBytes: number;
  firstOrdinal: bigint;
  releasedThrough: bigint;
  previousHash: Uint8Array;
  payloadCrc: number;
};

/** A whole frame around the encoded records. */
export function encodeFrame(
  records: readonly Uint8Array[],
  header: Pick<FrameHeader, 'firstOrdinal' | 'releasedThrough' | 'previousHash'>,
): Uint8Array {
  const payloadBytes = records.reduce((sum, record) => sum + record.length, 0);
  assert(records.length >= 1 && records.length <= MAX_FRAME_RECORDS, `${records.length} records in a frame`);
  assert(payloadBytes <= MAX_PAYLOAD_BYTES, `a payload of ${payloadBytes} bytes`);
  const frame = new Uint8Array(FRAME_OVERHEAD_BYTES + payloadBytes);
  let end = FRAME_HEADER_BYTES;
  for (const record of records) {
    frame.set(record, end);
    end += record.length;
  }
  frame[end] = FRAME_CLOSING_BYTE;
  const view = new DataView(frame.buffer);
  view.setUint8(0, FRAME_MARK);
  view.setUint16(2, records.length, true);
  view.setUint32(4, payloadBytes, true);
  view.setBigUint64(8, header.firstOrdinal, true);
  view.setBigUint64(16, header.releasedThrough, true);
  frame.set(header.previousHash, 24);
  view.setUint32(40, crc32c(frame.subarray(FRAME_HEADER_BYTES, end)), true);
  view.setUint32(44, crc32c(frame.subarray(0, 44)), true);
  return frame;
}

/** Whether the header's own CRC holds: only then is anything in it to be believed. */
export function frameHeaderIsIntact(bytes: Uint8Array): boolean {
  const view = new DataView(bytes.buffer, bytes.byteOffset, FRAME_HEADER_BYTES);
  return view.getUint32(44, true) === crc32c(bytes.subarray(0, 44));
}

/** Decodes an intact header. Throws MalformedError when it breaks a limit. */
export function decodeFrameHeader(bytes: Uint8Array): FrameHeader {
  const view = new DataView(bytes.buffer, bytes.byteOffset, FRAME_HEADER_BYTES);
  if (bytes[0] !== FRAME_MARK) throw new MalformedError(`a frame begins with 0x${bytes[0].toString(16)}`);
  if (bytes[1] !== 0) throw new MalformedError('reserved bits of the frame header are set');
  const header: FrameHeader = {
    recordCount: view.getUint16(2, true),
    payloadBytes: view.getUint32(4, true),
    firstOrdinal: view.getBigUint64(8, true),
    releasedThrough: view.getBigUint64(16, true),
    previousHash: bytes.slice(24, 40),
    payloadCrc: view.getUint32(40, true),
  };
  if (header.recordCount === 0) throw new MalformedError('a frame without records');
  if (header.payloadBytes < header.recordCount || header.payloadBytes > MAX_PAYLOAD_BYTES) {
    throw new MalformedError(`a payload of ${header.payloadBytes} bytes, at most ${MAX_PAYLOAD_BYTES}`);
  }
  if (header.firstOrdinal > MAX_U63 || header.releasedThrough > MAX_U63) {
    throw new MalformedError('an ordinal beyond 2^63 - 1');
  }
  return header;
}
