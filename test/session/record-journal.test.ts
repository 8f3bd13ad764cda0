// How often a recording's state is digested: by steps and by time, and never so often that the guest is slower for it.

import assert from 'node:assert/strict';
import type {MachineInterface} from '../../src/emulator/machine-interface.ts';
import {LogWriter} from '../../src/logformat/log-writer.ts';
import {startOfLineage} from '../../src/logformat/stream-point.ts';
import {OutputDigest, StateDigest} from '../../src/session/digests.ts';
import {RecordJournal} from '../../src/session/record-journal.ts';
import {toyHeader} from '../simulation/toy-header.ts';
import {ToyMachine} from '../simulation/toy-machine.ts';

const SECOND_NS = 1_000_000_000n;
/** More than lie between two digests. */
const STEPS = 1n << 28n;

describe('digests of a recording', () => {
  for (const [costMs, firstMs, expectedS] of [
    [0, 0, [5, 7.5, 10, 12.5]],
    [5, 0, [5, 7.5, 10, 12.5]],
    [20, 0, [5, 10]],
    [150, 0, [5]],
    // Eight seconds have to pass before the first one.
    [0, 40, [10, 12.5]],
  ] as const) {
    it(`that take ${costMs} ms, the first one ${firstMs}, are ${expectedS.length} in 12.5 s`, async () => {
      assert.deepEqual(await digestsS({costMs, firstMs, following: false}), expectedS);
    });
  }

  it('are as many as there can be where somebody follows', async () => {
    assert.deepEqual(await digestsS({costMs: 150, firstMs: 40, following: true}), [2.5, 5, 7.5, 10, 12.5]);
  });
});

/** When there were digests, in seconds, of a guest that runs for 2.5 seconds at a time, a quarter of 2³⁰ steps each. */
async function digestsS(options: {costMs: number; firstMs: number; following: boolean}): Promise<number[]> {
  const {costMs, firstMs, following} = options;
  let nowNs = 0n;
  let startNs = 0n;
  const found: number[] = [];
  const machine = new ToyMachine(1);
  const stateDigest = await StateDigest.create(machine);
  stateDigest.firstDigestNs = () => (found.length > 0 ? 0n : BigInt(firstMs * 1e6));
  stateDigest.compute = () => {
    found.push(Number(startNs) / 1e9);
    nowNs += BigInt(costMs * 1e6);
    return new Uint8Array(16);
  };
  const header = toyHeader(1);
  const writer = new LogWriter(startOfLineage(header.lineageId));
  writer.append({kind: 'header', position: 0n, ...header});
  const journal = new RecordJournal({
    writer,
    sink: {write: () => {}, queuedBytes: 0, drained: async () => {}},
    clock: {nowNs: () => nowNs, wallNs: () => nowNs},
    stateDigest,
    outputDigest: await OutputDigest.create(),
    releasedThrough: () => 0n,
    position: 0n,
    coveredThrough: 0n,
    following: () => following,
  });
  for (let turn = 1n; turn <= 5n; turn += 1n) {
    startNs = (turn * SECOND_NS * 5n) / 2n;
    nowNs = startNs;
    const standing = Object.create(machine, {position: {value: turn * STEPS}}) as MachineInterface;
    journal.append(standing, {from: standing.position, inputs: [], outputs: [], stop: {kind: 'reached'}});
  }
  return found;
}
