// Heartbeat datagrams that only the peer can have sent: HMAC-SHA256 (RFC 2104) under a key of this connection and this direction, with a
// sequence number and a window against replays (RFC 4303, 3.4.3). Nothing in a datagram is believed before its tag is right. It carries
// nothing: that it came says it all.
//
// | offset | size | what |
// |---|---|---|
// | 0 | 4 | magic, "FTV1" |
// | 4 | 8 | name of the connection and direction, by which the receiver finds the key |
// | 12 | 8 | sequence, little-endian, from 1 |
// | 20 | 32 | HMAC-SHA256 of all before it |

import {createHmac, hkdfSync, timingSafeEqual} from 'node:crypto';
import {assert} from '../errors.ts';

const MAGIC = 0x3156_5446;
const NAME_BYTES = 8;
const KEY_BYTES = 32;
const HEADER_BYTES = 20;
/** Far below the 1232 bytes that any IPv6 path carries whole (RFC 8200, 5). */
export const DATAGRAM_BYTES = HEADER_BYTES + 32;
/** 128 bits, which nobody guesses. */
export const DATAGRAM_SESSION_BYTES = 16;
/** Datagrams may overtake each other by so many. */
const WINDOW_SIZE = 64n;

export type DatagramKeyOptions = {
  /** The shared secret; undefined on loopback: then the session alone keeps other processes' datagrams out. */
  secret: Uint8Array | undefined;
  /** Random bytes, new for each connection and told over the channel, so that no datagram of another one counts. */
  session: Uint8Array;
  /** Who sends: what one side sent is nothing to itself. */
  sender: 'primary' | 'follower';
};

/** Of one direction of one connection. The name is no secret. */
export type DatagramKey = {name: Uint8Array; key: Uint8Array};

export function datagramKey({secret, session, sender}: DatagramKeyOptions): DatagramKey {
  assert(session.length === DATAGRAM_SESSION_BYTES, `a session of ${session.length} bytes`);
  const info = `ftvm heartbeat 1 ${sender}`;
  const bytes = new Uint8Array(hkdfSync('sha256', secret ?? new Uint8Array(0), session, info, NAME_BYTES + KEY_BYTES));
  return {name: bytes.subarray(0, NAME_BYTES), key: bytes.subarray(NAME_BYTES)};
}

export function sealDatagram({name, key}: DatagramKey, sequence: bigint): Uint8Array {
  assert(sequence >= 1n && sequence < 1n << 64n, `sequence ${sequence}`);
  const datagram = Buffer.alloc(DATAGRAM_BYTES);
  datagram.writeUInt32LE(MAGIC, 0);
  datagram.set(name, 4);
  datagram.writeBigUInt64LE(sequence, 12);
  datagram.set(tagOf(key, datagram.subarray(0, HEADER_BYTES)), HEADER_BYTES);
  return datagram;
}

/** Whose key would open it, as hexadecimal digits; undefined: it is no heartbeat. */
export function nameOfDatagram(datagram: Uint8Array): string | undefined {
  if (datagram.length !== DATAGRAM_BYTES) return undefined;
  const bytes = viewOf(datagram);
  return bytes.readUInt32LE(0) === MAGIC ? bytes.toString('hex', 4, 4 + NAME_BYTES) : undefined;
}

/** The sequence number; undefined for what the holder of the key did not seal. Says nothing about replays: `DatagramReceiver` does. */
export function openDatagram({name, key}: DatagramKey, datagram: Uint8Array): bigint | undefined {
  if (nameOfDatagram(datagram) !== Buffer.from(name).toString('hex')) return undefined;
  const bytes = viewOf(datagram);
  const tag = tagOf(key, bytes.subarray(0, HEADER_BYTES));
  return timingSafeEqual(tag, bytes.subarray(HEADER_BYTES)) ? bytes.readBigUInt64LE(12) : undefined;
}

/** Seals with ascending sequence numbers. */
export class DatagramSender {
  readonly #key: DatagramKey;
  #sequence = 0n;

  constructor(key: DatagramKey) {
    this.#key = key;
  }

  seal(): Uint8Array {
    return sealDatagram(this.#key, ++this.#sequence);
  }
}

/** `forged`: not sealed with this key. `replayed`: seen before. `late`: too old to know. */
export type DatagramVerdict = 'accepted' | 'forged' | 'replayed' | 'late';

/** Accepts each datagram once. */
export class DatagramReceiver {
  readonly #key: DatagramKey;
  /** The highest sequence accepted; bit n of `#seen` stands for `#highest - n`. */
  #highest = 0n;
  #seen = 0n;

  constructor(key: DatagramKey) {
    this.#key = key;
  }

  judge(datagram: Uint8Array): DatagramVerdict {
    const sequence = openDatagram(this.#key, datagram);
    if (sequence === undefined) return 'forged';
    if (sequence > this.#highest) {
      const step = sequence - this.#highest;
      this.#seen = step >= WINDOW_SIZE ? 1n : ((this.#seen << step) | 1n) & ((1n << WINDOW_SIZE) - 1n);
      this.#highest = sequence;
      return 'accepted';
    }
    const age = this.#highest - sequence;
    if (age >= WINDOW_SIZE) return 'late';
    if ((this.#seen & (1n << age)) !== 0n) return 'replayed';
    this.#seen |= 1n << age;
    return 'accepted';
  }
}

function tagOf(key: Uint8Array, bytes: Uint8Array): Buffer {
  return createHmac('sha256', key).update(bytes).digest();
}

function viewOf(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
}
