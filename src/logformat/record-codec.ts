// Records to and from CBOR: each is an array [code, step difference, fields…]. The step difference is counted from the
// record before it in the stream. docs/log-format.cddl says the same in RFC 8610; a test validates real logs against it.

import type {Ending, MachineConfig} from '../emulator/config.ts';
import type {Input} from '../emulator/input.ts';
import {assert} from '../errors.ts';
import {decodeItem, encodeItem, itemEnd} from './cbor.ts';
import {
  bigint,
  bytes,
  type CborValue,
  type Field,
  flag,
  list,
  MalformedError,
  nullable,
  oneOf,
  struct,
  text,
  uint,
} from './fields.ts';
import * as limits from './limits.ts';
import type {Artefact, BaseDisk, LogRecord, RecorderHost} from './record.ts';

const UINT32_MAX = 2 ** 32 - 1;
const INT64_MAX = (1n << 63n) - 1n;

const stepDifference = bigint(limits.MAX_U63);
const u63 = bigint(limits.MAX_U63);
const safeUint = uint(Number.MAX_SAFE_INTEGER);
const name = text(0, limits.MAX_NAME_BYTES);
const path = text(0, limits.MAX_PATH_BYTES);
const sha256 = bytes(32, 32);

/** The configuration's fields, in the order in which they are stored; the state file holds the same array. */
export const CONFIG_FIELD: Field<MachineConfig> = struct<MachineConfig>({
  ramBytes: uint(2 ** 32, 1),
  boot: oneOf(['elf', 'linux']),
  commandLine: text(0, limits.MAX_COMMAND_LINE_BYTES),
  epochNs: u63,
  rngSeed: bytes(32, 32),
  stepsPerTick: uint(UINT32_MAX, 1),
  clock: oneOf(['real', 'virtual']),
  disks: list(struct({sizeBytes: safeUint}), limits.MAX_DEVICES),
  nics: list(struct({mac: bytes(6, 6)}), limits.MAX_DEVICES),
  entropy: flag,
  reboot: flag,
});

/** Boot artefacts and base disks, as the header and the state file hold them. */
export const ARTEFACTS_FIELD: Field<Artefact[]> = list(
  struct<Artefact>({role: oneOf(['kernel', 'firmware', 'initrd']), sha256, sizeBytes: safeUint, pathHint: path}),
  limits.MAX_ARTEFACTS,
);

export const BASE_DISKS_FIELD: Field<BaseDisk[]> = list(
  struct<BaseDisk>({sha256, sizeBytes: safeUint, pathHint: path}),
  limits.MAX_DEVICES,
);

/** A power-off's code, or null for a reset. */
const endingField: Field<Ending> = {
  pack: (ending) => (ending.kind === 'poweroff' ? [0, ending.code] : [1]),
  parse(value, fieldName): Ending {
    if (!Array.isArray(value)) throw new MalformedError(`${fieldName} is no array`);
    const kind = uint(1).parse(value[0] ?? null, `${fieldName}.kind`);
    if (value.length !== (kind === 0 ? 2 : 1)) throw new MalformedError(`${fieldName} has ${value.length} fields`);
    return kind === 0
      ? {kind: 'poweroff', code: uint(UINT32_MAX).parse(value[1], `${fieldName}.code`)}
      : {kind: 'reset'};
  },
};

type Shape = {code: number; members: Record<string, Field<never>>};

/** What a kind's fields are; the code is what stands in the log and never changes its meaning. */
function shape<T extends object>(code: number, members: {readonly [K in keyof T]-?: Field<T[K]>}): Shape {
  return {code, members: members as unknown as Record<string, Field<never>>};
}

type Body<K extends LogRecord['kind']> = Omit<Extract<LogRecord, {kind: K}>, 'kind' | 'position'>;
type InputBody<K extends Input['kind']> = Omit<Extract<Input, {kind: K}>, 'kind'>;

const RECORD_SHAPES: {[K in Exclude<LogRecord['kind'], 'input'>]: Shape} = {
  header: shape<Body<'header'>>(0, {
    formatVersion: uint(65_535, 1),
    machineVersion: uint(UINT32_MAX),
    ftvmVersion: name,
    config: CONFIG_FIELD,
    artefacts: ARTEFACTS_FIELD,
    disks: BASE_DISKS_FIELD,
    lineageId: bytes(16, 16),
    arbiter: nullable(path),
    host: struct<RecorderHost>({hostname: name, bootId: name, pid: uint(UINT32_MAX)}),
    controlSocket: nullable(path),
  }),
  output: shape<Body<'output'>>(1, {through: u63, lengthBytes: safeUint, digest: bytes(16, 16)}),
  digest: shape<Body<'digest'>>(2, {digest: bytes(16, 32)}),
  control: shape<Body<'control'>>(3, {
    action: oneOf(['pause', 'resume', 'powerOff', 'snapshot', 'promote', 'quiesce']),
  }),
  takeover: shape<Body<'takeover'>>(4, {generation: uint(UINT32_MAX, 1), by: name, releasedThrough: u63}),
  joined: shape<Body<'joined'>>(5, {generation: uint(UINT32_MAX, 1), backup: name}),
  end: shape<Body<'end'>>(6, {
    reason: oneOf(['halted', 'stopped', 'handedOver', 'superseded']),
    ending: nullable(endingField),
  }),
  snapshot: shape<Body<'snapshot'>>(7, {
    part: uint(UINT32_MAX),
    parts: uint(UINT32_MAX, 1),
    bytes: bytes(1, limits.MAX_SNAPSHOT_PART_BYTES),
  }),
};

