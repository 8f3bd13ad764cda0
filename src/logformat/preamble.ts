// The preamble: the first 80 bytes of a log file. It says which range of which lineage's stream the file holds, so that
// `replay A B C` can verify a chain. Little-endian. Its place, size and CRC are the same in every format version.
//
// | offset | size | field                                                                       |
// |      0 |    8 | magic "ftvmlog" and a zero byte                                             |
// |      8 |    2 | format version                                                              |
// |     10 |    1 | what the range starts with: 0 power-on, 1 snapshot                          |
// |     11 |    1 | container: 0 single file; 1 segment of a directory, reserved                |
// |     12 |    4 | number of the segment in its directory, reserved: 0                         |
// |     16 |    8 | stream offset of the first frame, bytes                                     |
// |     24 |    8 | ordinal of the last record before it                                        |
// |     32 |    8 | position of the last record before it, steps                                |
// |     40 |   16 | lineage id                                                                  |
// |     56 |   16 | running hash before the first frame                                         |
// |     72 |    4 | reserved: 0                                                                 |
// |     76 |    4 | CRC-32C of bytes 0 to 75                                                    |

import {FtvmError} from '../errors.ts';
import {crc32c} from './crc32c.ts';
import {FORMAT_VERSION, MAX_U63, PREAMBLE_BYTES} from './limits.ts';
import type {StreamPoint} from './stream-point.ts';

/** "ftvmlog\0" */
export const LOG_MAGIC = Uint8Array.of(0x66, 0x74, 0x76, 0x6d, 0x6c, 0x6f, 0x67, 0x00);

export type Preamble = {
  startsWith: 'powerOn' | 'snapshot';
  /** Where in the stream the file's first frame stands; `releasedThrough` is 0, as the first frame tells it anew. */
  point: StreamPoint;
};

const STARTS = ['powerOn', 'snapshot'] as const;

export function encodePreamble({startsWith, point}: Preamble): Uint8Array {
  const bytes = new Uint8Array(PREAMBLE_BYTES);
  const view = new DataView(bytes.buffer);
  bytes.set(LOG_MAGIC);
  view.setUint16(8, FORMAT_VERSION, true);
  view.setUint8(10, STARTS.indexOf(startsWith));
  view.setBigUint64(16, point.offset, true);
  view.setBigUint64(24, point.ordinal, true);
  view.setBigUint64(32, point.position, true);
  bytes.set(point.lineageId, 40);
  bytes.set(point.hash, 56);
  view.setUint32(76, crc32c(bytes.subarray(0, 76)), true);
  return bytes;
}

/** How many of the first bytes of `bytes` could begin a log: all of the magic, or as much of it as there is. */
export function hasLogMagic(bytes: Uint8Array): boolean {
  const length = Math.min(bytes.length, LOG_MAGIC.length);
  for (let index = 0; index < length; index++) if (bytes[index] !== LOG_MAGIC[index]) return false;
  return true;
}

/** Decodes the first PREAMBLE_BYTES of a file. Throws FtvmError: notALog, corrupt, mismatchedVersion. */
export function decodePreamble(bytes: Uint8Array): Preamble {
  if (!hasLogMagic(bytes)) {
    throw new FtvmError('notALog', 'not an ftvm log: byte 0: the file does not begin with "ftvmlog"', {
      hint: 'Logs are made by `ftvm record -o FILE`; state files are read by `ftvm diff-state`.',
      details: {offset: 0},
    });
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, PREAMBLE_BYTES);
  const crc = crc32c(bytes.subarray(0, 76));
  if (view.getUint32(76, true) !== crc) throw corruptPreamble(0, 'the preamble does not match its CRC');
  const version = view.getUint16(8, true);
  if (version !== FORMAT_VERSION) throw mismatchedVersion(version);
  const startsWith = STARTS[view.getUint8(10)];
  if (startsWith === undefined) throw corruptPreamble(10, `unknown start ${view.getUint8(10)}`);
  if (view.getUint8(11) !== 0) throw corruptPreamble(11, `unknown container ${view.getUint8(11)}`);
  if (view.getUint32(12, true) !== 0) throw corruptPreamble(12, 'a segment number in a single file');
  if (view.getUint32(72, true) !== 0) throw corruptPreamble(72, 'reserved bytes are not zero');
  const point: StreamPoint = {
    lineageId: bytes.slice(40, 56),
    offset: view.getBigUint64(16, true),
    ordinal: view.getBigUint64(24, true),
    position: view.getBigUint64(32, true),
    releasedThrough: 0n,
    hash: bytes.slice(56, 72),
    ended: 'no',
  };
  checkRange(startsWith, point);
  return {startsWith, point};
}

/** A log of another format version. */
export function mismatchedVersion(version: number): FtvmError {
  return new FtvmError('mismatchedVersion', `log format version ${version}, this ftvm reads ${FORMAT_VERSION}`, {
    hint: `Use the ftvm that wrote the log, or another that reads format version ${version}.`,
    details: {expected: FORMAT_VERSION, actual: version},
  });
}

function checkRange(startsWith: Preamble['startsWith'], point: StreamPoint): void {
  for (const [offset, value] of [
    [16, point.offset],
    [24, point.ordinal],
    [32, point.position],
  ] as const) {
    if (value > MAX_U63) throw corruptPreamble(offset, `${value} is beyond 2^63 - 1`);
  }
  if (startsWith === 'powerOn') {
    const atStart =
      point.offset === BigInt(PREAMBLE_BYTES) &&
      point.ordinal === 0n &&
      point.position === 0n &&
      point.hash.every((byte, index) => byte === point.lineageId[index]);
    if (!atStart) throw corruptPreamble(16, 'a range from power-on does not begin where the stream begins');
  }
}

function corruptPreamble(offset: number, what: string): FtvmError {
  return new FtvmError('corrupt', `the log is corrupt at byte ${offset}: ${what}`, {
    hint: 'The file was changed after it was written; restore it from a copy.',
    details: {offset},
  });
}
