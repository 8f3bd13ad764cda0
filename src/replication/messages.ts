// The channel's messages: {u8 type, length, payload}; the length is little-endian, in as many bytes as the type's limit takes: none to
// three. The stream's bytes travel in `bytes` messages as they stand in the log; everything else is the channel's own. Nothing is believed
// before its length was checked against the type's limit.

import {FtvmError} from '../errors.ts';
import {MAX_ADVANCE_BYTES} from './advance-codec.ts';
import {DATAGRAM_SESSION_BYTES} from './authentication.ts';

export const CHANNEL_PROTOCOL = 4;

/** A follower's first words: what it has already. */
export type Hello = {
  protocol: number;
  /** Who it is, for people. */
  name: string;
  /** Lineage and stream offset from which it wants the stream; null: from the start. */
  lineageId: string | null;
  offset: string;
  /** Whether it offers itself as the backup whose acknowledgements gate outputs. */
  eligible: boolean;
};

/** `nonceName`: where the primary's proof stands in its arbiter's store; empty without an arbiter. `heartbeatMs`: how often both sides
 *  must be heard; `takeoverMs`: the silence after which the other is taken for dead; `datagramPort`: where the primary hears heartbeats;
 *  `session`: 16 random bytes (hex) of this connection, from which the heartbeats' keys are made. */
export type Welcome = {
  protocol: number;
  lineageId: string;
  position: string;
  generation: number;
  nonceName: string;
  heartbeatMs: number;
  takeoverMs: number;
  datagramPort: number;
  session: string;
};

/** The end of a state transfer: where in the stream the state stands, and its digest (hex). */
export type StateEnd = {ordinal: string; position: string; digest: string};

/** A deliberate close. `reason` as in the log's `end` record, or why the follower leaves. */
export type Bye = {reason: string; message?: string};

export type Message =
  | {kind: 'hello'; hello: Hello}
  | {kind: 'welcome'; welcome: Welcome}
  /** Bytes of the stream, in order. */
  | {kind: 'bytes'; bytes: Uint8Array}
  /** How far the follower may run where nothing happens: see advance-codec. */
  | {kind: 'advance'; bytes: Uint8Array}
  /** Whole, checked frames were received through record `ordinal`; executed to `position`. */
  | {kind: 'ack'; ordinal: bigint; position: bigint}
  /** The primary wants everything through record `ordinal` on the backup's disk; the backup says when it is. */
  | {kind: 'sync'; ordinal: bigint}
  | {kind: 'synced'; ordinal: bigint}
  /** A sign of life, when there is nothing else to say. */
  | {kind: 'heartbeat'}
  /** The follower asks for a planned hand-over. */
  | {kind: 'handOver'}
  /** The follower has built its machine and wants the primary's state. */
  | {kind: 'sendState'}
  /** Pages of a memory: see session/state-transfer. */
  | {kind: 'pages'; bytes: Uint8Array}
  /** A part of the state table. */
  | {kind: 'table'; bytes: Uint8Array}
  | {kind: 'stateEnd'; end: StateEnd}
  /** The follower is ready to be the backup; `nonce` is what it read in the arbiter's store. */
  | {kind: 'ready'; nonce: string}
  | {kind: 'bye'; bye: Bye};

const TYPES = {
  hello: 1,
  welcome: 2,
  bytes: 3,
  advance: 4,
  ack: 5,
  handOver: 6,
  bye: 7,
  sendState: 8,
  pages: 9,
  table: 10,
  stateEnd: 11,
  ready: 12,
  heartbeat: 13,
  sync: 14,
  synced: 15,
} as const;
/** Followers' names stand in logs and on terminals. */
const PRINTABLE_NAME = /^[\x20-\x7e]{1,200}$/;

const SESSION = new RegExp(`^[0-9a-f]{${2 * DATAGRAM_SESSION_BYTES}}$`);

