// A primary tells its followers of the runs that it begins: of each that takes a slice, and of some where there are thousands.

import assert from 'node:assert/strict';
import {setTimeout as passed} from 'node:timers/promises';
import {AdvanceDecoder} from '../../src/replication/advance-codec.ts';
import {encodeMessage, MessageReader} from '../../src/replication/messages.ts';
import {RunRate} from '../../src/replication/run-rate.ts';
import type {Advance} from '../../src/session/record-queue.ts';
import {FOLLOWER_SAYS, PrimaryAlone} from '../chaos/peers-alone.ts';
import {Wire} from '../chaos/wire.ts';

const SLICE_MS = 4;

describe('runs that begin', () => {
  it('are told to a follower at once, and no more than a few in a row', async () => {
    const primary = await PrimaryAlone.open();
    const wire = new Wire({isDeaf: false});
    primary.accept(wire);
    wire.say(encodeMessage(FOLLOWER_SAYS[0]));
    await passed(1);
    for (let position = 0n; position < 1000n; position += 10n)
      primary.replication.runBegins({position, until: position + 10n});
    const told = advancesIn(wire.heard).map(({position, until}) => [position, until]);
    const first = [0n, 10n, 20n, 30n].map((position) => [position, position + 10n]);
    assert.deepEqual(told.slice(0, first.length), first);
    // A busy host may take its time for the hundred.
    assert.ok(told.length < 50, `${told.length} of 100`);
    await primary.close();
  });

  it('are all told where each takes a slice, a quarter of them where there are a thousand a second', () => {
    assert.equal(toldOf({runs: 1000, everyMs: SLICE_MS}), 1000);
    const told = toldOf({runs: 1000, everyMs: 1});
    assert.ok(told >= 250 && told <= 255, `${told}`);
  });
});

function advancesIn(heard: Uint8Array): Advance[] {
  const reader = new MessageReader();
  reader.push(heard);
  const decoder = new AdvanceDecoder();
  const advances: Advance[] = [];
  for (let message = reader.next(); message !== undefined; message = reader.next())
    if (message.kind === 'advance') advances.push(decoder.decode(message.bytes));
  return advances;
}

function toldOf({runs, everyMs}: {runs: number; everyMs: number}): number {
  const rate = new RunRate();
  let told = 0;
  for (let n = 1; n <= runs; n += 1) if (rate.allows(n * everyMs)) told += 1;
  return told;
}
