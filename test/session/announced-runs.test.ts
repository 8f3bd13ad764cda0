// Runs that a primary announces as it begins them. A follower makes such a run at the same time, and no step more: where the guest waits or
// has sent a packet, it stops and waits for more, as an input may come there.

import assert from 'node:assert/strict';
import type {MachineInterface, Stop} from '../../src/emulator/machine-interface.ts';
import {LogReader} from '../../src/logformat/log-reader.ts';
import {Follower} from '../../src/session/follower.ts';
import {LogSource} from '../../src/session/log-source.ts';
import type {Advance} from '../../src/session/record-queue.ts';
import {type FrameFeed, RecordQueue} from '../../src/session/record-queue.ts';
import {makeLog} from '../logformat/sample-log.ts';
import {toyHeader} from '../simulation/toy-header.ts';
import {ToyMachine} from '../simulation/toy-machine.ts';

/** Where a toy machine waits for the first time. */
const WAITS_AT = 1000n;
const REACHED: Stop = {kind: 'reached'};

describe('a run that the primary has begun', () => {
  for (const [what, advances, position] of [
    ['is made to its end', [run(0n, 700n)], 700n],
    ['is made from where the guest was before it', [run(300n, 700n)], 700n],
    ['ends where the guest waits', [run(0n, 100_000n)], WAITS_AT],
    ['wakes a guest that waits where it begins', [run(0n, 100_000n), run(WAITS_AT, WAITS_AT + 10n)], WAITS_AT + 10n],
    ['is none where the follower is further already', [run(0n, 100_000n), run(600n, 100_000n)], WAITS_AT],
    ['begins where the guest was, whatever waits that passed', [run(20_000n, 20_100n)], 20_100n],
  ] as const) {
    it(what, async () => assert.equal(await followedTo(advances), position));
  }

  it('is cut, so that others get their turn, and goes on', async () => {
    const {source, machine} = sourceOf([run(0n, 9_000_000n)]);
    const reached: bigint[] = [];
    for (let slice = await source.next(machine, REACHED); typeof slice !== 'string'; ) {
      reached.push(slice.until);
      machine.position = slice.until;
      slice = await source.next(machine, REACHED);
    }
    assert.deepEqual(reached, [4_000_000n, 8_000_000n, 9_000_000n]);
  });

  it('ends where a packet was sent, though it was cut', async () => {
    const {source, machine} = sourceOf([run(0n, 9_000_000n)]);
    assert.deepEqual(await source.next(machine, REACHED), {inputs: [], until: 4_000_000n});
    machine.position = 3_000_000n;
    assert.equal(await source.next(machine, {kind: 'output'}), 'logEnded');
  });
});

function run(position: bigint, until: bigint): Advance {
  return {position, until, releasedThrough: 0n};
}

/** Where a follower of a toy guest is when it has heard that, and no more. */
async function followedTo(advances: readonly Advance[]): Promise<bigint> {
  const reader = new LogReader();
  const facts = toyHeader(1);
  reader.push(makeLog([{kind: 'header', position: 0n, ...facts}], {lineageId: facts.lineageId}).bytes);
  const header = reader.next();
  assert.ok(header !== undefined);
  const follower = await Follower.open({
    feed: feedOf([header, ...advances]),
    logPath: 'the test',
    build: async ({config}) => ({machine: new ToyMachine(config.stepsPerTick), close: () => {}}),
    sink: () => {},
  });
  await follower.run();
  follower.close();
  return follower.machine.position;
}

function sourceOf(advances: readonly Advance[]): {source: LogSource; machine: {position: bigint} & MachineInterface} {
  const source = new LogSource({queue: new RecordQueue(feedOf(advances))});
  return {source, machine: {position: 0n} as {position: bigint} & MachineInterface};
}

function feedOf(what: readonly Awaited<ReturnType<FrameFeed['next']>>[]): FrameFeed {
  const left = [...what];
  return {next: async () => left.shift()};
}
