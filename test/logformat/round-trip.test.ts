// What is written is read: any records, cut into frames and into pieces in any way, carried on by another writer.

import assert from 'node:assert/strict';
import fc from 'fast-check';
import {PAGE_BYTES} from '../../src/emulator/paged-memory.ts';
import {AssertionError, FtvmError} from '../../src/errors.ts';
import {crc32c} from '../../src/logformat/crc32c.ts';
import {FRAME_OVERHEAD_BYTES} from '../../src/logformat/frame.ts';
import {MAX_PAYLOAD_BYTES, STATE_PAGE_BYTES} from '../../src/logformat/limits.ts';
import {type LogFrame, LogReader, readLog} from '../../src/logformat/log-reader.ts';
import {LogWriter} from '../../src/logformat/log-writer.ts';
import {encodePreamble} from '../../src/logformat/preamble.ts';
import type {LogRecord} from '../../src/logformat/record.ts';
import {encodeRecord} from '../../src/logformat/record-codec.ts';
import {murmur3x86x128} from '../../src/logformat/running-hash.ts';
import {type StreamPoint, startOfLineage} from '../../src/logformat/stream-point.ts';
import {anyLog, SEED} from './arbitrary-records.ts';
import {concat, LINEAGE_ID, makeLog, ramp, SAMPLE_HEADER, SAMPLE_RECORDS} from './sample-log.ts';

