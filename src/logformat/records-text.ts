// Records for people and for other programs: one line, or one JSON object, as `ftvm dump` prints them. Bytes are shown as
// escaped text or hexadecimal and cut at a bound, with their full length beside; what a guest was sent cannot reach the
// terminal as control sequences. JSON follows the contract of `--json`: bigint as decimal strings.

import type {Ending} from '../emulator/config.ts';
import type {Input} from '../emulator/input.ts';
import {unreachable} from '../errors.ts';
import type {LogRecord} from './record.ts';

export type RecordText = {
  /** Bytes of one byte string that are shown; 32 in lines, 256 in JSON. */
  maxBytes?: number;
};

export type JsonValue = null | boolean | number | string | JsonValue[] | {[key: string]: JsonValue};

const LINE_MAX_BYTES = 32;
const JSON_MAX_BYTES = 256;
const SHORT_DIGEST_BYTES = 8;

/** `record` as one line, without a line feed: ordinal, position, kind, what it says. */
export function recordToLine(record: LogRecord, options: RecordText & {ordinal: bigint}): string {
  const what = describe(record, options.maxBytes ?? LINE_MAX_BYTES);
  return `${String(options.ordinal).padStart(6)}  @${String(record.position).padEnd(12)}  ${what}`;
}

/** `record` as an object for JSON. Byte strings of the guest become {lengthBytes, hex} and, where shown as text, {text}. */
export function recordToJson(record: LogRecord, options: RecordText & {ordinal: bigint}): {[key: string]: JsonValue} {
  const maxBytes = options.maxBytes ?? JSON_MAX_BYTES;
  const {kind, position, ...body} = record;
  const common = {ordinal: String(options.ordinal), position: String(position), kind};
  switch (record.kind) {
    case 'input':
      return {...common, input: inputToJson(record.input, maxBytes)};
    case 'snapshot':
      return {...common, part: record.part, parts: record.parts, bytes: dataToJson(record.bytes, maxBytes)};
    default:
      return {...common, ...(toJson(body) as {[key: string]: JsonValue})};
  }
}

/** Printable ASCII as it is, everything else escaped; at most `maxBytes` bytes, then `…`. */
export function escapeBytes(bytes: Uint8Array, maxBytes: number): string {
  let text = '';
  for (const byte of bytes.subarray(0, maxBytes)) text += ESCAPES[byte] ?? escapeByte(byte);
  return bytes.length > maxBytes ? `${text}…` : text;
}

/** Lower-case hexadecimal, at most `maxBytes` bytes, then `…`. */
export function hexBytes(bytes: Uint8Array, maxBytes = Number.POSITIVE_INFINITY): string {
  const shown = bytes.length > maxBytes ? bytes.subarray(0, maxBytes) : bytes;
  const hex = Array.from(shown, (byte) => byte.toString(16).padStart(2, '0')).join('');
  return bytes.length > maxBytes ? `${hex}…` : hex;
}

const ESCAPES: Readonly<Record<number, string>> = {
  8: '\\b',
  9: '\\t',
  10: '\\n',
  13: '\\r',
  27: '\\e',
  34: '\\"',
  92: '\\\\',
};

function escapeByte(byte: number): string {
  return byte >= 0x20 && byte < 0x7f ? String.fromCharCode(byte) : `\\x${byte.toString(16).padStart(2, '0')}`;
}

function describe(record: LogRecord, maxBytes: number): string {
  switch (record.kind) {
    case 'header':
      return describeHeader(record);
    case 'input':
      return `input ${describeInput(record.input, maxBytes)}`;
    case 'output':
      return `output through ${record.through}, ${record.lengthBytes} bytes, digest ${hexBytes(record.digest)}`;
    case 'digest':
      return `digest ${hexBytes(record.digest)}`;
    case 'control':
      return `control ${record.action}`;
    case 'takeover':
      return `takeover generation ${record.generation} by ${quoted(record.by)}, released through ${record.releasedThrough}`;
    case 'joined':
      return `joined ${quoted(record.backup)}, generation ${record.generation}`;
    case 'end':
      return `end ${record.reason}${record.ending === null ? '' : `: ${describeEnding(record.ending)}`}`;
    case 'snapshot':
      return `snapshot part ${record.part + 1} of ${record.parts}, ${record.bytes.length} bytes`;
    default:
      return unreachable(record);
  }
}

