// Damage to a log: cut at every byte, every single bit changed, frames missing, repeated, foreign, garbage, zeros. Each ends
// in `torn` or in a named error with an offset; never in silence, another kind of exception, or records that were not written.

import assert from 'node:assert/strict';
import {FtvmError} from '../../src/errors.ts';
import {crc32c} from '../../src/logformat/crc32c.ts';
import {encodeFrame, FRAME_HEADER_BYTES} from '../../src/logformat/frame.ts';
import {FORMAT_VERSION, MAX_PAYLOAD_BYTES, PREAMBLE_BYTES} from '../../src/logformat/limits.ts';
import {type LogEnd, readLog} from '../../src/logformat/log-reader.ts';
import type {LogRecord} from '../../src/logformat/record.ts';
import {concat, LINEAGE_ID, makeLog, SAMPLE_HEADER, SAMPLE_RECORDS} from '../logformat/sample-log.ts';

const {bytes: LOG, ends: ENDS} = makeLog();

describe('a damaged log', () => {
  it('undamaged, is whole', () => {
    const {frames, end} = readLog(LOG);
    assert.deepEqual(end, {kind: 'whole'});
    assert.deepEqual(
      frames.flatMap((frame) => frame.records),
      SAMPLE_RECORDS,
    );
  });

  it('cut at every byte, is torn and good to its last whole frame', () => {
    for (let length = 0; length < LOG.length; length++) {
      const {frames, end} = readLog(LOG.subarray(0, length));
      const wholeFrames = Math.max(ENDS.filter((offset) => offset <= length).length - 1, 0);
      const goodBytes = length < PREAMBLE_BYTES ? 0 : ENDS[wholeFrames];
      assert.equal(frames.length, wholeFrames, `cut at ${length}`);
      assert.equal(end.kind, 'torn', `cut at ${length}`);
      const torn = end as Extract<LogEnd, {kind: 'torn'}>;
      assert.equal(torn.offset, BigInt(goodBytes), `cut at ${length}`);
      assert.equal(torn.tailBytes, length - goodBytes, `cut at ${length}`);
      assert.deepEqual(
        frames.flatMap((frame) => frame.records),
        SAMPLE_RECORDS.slice(0, wholeFrames * 4),
      );
    }
  });

  it('cut at every byte and filled up with zeros, is torn', () => {
    for (let length = 1; length < LOG.length; length++) {
      for (const zeros of [0, 1, 47, 48, 512, 5000]) {
        const size = Math.max(LOG.length, length + zeros);
        const damaged = new Uint8Array(size);
        damaged.set(LOG.subarray(0, length));
        if (length < PREAMBLE_BYTES) {
          // Without a preamble there is nothing to be good up to.
          assertNamed(damaged, `zeros from ${length}`);
        } else {
          const {end} = readLog(damaged);
          assert.equal(end.kind, 'torn', `zeros from ${length} to ${size}`);
          const goodBytes = ENDS.filter((offset) => offset <= length).at(-1)!;
          assert.equal((end as {offset: bigint}).offset, BigInt(goodBytes), `zeros from ${length} to ${size}`);
          assert.equal((end as {tailBytes: number}).tailBytes, size - goodBytes, `zeros from ${length} to ${size}`);
        }
      }
    }
  });

  it('with any single bit changed, is refused by name and offset', () => {
    const damaged = LOG.slice();
    for (let bit = 0; bit < LOG.length * 8; bit++) {
      damaged[bit >> 3] ^= 1 << (bit & 7);
      const error = assertNamed(damaged, `bit ${bit & 7} of byte ${bit >> 3}`);
      assert.equal(error.code, bit >> 3 < 8 ? 'notALog' : 'corrupt', `bit ${bit & 7} of byte ${bit >> 3}`);
      const frameStart = ENDS.filter((offset) => offset <= bit >> 3).at(-1) ?? 0;
      const frameEnd = ENDS.find((offset) => offset > bit >> 3)!;
      const offset = Number(error.details['offset']);
      assert.ok(offset >= frameStart && offset < frameEnd, `bit of byte ${bit >> 3} reported at ${offset}`);
      damaged[bit >> 3] ^= 1 << (bit & 7);
    }
  });

  it('with any single byte set to zero, is refused or unchanged', () => {
    for (let index = 0; index < LOG.length; index++) {
      if (LOG[index] === 0) continue;
      const damaged = LOG.slice();
      damaged[index] = 0;
      // The closing byte of the last frame alone is what a crash could have left.
      if (index === LOG.length - 1) assert.equal(readLog(damaged).end.kind, 'torn');
      else assertNamed(damaged, `byte ${index} zero`);
    }
  });

  it('with a frame missing in the middle, repeated, or two exchanged, is corrupt there', () => {
    const parts = frameParts(LOG, ENDS);
    for (let index = 1; index < parts.length - 1; index++) {
      const missing = assertNamed(concat(parts.toSpliced(index, 1)), `without part ${index}`);
      assert.equal(missing.details['offset'], BigInt(ENDS[index - 1]));
      const repeated = assertNamed(concat(parts.toSpliced(index, 0, parts[index])), `part ${index} twice`);
      assert.equal(repeated.details['offset'], BigInt(ENDS[index]));
      if (index + 1 < parts.length) {
        const exchanged = parts.toSpliced(index, 2, parts[index + 1], parts[index]);
        assertNamed(concat(exchanged), `part ${index} after ${index + 1}`);
      }
    }
  });

  it('with a frame of another lineage in it, is corrupt there', () => {
    const otherLineage = LINEAGE_ID.map((byte) => byte ^ 0xff);
    const records = [{...SAMPLE_HEADER, lineageId: otherLineage}, ...SAMPLE_RECORDS.slice(1)];
    const other = makeLog(records, {lineageId: otherLineage});
    const [ours, theirs] = [frameParts(LOG, ENDS), frameParts(other.bytes, other.ends)];
    for (let index = 1; index < ours.length; index++) {
      const error = assertNamed(concat(ours.toSpliced(index, 1, theirs[index])), `part ${index} of another lineage`);
      assert.equal(error.code, 'corrupt');
      assert.equal(error.details['offset'], BigInt(ENDS[index - 1]));
      assert.match(error.message, /running hash/);
    }
  });

  it("with another lineage's header in frames that follow each other, is corrupt", () => {
    const other = {...SAMPLE_HEADER, lineageId: LINEAGE_ID.map((byte) => byte ^ 1)};
    const error = assertNamed(makeLog([other]).bytes, 'header of another lineage');
    assert.match(error.message, /lineage/);
  });

  it('with garbage after it, is corrupt, and torn where the garbage is shorter than a header', () => {
    const open = makeLog(SAMPLE_RECORDS.slice(0, 8));
    for (const length of [1, 47, 48, 49, 1000]) {
      const garbage = Uint8Array.from({length}, (_, index) => (index * 167 + 13) & 0xff || 1);
      const damaged = concat([open.bytes, garbage]);
      if (length < FRAME_HEADER_BYTES) assert.equal(readLog(damaged).end.kind, 'torn');
      else
        assert.equal(assertNamed(damaged, `${length} bytes of garbage`).details['offset'], BigInt(open.bytes.length));
    }
  });

  it('with zeros after it and then something else, is corrupt', () => {
    const damaged = concat([LOG.subarray(0, ENDS[1] + 20), new Uint8Array(4096), Uint8Array.of(1)]);
    assert.equal(assertNamed(damaged, 'zeros, then a byte').details['offset'], BigInt(ENDS[1]));
  });

  it("with a frame after the guest's end, is corrupt", () => {
    const frame = foreignFrame([SAMPLE_RECORDS[1]]);
    assertNamed(concat([LOG, frame]), 'a frame after the end');
  });

  it('with a length beyond the limit, is corrupt before memory is taken', () => {
    const frame = encodeFrame([new Uint8Array(100)], {
      firstOrdinal: 1n,
      releasedThrough: 0n,
      previousHash: LINEAGE_ID,
    });
    for (const lengthBytes of [0, MAX_PAYLOAD_BYTES + 1, 2 ** 32 - 1]) {
      const damaged = concat([
        LOG.subarray(0, PREAMBLE_BYTES),
        resealed(frame, (view) => view.setUint32(4, lengthBytes, true)),
      ]);
      const error = assertNamed(damaged, `a payload of ${lengthBytes}`);
      assert.equal(error.details['offset'], BigInt(PREAMBLE_BYTES));
    }
  });

  it('with intact checksums over a malformed payload, is corrupt at the record', () => {
    const cases: [string, number[]][] = [
      ['no array', [0x01]],
      ['an empty array', [0x80]],
      ['an unknown code', [0x82, 0x0f, 0x00]],
      ['a reserved code', [0x84, 0x08, 0x00, 0x00, 0x00]],
      ['a float', [0x82, 0x10, 0xfb, 0, 0, 0, 0, 0, 0, 0, 0]],
      ['a map', [0xa1, 0x01, 0x01]],
      ['a tag', [0xc0, 0x82, 0x10, 0x00]],
      ['true', [0xf5]],
      ['an indefinite array', [0x9f, 0x10, 0x00, 0xff]],
      ['an integer not in its shortest form', [0x82, 0x18, 0x10, 0x00]],
      ['a huge array', [0x9b, 0x00, 0x00, 0x00, 0x01, 0x00, 0x00, 0x00, 0x00]],
      ['a huge byte string', [0x83, 0x12, 0x00, 0x5b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]],
      ['a deep nest', [...Array(60).fill(0x81), 0x00]],
      ['bytes after the last record', [0x83, 0x12, 0x00, 0x41, 0x61, 0x00]],
      ['an empty console input', [0x83, 0x12, 0x00, 0x40]],
      ['a header in the middle', [0x82, 0x00, 0x00]],
      ['a step overflow', [0x83, 0x12, 0x1b, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x41, 0x61]],
      ['a negative step', [0x83, 0x12, 0x20, 0x41, 0x61]],
      ['text instead of bytes', [0x83, 0x12, 0x00, 0x61, 0x61]],
      ['a field too many', [0x84, 0x12, 0x00, 0x41, 0x61, 0x00]],
      ['an unfinished end', [0x84, 0x06, 0x00, 0x00, 0xf6]],
      ['text that is no UTF-8', [0x85, 0x04, 0x00, 0x01, 0x61, 0xff, 0x00]],
    ];
    const open = makeLog(SAMPLE_RECORDS.slice(0, 3));
    for (const [what, payload] of cases) {
      const {end} = readLog(open.bytes);
      assert.equal(end.kind, 'torn');
      const frame = rawFrame(open, payload);
      const error = assertNamed(concat([open.bytes, frame]), what);
      assert.equal(error.code, 'corrupt', what);
      assert.ok(Number(error.details['offset']) >= open.bytes.length + FRAME_HEADER_BYTES, what);
    }
    // The canary: the same frame around a good record is read.
    const good = readLog(concat([open.bytes, rawFrame(open, [0x83, 0x12, 0x00, 0x41, 0x61])]));
    assert.equal(good.frames.length, 2);
  });

  it('that is no log at all, is refused', () => {
    for (const content of ['\x7fELF\x02\x01\x01', 'hello, world\n'.repeat(100), '{"a":1}', '\0'.repeat(4096), '\0']) {
      const error = assertNamed(new TextEncoder().encode(content), content.slice(0, 10));
      assert.equal(error.code, 'notALog');
    }
    const {frames, end} = readLog(new Uint8Array(0));
    assert.deepEqual(frames, []);
    assert.deepEqual(end, {kind: 'torn', offset: 0n, tailBytes: 0, reason: 'partialPreamble'});
  });

  it('of another format version, names both versions', () => {
    const other = LOG.slice();
    const version = FORMAT_VERSION + 1;
    other[8] = version;
    new DataView(other.buffer).setUint32(76, crc32c(other.subarray(0, 76)), true);
    const error = assertNamed(other, 'another version');
    assert.equal(error.code, 'mismatchedVersion');
    assert.ok(
      error.message.includes(`version ${version}`) && error.message.includes(`reads ${FORMAT_VERSION}`),
      error.message,
    );
  });
});