/** Inputs have codes of their own instead of a code within a code: a byte less for each. */
const INPUT_SHAPES: {[K in Input['kind']]: Shape} = {
  clock: shape<InputBody<'clock'>>(16, {ticks: u63, stepsPerTick: uint(UINT32_MAX, 1)}),
  rtc: shape<InputBody<'rtc'>>(17, {offsetNs: bigint(INT64_MAX, -INT64_MAX - 1n)}),
  console: shape<InputBody<'console'>>(18, {bytes: bytes(1, limits.MAX_CONSOLE_BYTES)}),
  packet: shape<InputBody<'packet'>>(19, {
    nic: uint(limits.MAX_DEVICES - 1),
    frames: list(bytes(1, limits.MAX_PACKET_BYTES), limits.MAX_INPUT_PACKETS, 1),
  }),
  disk: shape<InputBody<'disk'>>(20, {
    disk: uint(limits.MAX_DEVICES - 1),
    count: uint(limits.MAX_DISK_COMPLETIONS, 1),
    status: oneOf(['ok', 'ioError']),
  }),
  entropy: shape<InputBody<'entropy'>>(21, {bytes: bytes(1, limits.MAX_ENTROPY_BYTES)}),
};

type Decoder = {family: 'record' | 'input'; kind: string; keys: string[]; fields: Field<CborValue>[]};

const DECODERS = makeDecoders();

/** Encodes `record`, which stands at or after `previousPosition`. A record that breaks a limit is the caller's bug. */
export function encodeRecord(record: LogRecord, previousPosition: bigint): Uint8Array {
  const isInput = record.kind === 'input';
  const {code, members} = isInput ? INPUT_SHAPES[record.input.kind] : RECORD_SHAPES[record.kind];
  const body = (isInput ? record.input : record) as unknown as Record<string, never>;
  const items: CborValue[] = [code, record.position - previousPosition];
  for (const key of Object.keys(members)) items.push(members[key].pack(body[key]));
  try {
    parseRecord(items, previousPosition);
  } catch (error) {
    assert(!(error instanceof MalformedError), `record to write: ${(error as Error).message}`);
    throw error;
  }
  const encoded = encodeItem(items);
  assert(encoded.length <= limits.MAX_RECORD_BYTES, `record to write: ${encoded.length} bytes of ${record.kind}`);
  return encoded;
}

/** The record at `start` of `payload`, and where it ends. Throws MalformedError, which names the field. */
export function decodeRecord(
  payload: Uint8Array,
  options: {start: number; previousPosition: bigint},
): {record: LogRecord; end: number} {
  const end = itemEnd(payload, options.start);
  if (end - options.start > limits.MAX_RECORD_BYTES) {
    throw new MalformedError(`a record of ${end - options.start} bytes, at most ${limits.MAX_RECORD_BYTES}`);
  }
  const value = decodeItem(payload, {start: options.start, end});
  return {record: parseRecord(value, options.previousPosition), end};
}

function parseRecord(value: CborValue, previousPosition: bigint): LogRecord {
  if (!Array.isArray(value) || value.length < 2) throw new MalformedError('a record is no array of code and fields');
  const code = value[0];
  const decoder = typeof code === 'number' ? DECODERS.get(code) : undefined;
  if (decoder === undefined) throw new MalformedError(`unknown record code ${String(code)}`);
  const {kind, keys, fields} = decoder;
  const position = previousPosition + stepDifference.parse(value[1], `${kind}.steps`);
  if (position > limits.MAX_U63) throw new MalformedError(`${kind}: position ${position} is beyond 2^63 - 1`);
  if (value.length !== keys.length + 2) {
    throw new MalformedError(`${kind} has ${value.length - 2} fields, ${keys.length} expected`);
  }
  const body: Record<string, unknown> = decoder.family === 'input' ? {kind} : {kind, position};
  for (let index = 0; index < keys.length; index++) {
    body[keys[index]] = fields[index].parse(value[index + 2], `${kind}.${keys[index]}`);
  }
  const record = (decoder.family === 'input' ? {kind: 'input', position, input: body} : body) as LogRecord;
  checkTogether(record);
  return record;
}

/** What single fields cannot tell. */
function checkTogether(record: LogRecord): void {
  if (record.kind === 'header') {
    if (record.position !== 0n) throw new MalformedError(`the header stands at position ${record.position}`);
    const {disks, config} = record;
    if (
      disks.length !== config.disks.length ||
      disks.some((disk, index) => disk.sizeBytes !== config.disks[index].sizeBytes)
    ) {
      throw new MalformedError('header.disks and header.config.disks differ in number or size');
    }
  }
  if (record.kind === 'end' && (record.reason === 'halted') !== (record.ending !== null)) {
    throw new MalformedError(`end: reason ${record.reason} ${record.ending ? 'with' : 'without'} an ending`);
  }
  if (record.kind === 'snapshot' && record.part >= record.parts) {
    throw new MalformedError(`snapshot: part ${record.part} of ${record.parts}`);
  }
}

function makeDecoders(): Map<number, Decoder> {
  const decoders = new Map<number, Decoder>();
  const add = (family: Decoder['family'], kind: string, {code, members}: Shape) => {
    assert(!decoders.has(code), `two kinds of record have the code ${code}`);
    const keys = Object.keys(members);
    decoders.set(code, {family, kind, keys, fields: keys.map((key) => members[key] as unknown as Field<CborValue>)});
  };
  for (const [kind, recordShape] of Object.entries(RECORD_SHAPES)) add('record', kind, recordShape);
  for (const [kind, inputShape] of Object.entries(INPUT_SHAPES)) add('input', kind, inputShape);
  return decoders;
}
