// Records as lines and as JSON: bounded, harmless on a terminal, and stable, because other programs read them.

import assert from 'node:assert/strict';
import fc from 'fast-check';
import {escapeBytes, hexBytes, recordToJson, recordToLine} from '../../src/logformat/records-text.ts';
import {anyLog, SEED} from './arbitrary-records.ts';
import {ramp, SAMPLE_RECORDS} from './sample-log.ts';

describe(`records as text, seed ${SEED}`, () => {
  it('say one thing a line', () => {
    const lines = SAMPLE_RECORDS.slice(1).map((record, index) => recordToLine(record, {ordinal: BigInt(index + 2)}));
    assert.deepEqual(lines.slice(0, 4), [
      '     2  @0             input clock 12 ticks, 25 steps a tick',
      '     3  @1000          input console 3 bytes "abc"',
      '     4  @70000         output through 14, 14 bytes, digest 404142434445464748494a4b4c4d4e4f',
      '     5  @70000         input packet nic 0, 2 frames, 29 bytes: 0102030405060708090a0b0c0d0e, …',
    ]);
    assert.equal(lines.at(-1), '    16  @4611686018427387904  end halted: power-off, code 7');
    assert.match(
      recordToLine(SAMPLE_RECORDS[0], {ordinal: 1n}),
      /^ {5}1 {2}@0 +header format 2, .*linux 4094 MiB.*lineage a0a1a2/,
    );
  });

  it('are JSON whose fields have one type always', () => {
    const json = SAMPLE_RECORDS.map((record, index) => recordToJson(record, {ordinal: BigInt(index + 1)}));
    assert.deepEqual(json[2], {
      ordinal: '3',
      position: '1000',
      kind: 'input',
      input: {kind: 'console', bytes: {lengthBytes: 3, hex: '616263', text: 'abc'}},
    });
    assert.deepEqual(json[3], {
      ordinal: '4',
      position: '70000',
      kind: 'output',
      through: '14',
      lengthBytes: 14,
      digest: '404142434445464748494a4b4c4d4e4f',
    });
    assert.deepEqual(json.at(-1), {
      ordinal: '16',
      position: '4611686018427387904',
      kind: 'end',
      reason: 'halted',
      ending: {kind: 'poweroff', code: 7},
    });
    assert.equal((json[0]['config'] as {epochNs: string}).epochNs, '1767225600000000000');
  });

  it('hold nothing that a terminal would obey, and are bounded', () => {
    assert.equal(escapeBytes(Uint8Array.of(27, 91, 10, 0, 255, 34, 92, 97), 99), '\\e[\\n\\x00\\xff\\"\\\\a');
    assert.equal(escapeBytes(ramp(40, 0x61), 3), 'abc…');
    assert.equal(hexBytes(ramp(4), 2), '0102…');
    fc.assert(
      fc.property(anyLog, (records) => {
        for (const record of records) {
          const line = recordToLine(record, {ordinal: 5n});
          assert.match(line, /^[\x20-\x7e…]*$/);
          if (record.kind !== 'header') assert.ok(line.length < 400, line);
          JSON.parse(JSON.stringify(recordToJson(record, {ordinal: 5n})));
        }
      }),
      {seed: SEED, numRuns: 50},
    );
  });
});
