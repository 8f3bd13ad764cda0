// Random damage to random logs: bits changed, ranges cut out, repeated, overwritten, inserted. The reader may refuse, in the
// proper form, or stop early; it never gives a record that was not written there. A canary proves that this would be seen.

import assert from 'node:assert/strict';
import fc from 'fast-check';
import {FtvmError} from '../../src/errors.ts';
import {LogReader} from '../../src/logformat/log-reader.ts';
import type {LogRecord} from '../../src/logformat/record.ts';
import {anyHeader, anyLog, SEED} from '../logformat/arbitrary-records.ts';
import {concat, makeLog} from '../logformat/sample-log.ts';

type Damage = {kind: 'flip' | 'cut' | 'repeat' | 'overwrite' | 'insert'; at: number; length: number; bytes: Uint8Array};

const damage: fc.Arbitrary<Damage> = fc.record({
  kind: fc.constantFrom('flip' as const, 'cut' as const, 'repeat' as const, 'overwrite' as const, 'insert' as const),
  at: fc.nat(1 << 20),
  length: fc.oneof(fc.integer({min: 1, max: 4}), fc.integer({min: 1, max: 200})),
  bytes: fc.oneof(fc.uint8Array({minLength: 1, maxLength: 60}), fc.constant(new Uint8Array(60))),
});

describe(`a log with random damage, seed ${SEED}`, () => {
  it('gives no record that was not written', () => {
    const seen = {refused: 0, torn: 0};
    fc.assert(
      fc.property(
        anyLog,
        fc.integer({min: 1, max: 5}),
        fc.array(damage, {minLength: 1, maxLength: 3}),
        fc.integer({min: 1, max: 300}),
        (records, perFrame, damages, pieceBytes) => {
          const bytes = damages.reduce(applyDamage, makeLog(records, {perFrame}).bytes);
          const {verdict, records: read} = readInPieces(bytes, pieceBytes);
          assertPrefix(read, records);
          if (verdict === 'torn') seen.torn++;
          if (verdict === 'refused') seen.refused++;
        },
      ),
      {seed: SEED, numRuns: 1000},
    );
    assert.ok(seen.refused > 200, `refused ${seen.refused}`);
  });

  it('would be found out if it did', () => {
    const [header] = fc.sample(anyHeader, {seed: SEED, numRuns: 1});
    const forged = makeLog([{...header, ftvmVersion: `${header.ftvmVersion}!`}]).bytes;
    assert.throws(() => assertPrefix(readInPieces(forged, 50).records, [header]), assert.AssertionError);
  });
});

function applyDamage(bytes: Uint8Array, {kind, at, length, bytes: other}: Damage): Uint8Array {
  const start = at % Math.max(bytes.length, 1);
  const end = Math.min(start + length, bytes.length);
  const [before, range, after] = [bytes.subarray(0, start), bytes.slice(start, end), bytes.subarray(end)];
  switch (kind) {
    case 'flip':
      if (range.length > 0) range[0] ^= 1 << (length & 7);
      return concat([before, range, after]);
    case 'cut':
      return concat([before, after]);
    case 'repeat':
      return concat([before, range, range, after]);
    case 'overwrite':
      range.set(other.subarray(0, range.length));
      return concat([before, range, after]);
    case 'insert':
      return concat([before, other, range, after]);
  }
}

function readInPieces(
  bytes: Uint8Array,
  pieceBytes: number,
): {verdict: 'whole' | 'torn' | 'refused'; records: LogRecord[]} {
  const reader = new LogReader();
  const records: LogRecord[] = [];
  try {
    for (let start = 0; start < bytes.length; start += pieceBytes) {
      reader.push(bytes.subarray(start, start + pieceBytes));
      for (let frame = reader.next(); frame !== undefined; frame = reader.next()) records.push(...frame.records);
    }
    return {verdict: reader.end().kind, records};
  } catch (error) {
    assert.ok(error instanceof FtvmError, String(error));
    assert.ok(error.code === 'corrupt' || error.code === 'notALog', error.code);
    return {verdict: 'refused', records};
  }
}

function assertPrefix(read: readonly LogRecord[], written: readonly LogRecord[]): void {
  assert.deepEqual(read, written.slice(0, read.length));
}
