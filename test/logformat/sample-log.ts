// A short log that holds every kind of record and every kind of input, for the tests of the format.

import {FORMAT_VERSION} from '../../src/logformat/limits.ts';
import {LogWriter} from '../../src/logformat/log-writer.ts';
import {encodePreamble} from '../../src/logformat/preamble.ts';
import type {LogRecord} from '../../src/logformat/record.ts';
import {startOfLineage} from '../../src/logformat/stream-point.ts';

export const LINEAGE_ID = Uint8Array.from({length: 16}, (_, index) => 0xa0 + index);

/** `length` bytes that differ from each other, and from a run of zeros. */
export function ramp(length: number, first = 1): Uint8Array {
  return Uint8Array.from({length}, (_, index) => (first + index) & 0xff);
}

export const SAMPLE_HEADER: Extract<LogRecord, {kind: 'header'}> = {
  kind: 'header',
  position: 0n,
  formatVersion: FORMAT_VERSION,
  machineVersion: 1,
  ftvmVersion: '0.1.0',
  config: {
    ramBytes: 2 ** 32 - 2 ** 21,
    boot: 'linux',
    commandLine: 'console=ttyS0',
    epochNs: 1_767_225_600_000_000_000n,
    rngSeed: ramp(32),
    stepsPerTick: 20,
    clock: 'real',
    disks: [{sizeBytes: 64 * 1024 * 1024}],
    nics: [{mac: Uint8Array.of(0x52, 0x54, 0, 0x12, 0x34, 0x56)}],
    entropy: true,
    reboot: false,
  },
  artefacts: [
    {role: 'firmware', sha256: ramp(32, 3), sizeBytes: 273_000, pathHint: '/guests/fw_dynamic.bin'},
    {role: 'kernel', sha256: ramp(32, 5), sizeBytes: 31_000_000, pathHint: '/guests/Image'},
  ],
  disks: [{sha256: ramp(32, 9), sizeBytes: 64 * 1024 * 1024, pathHint: 'disk.img'}],
  lineageId: LINEAGE_ID,
  arbiter: 'dir:/var/lib/ftvm',
  host: {hostname: 'alpha', bootId: '2f1c', pid: 4711},
  controlSocket: null,
};

/** Every kind, in an order that a session could have written. */
export const SAMPLE_RECORDS: readonly LogRecord[] = [
  SAMPLE_HEADER,
  {kind: 'input', position: 0n, input: {kind: 'clock', ticks: 12n, stepsPerTick: 25}},
  {kind: 'input', position: 1000n, input: {kind: 'console', bytes: ramp(3, 0x61)}},
  {kind: 'output', position: 70_000n, through: 14n, lengthBytes: 14, digest: ramp(16, 0x40)},
  {kind: 'input', position: 70_000n, input: {kind: 'packet', nic: 0, frames: [ramp(14), ramp(15, 0x31)]}},
  {kind: 'input', position: 5_000_000_000n, input: {kind: 'disk', disk: 0, count: 3, status: 'ioError'}},
  {kind: 'input', position: 5_000_000_000n, input: {kind: 'entropy', bytes: ramp(8, 0x90)}},
  {kind: 'input', position: 5_000_000_001n, input: {kind: 'rtc', offsetNs: -3_000_000_000n}},
  {kind: 'digest', position: 6_000_000_000n, digest: ramp(32, 0x20)},
  {kind: 'joined', position: 6_000_000_000n, generation: 1, backup: 'beta'},
  {kind: 'control', position: 6_000_000_000n, action: 'pause'},
  {kind: 'control', position: 6_000_000_000n, action: 'quiesce'},
  {kind: 'end', position: 6_000_000_010n, reason: 'handedOver', ending: null},
  {kind: 'takeover', position: 6_000_000_010n, generation: 2, by: 'beta', releasedThrough: 14n},
  {kind: 'snapshot', position: 6_000_000_010n, part: 0, parts: 1, bytes: ramp(40)},
  {kind: 'end', position: 2n ** 62n, reason: 'halted', ending: {kind: 'poweroff', code: 7}},
];

/** A log file of `records`, cut into frames of `perFrame`, and the file offset at which each frame ends (first: the preamble). */
export function makeLog(
  records: readonly LogRecord[] = SAMPLE_RECORDS,
  {perFrame = 4, lineageId = LINEAGE_ID}: {perFrame?: number; lineageId?: Uint8Array} = {},
): {bytes: Uint8Array; ends: number[]} {
  const start = startOfLineage(lineageId);
  const writer = new LogWriter(start);
  const parts: Uint8Array[] = [encodePreamble({startsWith: 'powerOn', point: start})];
  records.forEach((record, index) => {
    writer.append(record);
    if (writer.pendingRecords === perFrame || index === records.length - 1) {
      parts.push(writer.takeFrame({releasedThrough: BigInt(index)})!);
    }
  });
  const ends: number[] = [];
  for (const part of parts) ends.push((ends.at(-1) ?? 0) + part.length);
  return {bytes: concat(parts), ends};
}

export function concat(parts: readonly Uint8Array[]): Uint8Array {
  return new Uint8Array(Buffer.concat(parts));
}