describe(`the log, written and read, seed ${SEED}`, () => {
  it('gives back any records, however cut into frames', () => {
    fc.assert(
      fc.property(anyLog, fc.integer({min: 1, max: 10}), (records, perFrame) => {
        const {bytes} = makeLog(records, {perFrame});
        const {frames, end} = readLog(bytes);
        assert.deepEqual(
          frames.flatMap((frame) => frame.records),
          records,
        );
        const last = records.at(-1)!;
        assert.equal(end.kind, last.kind === 'end' ? 'whole' : 'torn');
        let ordinal = 1n;
        for (const frame of frames) {
          assert.equal(frame.firstOrdinal, ordinal);
          ordinal += BigInt(frame.records.length);
        }
        // One encoding only: what was read is written as the same bytes.
        assert.deepEqual(
          makeLog(
            frames.flatMap((frame) => frame.records),
            {perFrame},
          ).bytes,
          bytes,
        );
      }),
      {seed: SEED, numRuns: 200},
    );
  });

  it('gives back the same frames, however cut into pieces', () => {
    const {bytes} = makeLog();
    const whole = readLog(bytes);
    for (const pieceBytes of [1, 2, 3, 7, 48, 49, 50, 100, 1000]) {
      const reader = new LogReader();
      const frames: LogFrame[] = [];
      const piece = new Uint8Array(pieceBytes);
      for (let start = 0; start < bytes.length; start += pieceBytes) {
        const part = bytes.subarray(start, start + pieceBytes);
        piece.set(part);
        reader.push(piece.subarray(0, part.length));
        for (let frame = reader.next(); frame !== undefined; frame = reader.next()) frames.push(frame);
        // The reader keeps a copy: its caller's buffer is free again.
        piece.fill(0xff);
      }
      assert.deepEqual(frames, whole.frames);
      assert.deepEqual(reader.end(), {kind: 'whole'});
    }
  });

  it('gives byte strings that alias nothing', () => {
    const {bytes} = makeLog();
    const {frames} = readLog(bytes);
    const before = structuredClone(frames);
    bytes.fill(0);
    assert.deepEqual(frames, before);
    for (const record of frames.flatMap((frame) => frame.records)) {
      if (record.kind === 'digest') assert.equal(record.digest.constructor, Uint8Array);
    }
  });

  it('is carried on by another writer where it was torn', () => {
    const {bytes, ends} = makeLog(SAMPLE_RECORDS.slice(0, 12), {perFrame: 3});
    const torn = bytes.subarray(0, ends[2] + 20);
    const {frames, end} = readLog(torn);
    assert.equal(end.kind, 'torn');
    const point = frames.at(-1)!.end;
    const writer = new LogWriter(point);
    const takeover: LogRecord = {
      kind: 'takeover',
      position: point.position,
      generation: 2,
      by: 'beta',
      releasedThrough: 5n,
    };
    assert.equal(writer.append(takeover), 7n);
    const continued = concat([torn.subarray(0, Number(point.offset)), writer.takeFrame({releasedThrough: 5n})!]);
    const records = readLog(continued).frames.flatMap((frame) => frame.records);
    assert.deepEqual(records, [...SAMPLE_RECORDS.slice(0, 6), takeover]);
    // The canary: a writer that carries on from another point does not fit.
    const other = new LogWriter(frames[0].end);
    other.append(takeover);
    const wrong = concat([torn.subarray(0, Number(point.offset)), other.takeFrame({releasedThrough: 5n})!]);
    assert.throws(() => readLog(wrong), FtvmError);
  });

  it('is read from any frame on, given the point before it', () => {
    const {bytes} = makeLog();
    const {frames} = readLog(bytes);
    frames.forEach((frame, index) => {
      const reader = new LogReader({from: frame.end});
      reader.push(bytes.subarray(Number(frame.end.offset)));
      const rest: LogFrame[] = [];
      for (let next = reader.next(); next !== undefined; next = reader.next()) rest.push(next);
      assert.deepEqual(rest, frames.slice(index + 1));
      assert.deepEqual(reader.end(), {kind: 'whole'});
    });
  });

  it('states the range that a file holds', () => {
    const {bytes} = makeLog();
    const {frames, preamble} = readLog(bytes);
    assert.deepEqual(preamble, {startsWith: 'powerOn', point: startOfLineage(LINEAGE_ID)});
    const point: StreamPoint = {...frames[1].end, releasedThrough: 0n, ended: 'no'};
    const segment = concat([
      encodePreamble({startsWith: 'snapshot', point}),
      bytes.subarray(Number(frames[1].end.offset)),
    ]);
    const read = readLog(segment);
    assert.deepEqual(read.preamble, {startsWith: 'snapshot', point});
    assert.deepEqual(read.frames, frames.slice(2));
  });

  it('splits what exceeds a frame', () => {
    const writer = new LogWriter(startOfLineage(LINEAGE_ID));
    writer.append(SAMPLE_HEADER);
    for (let index = 0; index < 70; index++) {
      writer.append({kind: 'input', position: 5n, input: {kind: 'console', bytes: new Uint8Array(65_536)}});
    }
    const reader = new LogReader({from: startOfLineage(LINEAGE_ID)});
    const lengths: number[] = [];
    for (;;) {
      const frame = writer.takeFrame({releasedThrough: 0n});
      if (frame === undefined) break;
      lengths.push(frame.length);
      assert.ok(frame.length <= MAX_PAYLOAD_BYTES + FRAME_OVERHEAD_BYTES);
      reader.push(frame);
      assert.deepEqual(reader.next()!.end, writer.point);
    }
    assert.equal(lengths.length, 3);
    assert.equal(reader.point!.ordinal, 71n);
    assert.equal(writer.pendingBytes, 0);
    assert.equal(writer.pendingRecords, 0);
  });

  it('refuses to write what it would not read', () => {
    const good = SAMPLE_RECORDS[2];
    const bad: [string, unknown][] = [
      ['earlier than the record before', {...good, position: -1n}],
      ['beyond 2^63', {...good, position: 2n ** 63n}],
      ['no bytes', {...good, input: {kind: 'console', bytes: new Uint8Array(0)}}],
      ['too many bytes', {...good, input: {kind: 'console', bytes: new Uint8Array(65_537)}}],
      ['a fraction', {...good, input: {kind: 'clock', ticks: 1n, stepsPerTick: 1.5}}],
      ['no steps a tick', {...good, input: {kind: 'clock', ticks: 1n, stepsPerTick: 0}}],
      ['an unknown status', {...good, input: {kind: 'disk', disk: 0, count: 1, status: 'fine'}}],
      ['half a surrogate pair', {kind: 'joined', position: 5n, generation: 1, backup: '\ud800'}],
      ['an end without its ending', {kind: 'end', position: 5n, reason: 'halted', ending: null}],
    ];
    for (const [what, record] of bad) {
      assert.throws(() => encodeRecord(record as LogRecord, 0n), AssertionError, what);
    }
    encodeRecord(good, 0n);
    const writer = new LogWriter(startOfLineage(LINEAGE_ID));
    assert.throws(() => writer.append(good), /header comes first/);
    writer.append(SAMPLE_HEADER);
    assert.throws(() => writer.append(SAMPLE_HEADER), /header comes first/);
    writer.append(SAMPLE_RECORDS.at(-1)!);
    assert.throws(() => writer.append({...good, position: 2n ** 62n}), /after the guest's end/);
  });

  it('is short', () => {
    const size = (record: LogRecord, previous: bigint) => encodeRecord(record, previous).length;
    const at = 1_000_000_000n;
    const later = at + 50_000_000n;
    // Budgets of the design: about 10 bytes for a key or a clock correction, 200 B/s for an idle guest at one frame a second.
    assert.ok(size({kind: 'input', position: later, input: {kind: 'console', bytes: ramp(1)}}, at) <= 10);
    assert.ok(
      size({kind: 'input', position: later, input: {kind: 'clock', ticks: 30_000_000n, stepsPerTick: 20}}, at) <= 14,
    );
    const idleSecond =
      FRAME_OVERHEAD_BYTES +
      size({kind: 'output', position: later, through: 5000n, lengthBytes: 20, digest: ramp(16)}, at) +
      size({kind: 'digest', position: later, digest: ramp(32)}, later) +
      size({kind: 'input', position: later, input: {kind: 'clock', ticks: 2n ** 40n, stepsPerTick: 20}}, later);
    assert.ok(idleSecond <= 200, `${idleSecond} bytes`);
    assert.ok(size(SAMPLE_HEADER, 0n) < 500);
  });

  it('has the checksums that it says', () => {
    const text = new TextEncoder();
    // RFC 3720, B.4, and the check value of CRC-32/ISCSI.
    assert.equal(crc32c(text.encode('123456789')), 0xe3069283);
    assert.equal(crc32c(new Uint8Array(32)), 0x8a9136aa);
    assert.equal(crc32c(new Uint8Array(32).fill(0xff)), 0x62a8ab43);
    assert.equal(crc32c(text.encode('6789'), crc32c(text.encode('12345'))), 0xe3069283);
    const hash = (input: string) => {
      const view = new DataView(murmur3x86x128(text.encode(input)).buffer);
      return [0, 4, 8, 12].map((offset) => view.getUint32(offset, true).toString(16).padStart(8, '0')).join('');
    };
    assert.equal(hash(''), '00000000000000000000000000000000');
    assert.equal(hash('The quick brown fox jumps over the lazy dog'), '2f1583c3ecee2c675d7bf66ce5e91d2c');
  });

  it('has the page size of the machine', () => {
    assert.equal(STATE_PAGE_BYTES, PAGE_BYTES);
  });
});