function describeHeader(header: Extract<LogRecord, {kind: 'header'}>): string {
  const {config, host} = header;
  const devices = [
    ...config.disks.map(({sizeBytes}) => `disk ${sizeBytes} bytes`),
    ...config.nics.map(({mac}) => `nic ${Array.from(mac, (byte) => byte.toString(16).padStart(2, '0')).join(':')}`),
    ...(config.entropy ? ['entropy'] : []),
  ];
  return [
    `header format ${header.formatVersion}, machine ${header.machineVersion}, ftvm ${quoted(header.ftvmVersion)}`,
    `${config.boot} ${config.ramBytes / 2 ** 20} MiB`,
    `clock ${config.clock} ${config.stepsPerTick} steps a tick`,
    ...devices,
    ...header.artefacts.map(
      ({role, sha256, pathHint}) => `${role} ${quoted(pathHint)} ${hexBytes(sha256, SHORT_DIGEST_BYTES)}`,
    ),
    ...header.disks.map(({sha256, pathHint}) => `base ${quoted(pathHint)} ${hexBytes(sha256, SHORT_DIGEST_BYTES)}`),
    `lineage ${hexBytes(header.lineageId)}`,
    header.arbiter === null ? 'no arbiter' : `arbiter ${quoted(header.arbiter)}`,
    `recorded by ${quoted(host.hostname)} pid ${host.pid}`,
  ].join(', ');
}

function describeInput(input: Input, maxBytes: number): string {
  switch (input.kind) {
    case 'clock':
      return `clock ${input.ticks} ticks, ${input.stepsPerTick} steps a tick`;
    case 'rtc':
      return `rtc offset ${input.offsetNs} ns`;
    case 'console':
      return `console ${input.bytes.length} bytes "${escapeBytes(input.bytes, maxBytes)}"`;
    case 'packet': {
      const lengths = input.frames.map(({length}) => length);
      const total = lengths.reduce((sum, length) => sum + length, 0);
      const first = hexBytes(input.frames[0] ?? new Uint8Array(0), maxBytes);
      return `packet nic ${input.nic}, ${lengths.length} frames, ${total} bytes: ${first}${lengths.length > 1 ? ', …' : ''}`;
    }
    case 'disk':
      return `disk ${input.disk}, ${input.count} completed, ${input.status}`;
    case 'entropy':
      return `entropy ${input.bytes.length} bytes ${hexBytes(input.bytes, maxBytes)}`;
    default:
      return unreachable(input);
  }
}

function describeEnding(ending: Ending): string {
  return ending.kind === 'poweroff' ? `power-off, code ${ending.code}` : 'reset';
}

function inputToJson(input: Input, maxBytes: number): JsonValue {
  switch (input.kind) {
    case 'console': {
      const text = escapeBytes(input.bytes, maxBytes);
      return {kind: input.kind, bytes: {...dataToJson(input.bytes, maxBytes), text}};
    }
    case 'entropy':
      return {kind: input.kind, bytes: dataToJson(input.bytes, maxBytes)};
    case 'packet':
      return {kind: input.kind, nic: input.nic, frames: input.frames.map((frame) => dataToJson(frame, maxBytes))};
    case 'clock':
    case 'rtc':
    case 'disk':
      return toJson(input);
    default:
      return unreachable(input);
  }
}

function dataToJson(bytes: Uint8Array, maxBytes: number): {lengthBytes: number; hex: string} {
  return {lengthBytes: bytes.length, hex: hexBytes(bytes.subarray(0, maxBytes))};
}

/** Any record's field: bigint as a decimal string, byte strings (all of them short) as hexadecimal. */
function toJson(value: unknown): JsonValue {
  if (typeof value === 'bigint') return String(value);
  if (value instanceof Uint8Array) return hexBytes(value);
  if (Array.isArray(value)) return value.map(toJson);
  if (typeof value === 'object' && value !== null) {
    return Object.fromEntries(Object.entries(value).map(([key, field]) => [key, toJson(field)]));
  }
  return value as null | boolean | number | string;
}

/** Text that came from a log, made harmless. */
function quoted(text: string): string {
  return `"${escapeBytes(new TextEncoder().encode(text), Number.POSITIVE_INFINITY)}"`;
}