/** Bytes of the stream in one message. */
export const MAX_CHUNK_BYTES = 256 * 1024;
/** Pages in one message, with their indices. */
export const MAX_PAGES_BYTES = 64 * (4096 + 5) + 5;
const LIMITS_BYTES: Readonly<Record<number, number>> = {
  [TYPES.hello]: 4096,
  [TYPES.welcome]: 4096,
  [TYPES.bytes]: MAX_CHUNK_BYTES,
  [TYPES.advance]: MAX_ADVANCE_BYTES,
  [TYPES.ack]: 16,
  [TYPES.handOver]: 0,
  [TYPES.bye]: 4096,
  [TYPES.sendState]: 0,
  [TYPES.pages]: MAX_PAGES_BYTES,
  [TYPES.table]: MAX_CHUNK_BYTES,
  [TYPES.stateEnd]: 4096,
  [TYPES.ready]: 4096,
  [TYPES.heartbeat]: 0,
  [TYPES.sync]: 8,
  [TYPES.synced]: 8,
};

export function encodeMessage(message: Message): Uint8Array {
  const payload = encodePayload(message);
  const type = TYPES[message.kind];
  const lengthBytes = lengthBytesOf(type);
  const bytes = Buffer.alloc(1 + lengthBytes + payload.length);
  bytes[0] = type;
  if (lengthBytes > 0) bytes.writeUIntLE(payload.length, 1, lengthBytes);
  bytes.set(payload, 1 + lengthBytes);
  return bytes;
}

/** How many bytes tell the length of such a message. */
export function lengthBytesOf(type: number): number {
  return Math.ceil(Math.log2((LIMITS_BYTES[type] ?? 0) + 1) / 8);
}

/** Bytes in, messages out. */
export class MessageReader {
  #buffer: Buffer = Buffer.alloc(0);

  push(bytes: Uint8Array): void {
    this.#buffer = this.#buffer.length === 0 ? Buffer.from(bytes) : Buffer.concat([this.#buffer, bytes]);
  }

