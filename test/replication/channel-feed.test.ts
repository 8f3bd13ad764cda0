// A follower's side of the channel, and a log that is long: what is received while nobody replays comes out as it went in, and the state of
// a guest that has run for long arrives, though it comes behind the whole log on the same connection.

import assert from 'node:assert/strict';
import {setImmediate as turn} from 'node:timers/promises';
import {readLog} from '../../src/logformat/log-reader.ts';
import type {LogRecord} from '../../src/logformat/record.ts';
import {AdvanceEncoder} from '../../src/replication/advance-codec.ts';
import {encodeMessage, MessageReader} from '../../src/replication/messages.ts';
import {END, FollowerAlone, PRIMARY_SAYS} from '../chaos/peers-alone.ts';
import {makeLog, ramp, SAMPLE_HEADER} from '../logformat/sample-log.ts';

/** What a follower takes before it lets its primary wait. */
const BACKLOG_LIMIT_BYTES = 64 << 20;
const CHUNK_BYTES = 1 << 16;
const WELCOME = encodeMessage(PRIMARY_SAYS[0]);

describe('a long log on the channel', function () {
  this.timeout(30_000);
  let follower: FollowerAlone;
  beforeEach(async () => {
    follower = new FollowerAlone({isDeaf: false});
    follower.wire.say(WELCOME);
    await turn();
  });
  afterEach(() => follower.close());

  it('comes out as it went in, advances in their places', async () => {
    const {bytes} = makeLog([SAMPLE_HEADER, ...Array.from({length: 3000}, small)], {perFrame: 1});
    const expected: string[] = [];
    const advances = new AdvanceEncoder();
    const {frames} = readLog(bytes);
    frames.forEach((frame, index) => {
      say(bytes.subarray(index === 0 ? 0 : Number(frame.offset), Number(frame.end.offset)));
      expected.push(`${frame.firstOrdinal} ${frame.offset} ${frame.records.map(({kind}) => kind)}`);
      if (index % 700 !== 0) return;
      // The second replaces the first.
      const position = BigInt(index);
      for (const [until, releasedThrough] of [
        [position + 9n, position],
        [position + 5n, position + 1n],
      ])
        follower.wire.say(encodeMessage({kind: 'advance', bytes: advances.encode({position, until, releasedThrough})}));
      expected.push(`advance ${index} ${index + 5} ${index + 1}`);
    });
    const came: string[] = [];
    while (came.length < expected.length) {
      const next = await follower.feed.next();
      assert.ok(next !== undefined, follower.ended);
      if (!('records' in next)) came.push(`advance ${next.position} ${next.until} ${next.releasedThrough}`);
      else came.push(`${next.firstOrdinal} ${next.offset} ${next.records.map(({kind}) => kind)}`);
    }
    assert.deepEqual(came, expected);
    assert.equal(follower.ended, undefined);
  });

  it('is reported as it is executed, however much is left', async () => {
    const {bytes} = makeLog([SAMPLE_HEADER, ...Array.from({length: 20}, small)], {perFrame: 1});
    say(bytes);
    for (let executed = 1n; executed <= 10n; executed += 1n) {
      await follower.feed.next();
      follower.position = executed;
      // A run of 5 ms, in which no timer has its turn.
      for (const startMs = performance.now(); performance.now() - startMs < 5; );
    }
    const reader = new MessageReader();
    reader.push(follower.wire.heard);
    const reported: bigint[] = [];
    for (let message = reader.next(); message !== undefined; message = reader.next())
      if (message.kind === 'ack' && message.position > 0n) reported.push(message.position);
    assert.deepEqual(reported, [1n, 2n, 3n, 4n, 5n, 6n, 7n, 8n, 9n]);
  });

  it('is held back at 64 MiB; the state that comes behind it is not, once it was asked for', async () => {
    const large = Array.from({length: 150}, (_, index): LogRecord => {
      const frames = Array.from({length: 8}, () => new Uint8Array(60_000).fill(index));
      return {kind: 'input', position: BigInt(index), input: {kind: 'packet', nic: 0, frames}};
    });
    const {bytes} = makeLog([SAMPLE_HEADER, ...large], {perFrame: 1});
    assert.ok(bytes.length > BACKLOG_LIMIT_BYTES + (1 << 20), `${bytes.length} bytes`);
    let at = 0;
    for (; follower.wire.listens && at < bytes.length; at += CHUNK_BYTES) say(bytes.subarray(at, at + CHUNK_BYTES));
    assert.ok(at < bytes.length, 'the primary was not held back');
    follower.feed.requestState();
    for (; follower.wire.listens && at < bytes.length; at += CHUNK_BYTES) say(bytes.subarray(at, at + CHUNK_BYTES));
    assert.ok(at >= bytes.length, `held back at byte ${at}, before the state could come`);
    follower.wire.say(encodeMessage({kind: 'pages', bytes: new Uint8Array(6)}));
    follower.wire.say(encodeMessage({kind: 'stateEnd', end: END}));
    assert.equal((await follower.feed.nextStatePart()).kind, 'pages');
    assert.equal((await follower.feed.nextStatePart()).kind, 'end');
    for (let ordinal = 1n; ordinal <= BigInt(large.length) + 1n; ordinal += 1n) {
      const next = await follower.feed.next();
      assert.ok(next !== undefined && 'records' in next);
      assert.equal(next.firstOrdinal, ordinal);
    }
  });

  function say(part: Uint8Array): void {
    follower.wire.say(encodeMessage({kind: 'bytes', bytes: part}));
  }
});

function small(_: unknown, index: number): LogRecord {
  return {kind: 'input', position: BigInt(index), input: {kind: 'console', bytes: ramp(1 + (index % 300), index)}};
}
