// Chunks: the unit of a state file, as frames are of a log. A header of 24 bytes with a CRC of its own, then the payload.
// Each is numbered, so that a chunk that is missing or repeated is found. Little-endian.
//
// | offset | size | field                                                                       |
// |      0 |    1 | 0xc1: chunk, format version 1                                               |
// |      1 |    1 | type: 0 header, 1 entries, 2 memory, 3 pages, 4 end                         |
// |      2 |    2 | reserved: 0                                                                 |
// |      4 |    4 | number of the chunk in the file, from 0                                     |
// |      8 |    4 | payload length, bytes, 0 to MAX_CHUNK_BYTES                                 |
// |     12 |    4 | CRC-32C of the payload                                                      |
// |     16 |    4 | CRC-32C of all chunk headers before this one; 0 in the first                |
// |     20 |    4 | CRC-32C of bytes 0 to 19                                                    |

import {crc32c} from './crc32c.ts';
import {MalformedError} from './fields.ts';
import {MAX_CHUNK_BYTES} from './limits.ts';

export const CHUNK_HEADER_BYTES = 24;
export const CHUNK_MARK = 0xc1;

export const CHUNK_TYPES = ['header', 'entries', 'memory', 'pages', 'end'] as const;
export type ChunkType = (typeof CHUNK_TYPES)[number];

/** Where a chunk stands: its number, and the CRC over all headers before it. */
export type ChunkPlace = {number: number; headersCrc: number};

export type ChunkHeader = {type: ChunkType; payloadBytes: number; payloadCrc: number};

export function encodeChunkHeader(type: ChunkType, options: {payload: Uint8Array; place: ChunkPlace}): Uint8Array {
  const bytes = new Uint8Array(CHUNK_HEADER_BYTES);
  const view = new DataView(bytes.buffer);
  view.setUint8(0, CHUNK_MARK);
  view.setUint8(1, CHUNK_TYPES.indexOf(type));
  view.setUint32(4, options.place.number, true);
  view.setUint32(8, options.payload.length, true);
  view.setUint32(12, crc32c(options.payload), true);
  view.setUint32(16, options.place.headersCrc, true);
  view.setUint32(20, crc32c(bytes.subarray(0, 20)), true);
  return bytes;
}

/** Decodes the header at `place`. Throws MalformedError. */
export function decodeChunkHeader(bytes: Uint8Array, place: ChunkPlace): ChunkHeader {
  const view = new DataView(bytes.buffer, bytes.byteOffset, CHUNK_HEADER_BYTES);
  if (view.getUint32(20, true) !== crc32c(bytes.subarray(0, 20))) {
    throw new MalformedError('a chunk header does not match its CRC');
  }
  const type = CHUNK_TYPES[view.getUint8(1)];
  const payloadBytes = view.getUint32(8, true);
  if (view.getUint8(0) !== CHUNK_MARK) throw new MalformedError(`a chunk begins with 0x${bytes[0].toString(16)}`);
  if (type === undefined || view.getUint16(2, true) !== 0) throw new MalformedError('a chunk of unknown type');
  if (payloadBytes > MAX_CHUNK_BYTES) {
    throw new MalformedError(`a chunk of ${payloadBytes} bytes, at most ${MAX_CHUNK_BYTES}`);
  }
  if (view.getUint32(4, true) !== place.number || view.getUint32(16, true) !== place.headersCrc) {
    throw new MalformedError(`chunk ${view.getUint32(4, true)} stands where chunk ${place.number} belongs`);
  }
  return {type, payloadBytes, payloadCrc: view.getUint32(12, true)};
}

/** The place of the chunk after the one whose header is given. */
export function nextPlace(place: ChunkPlace, header: Uint8Array): ChunkPlace {
  return {number: place.number + 1, headersCrc: crc32c(header, place.headersCrc)};
}
