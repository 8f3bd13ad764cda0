// Heartbeat datagrams that only the peer can have sent: HMAC-SHA256 (RFC 2104) under a key of this connection and this direction, with a
// sequence number and a window against replays (RFC 4303, 3.4.3). Nothing in a datagram is looked at before its tag is right. Payloads
// are not encrypted: they say that somebody lives, and how far.
//
// | offset | size | what |
// |---|---|---|
// | 0 | 4 | magic, "FTV1" |
// | 4 | 8 | sequence, little-endian, from 1 |
// | 12 | 0 to 1024 | payload |
// | end - 32 | 32 | HMAC-SHA256 of all before it |

import {createHmac, hkdfSync, timingSafeEqual} from 'node:crypto';
import {assert} from '../errors.ts';

/** Far below the 1232 bytes that any IPv6 path carries whole (RFC 8200, 5). */
export const DATAGRAM_PAYLOAD_LIMIT_BYTES = 1024;

const MAGIC = 0x3156_5446;
const HEADER_BYTES = 12;
const TAG_BYTES = 32;
const LARGEST_BYTES = HEADER_BYTES + DATAGRAM_PAYLOAD_LIMIT_BYTES + TAG_BYTES;
/** Datagrams may overtake each other by so many. */
const WINDOW_SIZE = 64n;

export type DatagramKeyOptions = {
  /** The shared secret; undefined on loopback: then the session alone keeps other processes' datagrams out. */
  secret: Uint8Array | undefined;
  /** At least 16 random bytes, new for each connection and told over the channel, so that no datagram of another one counts. */
  session: Uint8Array;
  /** Who sends: what one side sent is nothing to itself. */
  sender: 'primary' | 'follower';
};

/** The key for one direction of one connection. */
export function datagramKey({secret, session, sender}: DatagramKeyOptions): Uint8Array {
  assert(session.length >= 16, `a session of ${session.length} bytes`);
  return new Uint8Array(hkdfSync('sha256', secret ?? new Uint8Array(0), session, `ftvm heartbeat 1 ${sender}`, 32));
}

export function sealDatagram(key: Uint8Array, payload: Uint8Array, sequence: bigint): Uint8Array {
  assert(payload.length <= DATAGRAM_PAYLOAD_LIMIT_BYTES, `a datagram of ${payload.length} bytes`);
  assert(sequence >= 1n && sequence < 1n << 64n, `sequence ${sequence}`);
  const datagram = Buffer.alloc(HEADER_BYTES + payload.length + TAG_BYTES);
  datagram.writeUInt32LE(MAGIC, 0);
  datagram.writeBigUInt64LE(sequence, 4);
  datagram.set(payload, HEADER_BYTES);
  const end = datagram.length - TAG_BYTES;
  datagram.set(tagOf(key, datagram.subarray(0, end)), end);
  return datagram;
}

/** Undefined for what the holder of the key did not seal. Says nothing about replays: `DatagramReceiver` does. */
export function openDatagram(
  key: Uint8Array,
  datagram: Uint8Array,
): {sequence: bigint; payload: Uint8Array} | undefined {
  if (datagram.length < HEADER_BYTES + TAG_BYTES || datagram.length > LARGEST_BYTES) return undefined;
  const bytes = Buffer.from(datagram.buffer, datagram.byteOffset, datagram.length);
  if (bytes.readUInt32LE(0) !== MAGIC) return undefined;
  const end = bytes.length - TAG_BYTES;
  if (!timingSafeEqual(tagOf(key, bytes.subarray(0, end)), bytes.subarray(end))) return undefined;
  return {sequence: bytes.readBigUInt64LE(4), payload: Uint8Array.from(bytes.subarray(HEADER_BYTES, end))};
}

/** Seals with ascending sequence numbers. */
export class DatagramSender {
  readonly #key: Uint8Array;
  #sequence = 0n;

  constructor(key: Uint8Array) {
    this.#key = key;
  }

  seal(payload: Uint8Array): Uint8Array {
    return sealDatagram(this.#key, payload, ++this.#sequence);
  }
}

export type ReceivedDatagram =
  | {kind: 'accepted'; sequence: bigint; payload: Uint8Array}
  /** `forged`: not sealed with this key. `replayed`: seen before. `late`: too old to know. */
  | {kind: 'dropped'; reason: 'forged' | 'replayed' | 'late'};

/** Opens each datagram once. */
export class DatagramReceiver {
  readonly #key: Uint8Array;
  /** The highest sequence accepted; bit n of `#seen` stands for `#highest - n`. */
  #highest = 0n;
  #seen = 0n;

  constructor(key: Uint8Array) {
    this.#key = key;
  }

  open(datagram: Uint8Array): ReceivedDatagram {
    const opened = openDatagram(this.#key, datagram);
    if (opened === undefined) return {kind: 'dropped', reason: 'forged'};
    const {sequence, payload} = opened;
    if (sequence > this.#highest) {
      const step = sequence - this.#highest;
      this.#seen = step >= WINDOW_SIZE ? 1n : ((this.#seen << step) | 1n) & ((1n << WINDOW_SIZE) - 1n);
      this.#highest = sequence;
      return {kind: 'accepted', sequence, payload};
    }
    const age = this.#highest - sequence;
    if (age >= WINDOW_SIZE) return {kind: 'dropped', reason: 'late'};
    if ((this.#seen & (1n << age)) !== 0n) return {kind: 'dropped', reason: 'replayed'};
    this.#seen |= 1n << age;
    return {kind: 'accepted', sequence, payload};
  }
}

function tagOf(key: Uint8Array, bytes: Uint8Array): Buffer {
  return createHmac('sha256', key).update(bytes).digest();
}
