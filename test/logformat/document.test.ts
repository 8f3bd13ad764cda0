// docs/log-format.md, docs/log-format.cddl, FORMAT_VERSION and the golden log, held together: whoever changes one of them
// without the others is told here.

import assert from 'node:assert/strict';
import {readFileSync} from 'node:fs';
import fc from 'fast-check';
import {encodeItem} from '../../src/logformat/cbor.ts';
import type {CborValue} from '../../src/logformat/fields.ts';
import {MalformedError} from '../../src/logformat/fields.ts';
import {FRAME_HEADER_BYTES} from '../../src/logformat/frame.ts';
import * as limits from '../../src/logformat/limits.ts';
import {readLog} from '../../src/logformat/log-reader.ts';
import {decodeRecord, encodeRecord} from '../../src/logformat/record-codec.ts';
import {goldenPath} from './accept-golden.ts';
import {anyLog, SEED} from './arbitrary-records.ts';
import {type CborNode, Cddl, decodeCborSequence} from './cddl.ts';
import {makeLog, SAMPLE_RECORDS} from './sample-log.ts';

const docs = new URL('../../docs/', import.meta.url);
const DOCUMENT = readFileSync(new URL('log-format.md', docs), 'utf8');
const CDDL = new Cddl(readFileSync(new URL('log-format.cddl', docs), 'utf8'));

describe('the golden log', () => {
  const golden = new Uint8Array(readFileSync(goldenPath(limits.FORMAT_VERSION)));

  it('is what the writer writes today', () => {
    assert.deepEqual(makeLog().bytes, golden);
  });

  it('is read as the records that were written', () => {
    const {frames, end} = readLog(golden);
    assert.deepEqual(end, {kind: 'whole'});
    assert.deepEqual(
      frames.flatMap((frame) => frame.records),
      SAMPLE_RECORDS,
    );
  });

  it('of an older format is refused by a reader that says which it wants', () => {
    for (let version = 1; version < limits.FORMAT_VERSION; version += 1) {
      const old = new Uint8Array(readFileSync(goldenPath(version)));
      assert.throws(
        () => readLog(old),
        new RegExp(`log format version ${version}, this ftvm reads ${limits.FORMAT_VERSION}`),
      );
    }
  });

  it('is explained by the document, byte by byte, where it shows it', () => {
    const lines = [...DOCUMENT.matchAll(/^ {4}([0-9a-f]{4}) {2}((?:[0-9a-f]{2} ?)+)(?: {2,}\S.*)?$/gm)];
    assert.ok(lines.length > 20, 'the worked example was not found');
    let previousEnd: number | undefined;
    let shownBytes = 0;
    for (const [line, offsetHex, bytesHex] of lines) {
      const offset = Number.parseInt(offsetHex, 16);
      const shown = Uint8Array.from(bytesHex.trim().split(' '), (hex) => Number.parseInt(hex, 16));
      assert.deepEqual(golden.subarray(offset, offset + shown.length), shown, line);
      assert.ok(
        previousEnd === undefined || offset === previousEnd || offset > previousEnd + 16,
        `a gap before ${line}`,
      );
      previousEnd = offset + shown.length;
      shownBytes += shown.length;
    }
    const {ends} = makeLog();
    assert.equal(shownBytes, ends[0] + (ends[2] - ends[1]), 'the preamble and the second frame, whole');
  });
});

describe('docs/log-format.md', () => {
  it('names the format version', () => {
    assert.match(DOCUMENT, new RegExp(`^Format version: ${limits.FORMAT_VERSION}$`, 'm'));
  });

  it('names every limit with its value', () => {
    for (const [name, value] of Object.entries(limits)) {
      if (!name.startsWith('MAX_')) continue;
      const row = DOCUMENT.split('\n').find((line) => line.includes(`\`${name}\``));
      assert.ok(row, `${name} is not in the document`);
      const number = name === 'MAX_U63' ? '2^63 - 1' : value.toLocaleString('en-US');
      assert.ok(row.includes(number), `${name} is ${number}; the document says: ${row}`);
    }
  });

  it('names every kind of record with its code', () => {
    for (const record of SAMPLE_RECORDS) {
      const kind = record.kind === 'input' ? record.input.kind : record.kind;
      const [node] = decodeCborSequence(encodeRecord(record, 0n));
      assert.ok(node.kind === 'array' && node.items[0].kind === 'int');
      assert.match(DOCUMENT, new RegExp(`^\\| +${node.items[0].value} \\| \`${kind}\``, 'm'), kind);
    }
  });
});