  /** The next whole message, or undefined. Throws FtvmError `network` for what is none: the peer is to be dropped. */
  next(): Message | undefined {
    if (this.#buffer.length === 0) return undefined;
    const type = this.#buffer[0];
    const limit = LIMITS_BYTES[type];
    if (limit === undefined) throw malformed(`message of unknown type ${type}`);
    const lengthBytes = lengthBytesOf(type);
    const headerBytes = 1 + lengthBytes;
    if (this.#buffer.length < headerBytes) return undefined;
    const length = lengthBytes === 0 ? 0 : this.#buffer.readUIntLE(1, lengthBytes);
    if (length > limit) throw malformed(`message of type ${type} with ${length} bytes, at most ${limit} are allowed`);
    if (this.#buffer.length < headerBytes + length) return undefined;
    const payload = this.#buffer.subarray(headerBytes, headerBytes + length);
    this.#buffer = this.#buffer.subarray(headerBytes + length);
    return decodePayload(type, payload);
  }
}

function encodePayload(message: Message): Uint8Array {
  switch (message.kind) {
    case 'hello':
      return json(message.hello);
    case 'welcome':
      return json(message.welcome);
    case 'bytes':
    case 'advance':
      return message.bytes;
    case 'ack': {
      const bytes = Buffer.alloc(16);
      bytes.writeBigUInt64LE(message.ordinal, 0);
      bytes.writeBigUInt64LE(message.position, 8);
      return bytes;
    }
    case 'handOver':
    case 'sendState':
    case 'heartbeat':
      return new Uint8Array(0);
    case 'sync':
    case 'synced': {
      const bytes = Buffer.alloc(8);
      bytes.writeBigUInt64LE(message.ordinal);
      return bytes;
    }
    case 'pages':
    case 'table':
      return message.bytes;
    case 'stateEnd':
      return json(message.end);
    case 'ready':
      return json({nonce: message.nonce});
    case 'bye':
      return json(message.bye);
  }
}

function decodePayload(type: number, payload: Buffer): Message {
  switch (type) {
    case TYPES.hello:
      return {kind: 'hello', hello: checkedHello(parse(payload))};
    case TYPES.welcome:
      return {kind: 'welcome', welcome: checkedWelcome(parse(payload))};
    case TYPES.bytes:
      return {kind: 'bytes', bytes: Uint8Array.from(payload)};
    case TYPES.advance:
      return {kind: 'advance', bytes: Uint8Array.from(payload)};
    case TYPES.ack:
      if (payload.length !== 16) throw malformed('an acknowledgement of the wrong length');
      return {kind: 'ack', ordinal: payload.readBigUInt64LE(0), position: payload.readBigUInt64LE(8)};
    case TYPES.handOver:
      return {kind: 'handOver'};
    case TYPES.sync:
    case TYPES.synced:
      if (payload.length !== 8) throw malformed('a sync message of the wrong length');
      return {kind: type === TYPES.sync ? 'sync' : 'synced', ordinal: payload.readBigUInt64LE()};
    case TYPES.heartbeat:
      return {kind: 'heartbeat'};
    case TYPES.sendState:
      return {kind: 'sendState'};
    case TYPES.pages:
      return {kind: 'pages', bytes: Uint8Array.from(payload)};
    case TYPES.table:
      return {kind: 'table', bytes: Uint8Array.from(payload)};
    case TYPES.stateEnd:
      return {kind: 'stateEnd', end: checkedStateEnd(parse(payload))};
    case TYPES.ready: {
      const {nonce} = parse(payload);
      if (typeof nonce !== 'string') throw malformed('a readiness without a nonce');
      return {kind: 'ready', nonce};
    }
    default:
      return {kind: 'bye', bye: checkedBye(parse(payload))};
  }
}

function checkedHello(value: Record<string, unknown>): Hello {
  const {protocol, name, lineageId, offset, eligible} = value;
  const idIsRight = lineageId === null || (typeof lineageId === 'string' && /^[0-9a-f]{32}$/.test(lineageId));
  if (
    typeof protocol !== 'number' ||
    typeof name !== 'string' ||
    !PRINTABLE_NAME.test(name) ||
    !idIsRight ||
    !isOffset(offset) ||
    typeof eligible !== 'boolean'
  ) {
    throw malformed('a greeting with missing or strange fields');
  }
  return {protocol, name, lineageId, offset, eligible};
}

function checkedWelcome(value: Record<string, unknown>): Welcome {
  const {protocol, lineageId, position, generation, nonceName, heartbeatMs, takeoverMs, datagramPort, session} = value;
  const times = [heartbeatMs, takeoverMs].every((time) => typeof time === 'number' && time > 0 && time < 3_600_000);
  if (
    typeof protocol !== 'number' ||
    typeof lineageId !== 'string' ||
    typeof nonceName !== 'string' ||
    !isOffset(position) ||
    !isGeneration(generation) ||
    !times ||
    !isPort(datagramPort) ||
    typeof session !== 'string' ||
    !SESSION.test(session)
  ) {
    throw malformed('a strange welcome');
  }
  return {
    protocol,
    lineageId,
    position,
    generation,
    nonceName,
    heartbeatMs: heartbeatMs as number,
    takeoverMs: takeoverMs as number,
    datagramPort,
    session,
  };
}

function checkedStateEnd(value: Record<string, unknown>): StateEnd {
  const {ordinal, position, digest} = value;
  if (!isOffset(ordinal) || !isOffset(position) || typeof digest !== 'string')
    throw malformed('a strange end of a state');
  return {ordinal, position, digest};
}

function checkedBye(value: Record<string, unknown>): Bye {
  const {reason, message} = value;
  if (typeof reason !== 'string') throw malformed('a farewell without a reason');
  return typeof message === 'string'
    ? {reason: printable(reason), message: printable(message)}
    : {reason: printable(reason)};
}

/** What a peer says is shown to people: it must not move their cursors. */
function printable(text: string): string {
  return text.replace(/[\x00-\x1f\x7f-\x9f]+/g, ' ');
}

function isOffset(value: unknown): value is string {
  return typeof value === 'string' && /^\d{1,19}$/.test(value);
}

function isGeneration(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) > 0;
}

function isPort(value: unknown): value is number {
  return Number.isInteger(value) && (value as number) > 0 && (value as number) < 65_536;
}

function json(value: object): Uint8Array {
  return new TextEncoder().encode(JSON.stringify(value));
}

function parse(payload: Uint8Array): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(new TextDecoder('utf-8', {fatal: true}).decode(payload));
    if (typeof value === 'object' && value !== null) return value as Record<string, unknown>;
  } catch {
    // Reported below, as anything else that is no object.
  }
  throw malformed('a message that is no JSON object');
}

function malformed(what: string): FtvmError {
  return new FtvmError('network', `the peer sent a ${what.replace(/^an? /, '')}`, {
    hint: 'It does not speak this channel protocol; both sides need the same ftvm.',
  });
}