/** Reads `damaged`, which must be refused with an FtvmError that names an offset or both versions. */
function assertNamed(damaged: Uint8Array, what: string): FtvmError {
  try {
    const {end} = readLog(damaged);
    if (end.kind === 'torn' && end.reason === 'partialPreamble') {
      return new FtvmError('torn', 'partial preamble', {details: {offset: end.offset}});
    }
    assert.fail(`${what}: read without an error, ${end.kind}`);
  } catch (error) {
    assert.ok(error instanceof FtvmError, `${what}: ${String(error)}`);
    assert.ok(error.hint, `${what}: no hint`);
    if (error.code === 'corrupt') assert.match(error.message, /at byte \d+/, what);
    return error;
  }
}

function frameParts(bytes: Uint8Array, ends: readonly number[]): Uint8Array[] {
  return ends.map((end, index) => bytes.slice(index === 0 ? 0 : ends[index - 1], end));
}

/** A frame around `records`, following LOG. */
function foreignFrame(records: readonly LogRecord[]): Uint8Array {
  const {frames} = readLog(LOG);
  const last = frames.at(-1)!.end;
  const payload = records.map(() => Uint8Array.of(0x83, 0x12, 0x00, 0x41, 0x61));
  return encodeFrame(payload, {
    firstOrdinal: last.ordinal + 1n,
    releasedThrough: last.releasedThrough,
    previousHash: last.hash,
  });
}

/** A frame with intact checksums around any bytes, following `log`, counted as one record. */
function rawFrame(log: {bytes: Uint8Array}, payload: readonly number[]): Uint8Array {
  const last = readLog(log.bytes).frames.at(-1)!.end;
  return encodeFrame([Uint8Array.from(payload)], {
    firstOrdinal: last.ordinal + 1n,
    releasedThrough: last.releasedThrough,
    previousHash: last.hash,
  });
}

/** `frame` changed by `change`, its header's CRC made right again. */
function resealed(frame: Uint8Array, change: (view: DataView) => void): Uint8Array {
  const copy = frame.slice();
  const view = new DataView(copy.buffer);
  change(view);
  view.setUint32(44, crc32c(copy.subarray(0, 44)), true);
  return copy;
}
