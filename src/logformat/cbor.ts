// The codec: CBOR items to and from bytes. The only file that knows cbor-x, whose traps stay in here: it writes integers from
// 2^32 up as floats unless they are bigint, gives back bytes that alias its input, and takes memory for whatever length an
// array claims. So every item is scanned first: RFC 8949's deterministic encoding (4.2.1), the few types that records use,
// every length within the bytes at hand, before cbor-x sees it. One value therefore has exactly one encoding.

import {Encoder} from 'cbor-x/encode';
import {type CborValue, MalformedError} from './fields.ts';
import {MAX_NESTING} from './limits.ts';

const CBOR_X = new Encoder({useRecords: false, mapsAsObjects: false, variableMapSize: true, tagUint8Array: false});

/** Integers in this range are exact in cbor-x as numbers; others must reach it as bigint. */
const MIN_PLAIN_INTEGER = -(2 ** 31);
const MAX_PLAIN_INTEGER = 2 ** 32 - 1;

const NULL_BYTE = 0xf6;

/** Encodes one item; the result is the caller's own. */
export function encodeItem(value: CborValue): Uint8Array {
  // slice, not a view: cbor-x hands out parts of a buffer that it goes on writing into.
  return Uint8Array.prototype.slice.call(CBOR_X.encode(toPlain(value)));
}

/** Decodes the item at [`start`, `end`) of `bytes`, as measured by itemEnd. Byte strings are copies. */
export function decodeItem(bytes: Uint8Array, bounds: {start: number; end: number}): CborValue {
  return copyByteStrings(CBOR_X.decode(bytes.subarray(bounds.start, bounds.end)) as CborValue);
}

/** Where the item that starts at `start` ends. Throws MalformedError for anything that a record may not hold. */
export function itemEnd(bytes: Uint8Array, start: number): number {
  return scanItem(bytes, start, MAX_NESTING);
}

function scanItem(bytes: Uint8Array, start: number, depth: number): number {
  if (start >= bytes.length) throw new MalformedError('an item is cut off');
  const initial = bytes[start];
  if (initial === NULL_BYTE) return start + 1;
  const majorType = initial >>> 5;
  const {argument, end} = scanArgument(bytes, start);
  switch (majorType) {
    case 0:
    case 1:
      return end;
    case 2:
    case 3: {
      if (argument > bytes.length - end) throw new MalformedError(`a string of ${argument} bytes is cut off`);
      const stringEnd = end + argument;
      if (majorType === 3) checkUtf8(bytes.subarray(end, stringEnd));
      return stringEnd;
    }
    case 4: {
      if (depth === 0) throw new MalformedError(`arrays are nested more than ${MAX_NESTING} deep`);
      // An element takes at least one byte: the bytes at hand bound the array before it is made.
      if (argument > bytes.length - end) throw new MalformedError(`an array of ${argument} items is cut off`);
      let next = end;
      for (let index = 0; index < argument; index++) next = scanItem(bytes, next, depth - 1);
      return next;
    }
    default:
      throw new MalformedError(`CBOR major type ${majorType} (initial byte 0x${initial.toString(16)}) has no use here`);
  }
}

/** The argument of an item's head (RFC 8949, 3). For an integer of eight bytes it is only near its value. */
function scanArgument(bytes: Uint8Array, start: number): {argument: number; end: number} {
  const info = bytes[start] & 0x1f;
  if (info < 24) return {argument: info, end: start + 1};
  if (info > 27)
    throw new MalformedError(`indefinite or reserved length (initial byte 0x${bytes[start].toString(16)})`);
  const sizeBytes = 1 << (info - 24);
  const end = start + 1 + sizeBytes;
  if (end > bytes.length) throw new MalformedError('an item is cut off');
  let argument = 0;
  for (let index = start + 1; index < end; index++) argument = argument * 256 + bytes[index];
  const shortest = sizeBytes === 1 ? 24 : 2 ** (sizeBytes * 4);
  if (argument < shortest) throw new MalformedError(`${argument} is not in its shortest form`);
  return {argument, end};
}

function checkUtf8(bytes: Uint8Array): void {
  try {
    new TextDecoder('utf-8', {fatal: true}).decode(bytes);
  } catch {
    throw new MalformedError('a text string is not UTF-8');
  }
}

/** Integers as cbor-x wants them, so that each takes its shortest form. */
function toPlain(value: CborValue): CborValue {
  if (Array.isArray(value)) return value.map(toPlain);
  if (typeof value === 'number') {
    return value >= MIN_PLAIN_INTEGER && value <= MAX_PLAIN_INTEGER ? value : BigInt(value);
  }
  if (typeof value === 'bigint') {
    return value >= -(1n << 32n) && value <= BigInt(MAX_PLAIN_INTEGER) ? Number(value) : value;
  }
  return value;
}

function copyByteStrings(value: CborValue): CborValue {
  if (value instanceof Uint8Array) return new Uint8Array(value);
  if (Array.isArray(value)) return value.map(copyByteStrings);
  return value;
}