describe(`docs/log-format.cddl, seed ${SEED}`, () => {
  it('admits every payload of the golden log', () => {
    const {bytes} = makeLog();
    let count = 0;
    for (const frame of readLog(bytes).frames) {
      const start = Number(frame.offset) + FRAME_HEADER_BYTES;
      for (const node of decodeCborSequence(bytes.subarray(start, Number(frame.offset) + frame.lengthBytes - 1))) {
        assert.ok(CDDL.matches(node, 'record'), `record ${++count}`);
      }
    }
  });

  it('admits any record', () => {
    fc.assert(
      fc.property(anyLog, (records) => {
        let position = 0n;
        for (const record of records) {
          const [node] = decodeCborSequence(encodeRecord(record, position));
          assert.ok(CDDL.matches(node, 'record'), record.kind);
          position = record.position;
        }
      }),
      {seed: SEED, numRuns: 100},
    );
  });

  it('and the reader agree on what is a record, where one item was replaced by any other', () => {
    let [bothAdmit, bothRefuse] = [0, 0];
    const items = fc.oneof(
      fc.constantFrom<CborValue>(0, 1, 7, 8, 9, 32_768, 32_769, 2 ** 32 - 1, 2n ** 32n, 2n ** 63n - 1n, 2n ** 63n, -1),
      fc.constant<CborValue>(null),
      fc.uint8Array({maxLength: 40}),
      fc.string({maxLength: 5}),
      fc.array(fc.integer(), {maxLength: 3}),
    );
    const change = fc.record({replacement: items, at: fc.nat(1000), nested: fc.nat(1000), isNested: fc.boolean()});
    fc.assert(
      fc.property(anyLog, change, (records, {replacement, at, nested, isNested}) => {
        for (const record of records) {
          const [node] = decodeCborSequence(encodeRecord(record, record.position));
          const packed = toValue(node) as CborValue[];
          const place = at % packed.length;
          const inner = packed[place];
          if (isNested && Array.isArray(inner) && inner.length > 0) inner[nested % inner.length] = replacement;
          else packed[place] = replacement;
          const encoded = encodeItem(packed);
          const verdict = isRecord(encoded);
          if (verdict === 'inconsistent') continue;
          assert.equal(CDDL.matches(decodeCborSequence(encoded)[0], 'record'), verdict, JSON.stringify(toText(packed)));
          if (verdict) bothAdmit++;
          else bothRefuse++;
        }
      }),
      {seed: SEED, numRuns: 500},
    );
    // The canaries: both verdicts were reached, and often.
    assert.ok(bothAdmit > 100 && bothRefuse > 100, `${bothAdmit} admitted, ${bothRefuse} refused`);
  });

  it('refuses what is none of its rules', () => {
    for (const bytes of [[0x00], [0x80], [0x81, 0x10], [0x83, 0x12, 0x00, 0x40], [0x84, 0x06, 0x00, 0x00, 0xf6]]) {
      assert.ok(!CDDL.matches(decodeCborSequence(Uint8Array.from(bytes))[0], 'record'));
    }
    assert.throws(() => new Cddl('a = b'), /no rule b/);
    assert.throws(() => new Cddl('a = [1 2]'), /inside an array/);
  });
});

/** The reader's verdict; `inconsistent` where single fields are right and only their combination, unknown to CDDL, is not. */
function isRecord(encoded: Uint8Array): boolean | 'inconsistent' {
  try {
    decodeRecord(encoded, {start: 0, previousPosition: 0n});
    return true;
  } catch (error) {
    assert.ok(error instanceof MalformedError, String(error));
    return /differ in number or size|snapshot: part \d+ of/.test(error.message) ? 'inconsistent' : false;
  }
}

function toValue(node: CborNode): CborValue {
  switch (node.kind) {
    case 'array':
      return node.items.map(toValue);
    case 'null':
      return null;
    default:
      return node.value;
  }
}

function toText(value: CborValue): unknown {
  if (typeof value === 'bigint') return `${value}n`;
  if (value instanceof Uint8Array) return `${value.length} bytes`;
  return Array.isArray(value) ? value.map(toText) : value;
}
