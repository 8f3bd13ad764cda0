// Advances on the channel: what goes in comes out, in few bytes; and nothing that goes back is believed.

import assert from 'node:assert/strict';
import fc from 'fast-check';
import {AdvanceDecoder, AdvanceEncoder, MAX_ADVANCE_BYTES} from '../../src/replication/advance-codec.ts';
import type {Advance} from '../../src/session/record-queue.ts';
import {SEED} from '../chaos/seed.ts';

const U63 = fc.bigInt(0n, 2n ** 63n - 1n);
const MALFORMED = /an advance that cannot be/;

describe(`advances on the channel, seed ${SEED} (FTVM_TEST_SEED)`, () => {
  it('come out as they went in', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(U63, U63, U63)), (numbers) => {
        const encoder = new AdvanceEncoder();
        const decoder = new AdvanceDecoder();
        for (const advance of inOrder(numbers)) {
          const bytes = encoder.encode(advance);
          assert.ok(bytes.length <= MAX_ADVANCE_BYTES);
          assert.deepEqual(decoder.decode(bytes), advance);
        }
      }),
      {seed: SEED},
    );
  });

  it('take three bytes while a guest is busy, and a few more when something has left, or a run has stopped early', () => {
    const encoder = new AdvanceEncoder();
    const at = 10_000_000_000n;
    encoder.encode({position: at, until: at + 1_000_000n, releasedThrough: 4000n});
    const sizes = [
      {position: at + 1_000_000n, until: at + 2_000_000n, releasedThrough: 4000n},
      {position: at + 2_000_000n, until: at + 3_000_000n, releasedThrough: 4080n},
      {position: at + 2_500_000n, until: at + 3_500_000n, releasedThrough: 4080n},
      {position: at + 2_500_000n, until: at + 2_500_000n, releasedThrough: 4080n},
    ].map((advance) => encoder.encode(advance).length);
    assert.deepEqual(sizes, [3, 4, 7, 5]);
  });

  it('are refused when they go back, end early, go on or are beyond the last position', () => {
    const decoder = new AdvanceDecoder();
    const encoder = new AdvanceEncoder();
    decoder.decode(encoder.encode({position: 100n, until: 150n, releasedThrough: 0n}));
    for (const bytes of [
      // Back by 51.
      [0, 0, 101],
      [0x80],
      [0, 0, 0, 0],
      Array<number>(10).fill(0xff),
      [...Array<number>(8).fill(0xff), 0x7f],
    ])
      assert.throws(() => decoder.decode(Uint8Array.from(bytes)), MALFORMED, String(bytes));
    assert.deepEqual(decoder.decode(new Uint8Array(0)), {position: 150n, until: 150n, releasedThrough: 0n});
    assert.throws(() => encoder.encode({position: 90n, until: 150n, releasedThrough: 0n}), /after one to 100/);
  });
});

/** None goes back. */
function inOrder(numbers: readonly [bigint, bigint, bigint][]): Advance[] {
  const ascending = (values: readonly bigint[]): bigint[] => [...values].sort((a, b) => (a < b ? -1 : a > b ? 1 : 0));
  const positions = ascending(numbers.map(([position]) => position));
  const releases = ascending(numbers.map(([, , released]) => released));
  return numbers.map(([, until], index) => ({
    position: positions[index],
    until: until > positions[index] ? until : positions[index],
    releasedThrough: releases[index],
  }));
}
