// Random records of every kind, within the format's limits, for fast-check.

import fc from 'fast-check';
import type {MachineConfig} from '../../src/emulator/config.ts';
import type {Input} from '../../src/emulator/input.ts';
import {FORMAT_VERSION} from '../../src/logformat/limits.ts';
import type {LogRecord} from '../../src/logformat/record.ts';
import {LINEAGE_ID} from './sample-log.ts';

/** FTVM_SEED repeats a run. */
export const SEED = Number(process.env.FTVM_SEED ?? Math.floor(Math.random() * 2 ** 31));

/** Integers at the edges of CBOR's sizes as well as anywhere. */
const edges = [
  0n,
  23n,
  24n,
  255n,
  256n,
  65_535n,
  65_536n,
  2n ** 31n,
  2n ** 32n - 1n,
  2n ** 32n,
  2n ** 53n,
  2n ** 63n - 1n,
];
const u63 = fc.oneof(fc.constantFrom(...edges), fc.bigInt(0n, 2n ** 63n - 1n));
const u53 = fc.oneof(fc.constantFrom(0, 2 ** 32 - 1, 2 ** 32, Number.MAX_SAFE_INTEGER), fc.maxSafeNat());
const u32 = fc.oneof(fc.constantFrom(0, 23, 24, 255, 256, 65_536, 2 ** 31, 2 ** 32 - 1), fc.nat(2 ** 32 - 1));
const positive = u32.map((value) => Math.max(value, 1));
const bytes = (minLength: number, maxLength: number) => fc.uint8Array({minLength, maxLength});
const text = fc.string({unit: 'grapheme', maxLength: 30});
const sha256 = bytes(32, 32);

const config: fc.Arbitrary<MachineConfig> = fc.record({
  ramBytes: fc.integer({min: 1, max: 2047}).map((count) => count * 2 ** 21),
  boot: fc.constantFrom('elf' as const, 'linux' as const),
  commandLine: text,
  epochNs: u63,
  rngSeed: sha256,
  stepsPerTick: positive,
  clock: fc.constantFrom('real' as const, 'virtual' as const),
  disks: fc.array(fc.record({sizeBytes: u53}), {maxLength: 8}),
  nics: fc.array(fc.record({mac: bytes(6, 6)}), {maxLength: 8}),
  entropy: fc.boolean(),
  reboot: fc.boolean(),
});

export const anyHeader: fc.Arbitrary<Extract<LogRecord, {kind: 'header'}>> = fc
  .record({
    machineVersion: u32,
    ftvmVersion: text,
    config,
    artefacts: fc.array(
      fc.record({
        role: fc.constantFrom('kernel' as const, 'firmware' as const, 'initrd' as const),
        sha256,
        sizeBytes: u53,
        pathHint: text,
      }),
      {maxLength: 3},
    ),
    arbiter: fc.option(text),
    host: fc.record({hostname: text, bootId: text, pid: u32}),
    controlSocket: fc.option(text),
    pathHint: text,
    digest: sha256,
  })
  .map(({pathHint, digest, ...rest}) => ({
    ...rest,
    kind: 'header' as const,
    position: 0n,
    formatVersion: FORMAT_VERSION,
    lineageId: LINEAGE_ID,
    disks: rest.config.disks.map(({sizeBytes}) => ({sha256: digest, sizeBytes, pathHint})),
  }));

const input: fc.Arbitrary<Input> = fc.oneof(
  fc.record({kind: fc.constant('clock' as const), ticks: u63, stepsPerTick: positive}),
  fc.record({
    kind: fc.constant('rtc' as const),
    offsetNs: fc.oneof(
      fc.constantFrom(
        -(2n ** 63n),
        -(2n ** 32n) - 1n,
        -(2n ** 32n),
        -(2n ** 31n) - 1n,
        -(2n ** 31n),
        -1n,
        2n ** 63n - 1n,
      ),
      fc.bigInt(-(2n ** 63n), 2n ** 63n - 1n),
    ),
  }),
  fc.record({kind: fc.constant('console' as const), bytes: bytes(1, 300)}),
  fc.record({
    kind: fc.constant('packet' as const),
    nic: fc.nat(7),
    frames: fc.array(bytes(1, 100), {minLength: 1, maxLength: 40}),
  }),
  fc.record({
    kind: fc.constant('disk' as const),
    disk: fc.nat(7),
    count: fc.integer({min: 1, max: 32_768}),
    status: fc.constantFrom('ok' as const, 'ioError' as const),
  }),
  fc.record({kind: fc.constant('entropy' as const), bytes: bytes(1, 64)}),
);

/** Any record that may stand behind the header; `position` is its step difference, to be summed up by `atPositions`. */
const anyBody: fc.Arbitrary<LogRecord> = fc.oneof(
  fc.record({kind: fc.constant('input' as const), position: u63, input}),
  fc.record({
    kind: fc.constant('output' as const),
    position: u63,
    through: u63,
    lengthBytes: u53,
    digest: bytes(16, 16),
  }),
  fc.record({kind: fc.constant('digest' as const), position: u63, digest: bytes(16, 32)}),
  fc.record({
    kind: fc.constant('control' as const),
    position: u63,
    action: fc.constantFrom(
      'pause' as const,
      'resume' as const,
      'powerOff' as const,
      'snapshot' as const,
      'quiesce' as const,
      'promote' as const,
    ),
  }),
  fc.record({
    kind: fc.constant('takeover' as const),
    position: u63,
    generation: positive,
    by: text,
    releasedThrough: u63,
  }),
  fc.record({kind: fc.constant('joined' as const), position: u63, generation: positive, backup: text}),
  fc.record({
    kind: fc.constant('end' as const),
    position: u63,
    reason: fc.constantFrom('stopped' as const, 'handedOver' as const, 'superseded' as const),
    ending: fc.constant(null),
  }),
  fc.record({
    kind: fc.constant('snapshot' as const),
    position: u63,
    part: fc.constant(3),
    parts: fc.constantFrom(4, 2 ** 32 - 1),
    bytes: bytes(1, 100),
  }),
);

const anyEnd: fc.Arbitrary<LogRecord> = fc.record({
  kind: fc.constant('end' as const),
  position: u63,
  reason: fc.constant('halted' as const),
  ending: fc.oneof(
    fc.record({kind: fc.constant('poweroff' as const), code: u32}),
    fc.constant({kind: 'reset' as const}),
  ),
});

/** A whole log: a header, any records at ascending positions, and perhaps the guest's end. */
export const anyLog: fc.Arbitrary<LogRecord[]> = fc
  .tuple(anyHeader, fc.array(anyBody, {maxLength: 30}), fc.option(anyEnd))
  .map(([header, bodies, end]) => {
    const records = [header, ...atPositions(end === null ? bodies : [...bodies, end])];
    // fast-check makes objects without a prototype, which deepEqual tells from those that a reader makes.
    return structuredClone(records);
  });

/** The differences in `position` summed up, as far as positions reach. */
function atPositions(records: readonly LogRecord[]): LogRecord[] {
  const largest = 2n ** 63n - 1n;
  let position = 0n;
  return records.map((record) => {
    position = position + record.position > largest ? position : position + record.position;
    return {...record, position};
  });
}
