// A restored machine goes on as the saved one would have: states are saved at seeded random moments of every fixture guest's run,
// pass through the file format, and both machines' digests are compared on the way to the guest's end. FTVM_SEED takes a seed.

import assert from 'node:assert/strict';
import {writeFileSync} from 'node:fs';
import type {BaseImage} from '../../src/emulator/config.ts';
import {Machine} from '../../src/emulator/machine.ts';
import {FtvmError} from '../../src/errors.ts';
import {decodeState} from '../../src/logformat/state-decoder.ts';
import {encodeState, type SavedState} from '../../src/logformat/state-file.ts';
import type {Artefacts} from '../../src/session/artefacts.ts';
import {StateDigest} from '../../src/session/digests.ts';
import {copyMachine, readStateFile, restoreMachine} from '../../src/session/state-restore.ts';
import {TemporaryFolder} from '../support/ftvm.ts';
import {headerOf, kernelOf, machineOf, randomNumbers, recordRun, runInputs, type TimedInput} from './runs.ts';

const GUESTS = ['hello', 'timer', 'echo', 'disk', 'paging', 'float'];
const MOMENTS_EACH = 6;
const STOPS_EACH = 4;

describe('a restored machine', function () {
  this.timeout(120_000);
  const seed = Number(process.env['FTVM_SEED'] ?? Date.now() % 2 ** 31);

  for (const guest of GUESTS) {
    it(`goes on identically: ${guest} (seed ${seed})`, async () => {
      const random = randomNumbers(seed);
      const run = recordRun(guest);
      const artefacts: Artefacts = {images: {kernel: kernelOf(guest)}, disks: run.disks as Artefacts['disks']};
      for (let n = 0; n < MOMENTS_EACH; n += 1) {
        const position = positionBelow(run.end, random);
        const original = new Machine(run.config, artefacts.images, artefacts.disks);
        runInputs(original, run.inputs, position);
        const saved = decodeState(encodeState(original, {...headerOf(guest, run.config), recordOrdinal: 1n}));
        await goOn(original, restoreMachine(saved, artefacts), {...run, random});
      }
    });
  }

  it('may be made of a running one', async () => {
    const run = recordRun('echo');
    const artefacts: Artefacts = {images: {kernel: kernelOf('echo')}, disks: []};
    const original = machineOf('echo');
    runInputs(original, run.inputs, run.end / 2n);
    await goOn(original, copyMachine(original, run.config, artefacts), {...run, random: randomNumbers(seed)});
  });

  it('is not the same when any one register was saved wrongly', async () => {
    // The canary: the comparison above must notice.
    const {saved, artefacts} = savedEcho();
    const whole = await digestOf(restoreMachine(saved, artefacts));
    for (const name of ['x10', 'mscratch', 'uart.scr', 'plic.priority', 'mtime.ticks']) {
      const entries = saved.entries.map((entry) =>
        entry.name === name ? {...entry, bytes: flipped(entry.bytes)} : entry,
      );
      const other = await digestOf(restoreMachine({...saved, entries}, artefacts));
      assert.notDeepEqual(other, whole, name);
    }
  });

  it('is refused when the state does not fit its configuration', () => {
    const {saved, artefacts} = savedEcho();
    const [ram] = saved.memories;
    const wrong: SavedState[] = [
      {...saved, entries: saved.entries.slice(1)},
      {...saved, entries: [...saved.entries, {name: 'x32', type: 'u64', bytes: new Uint8Array(8)}]},
      {...saved, entries: saved.entries.map((entry) => (entry.name === 'x1' ? {...entry, type: 'u32'} : entry))},
      {...saved, memories: []},
      {...saved, memories: [{...ram, pageCount: ram.pageCount - 1}]},
      {...saved, memories: [ram, {...ram, name: 'disk9.overlay'}]},
      {...saved, header: {...saved.header, position: saved.header.position + 1n}},
    ];
    for (const state of wrong) {
      assert.throws(
        () => restoreMachine(state, artefacts),
        (error) => error instanceof FtvmError && error.code === 'corrupt',
      );
    }
  });

  it('needs the machine version of its state', async () => {
    using folder = new TemporaryFolder();
    const path = folder.join('state');
    const machine = machineOf('hello');
    const header = {...headerOf('hello'), machineVersion: 9999, recordOrdinal: 1n};
    writeFileSync(path, Buffer.concat([...encodeState(machine, header)]));
    await assert.rejects(
      readStateFile(path),
      (error) => error instanceof FtvmError && error.code === 'mismatchedVersion',
    );
  });
});

function savedEcho(): {saved: SavedState; artefacts: Artefacts} {
  const machine = machineOf('echo');
  runInputs(machine, [], 20_000n);
  const saved = decodeState(encodeState(machine, {...headerOf('echo'), recordOrdinal: 1n}));
  return {saved, artefacts: {images: {kernel: kernelOf('echo')}, disks: []}};
}

/** Both machines to the end, by the same inputs, with the digests of both compared at random stops. */
async function goOn(
  original: Machine,
  restored: Machine,
  run: {inputs: readonly TimedInput[]; end: bigint; disks: BaseImage[]; random: () => number},
): Promise<void> {
  assert.deepEqual(await digestOf(restored), await digestOf(original), `at position ${original.position}`);
  const start = original.position;
  const stops = Array.from({length: STOPS_EACH}, () => start + positionBelow(run.end - start, run.random));
  for (const stop of [...stops, run.end].sort((a, b) => Number(a - b))) {
    if (stop <= original.position) continue;
    const inputs = run.inputs.filter(({position}) => position > original.position);
    for (const machine of [original, restored]) runInputs(machine, inputs, stop);
    assert.deepEqual(await digestOf(restored), await digestOf(original), `at position ${stop}, restored at ${start}`);
  }
  assert.deepEqual(restored.ending, {kind: 'poweroff', code: 0});
}

async function digestOf(machine: Machine): Promise<Uint8Array> {
  return (await StateDigest.create(machine)).compute().slice();
}

function positionBelow(end: bigint, random: () => number): bigint {
  return (BigInt(random()) * end) >> 32n;
}

function flipped(bytes: Uint8Array): Uint8Array {
  const copy = bytes.slice();
  copy[0] ^= 1;
  return copy;
}
