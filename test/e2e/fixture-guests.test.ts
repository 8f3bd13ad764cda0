// Record, replay, compare: every guest of fixtures/guests is in here by being there. Once in real time, typed at as its manifest
// says; and where nothing is typed and no disk answers, twice in virtual time, where both runs must be the same one.

import assert from 'node:assert/strict';
import {truncateSync, writeFileSync} from 'node:fs';
import {checkHashChain, type FixtureGuest} from '../support/fixture-guests.ts';
import {TemporaryFolder} from '../support/ftvm.ts';
import {
  assertSameBytes,
  digestLines,
  expectedConsole,
  GUESTS,
  recordGuest,
  recordsOfKind,
  replayMustShow,
} from './ftvm-cli.ts';

describe('every guest of our own, recorded and replayed', function () {
  this.timeout(120_000);

  for (const guest of GUESTS) {
    it(`${guest.name}: real time`, async () => {
      using folder = new TemporaryFolder();
      const logPath = folder.join('run.ftlog');
      const recorded = await recordGuest(guest, {logPath, argv: diskFor(guest, folder)});
      assert.equal(recorded.exitCode, guest.exitCode, recorded.stderr);
      checkConsole(guest, recorded.shown);
      const [end] = recordsOfKind(logPath, 'end');
      assert.deepEqual(end?.ending, {kind: 'poweroff', code: guest.exitCode});
      assert.match(
        await replayMustShow(recorded.shown, logPath),
        /^identical: \d+ records, [1-9]\d* digests over \d+ steps$/,
      );
    });

    if (guest.input !== undefined || guest.diskBytes !== undefined) continue;
    it(`${guest.name}: virtual time, twice the same with an empty log`, async () => {
      using folder = new TemporaryFolder();
      const logPaths = ['first.ftlog', 'second.ftlog'].map((name) => folder.join(name));
      for (const logPath of logPaths) {
        const recorded = await recordGuest(guest, {logPath, argv: ['--clock', 'virtual']});
        assert.equal(recorded.exitCode, guest.exitCode, recorded.stderr);
        checkConsole(guest, recorded.shown);
        assert.deepEqual(recordsOfKind(logPath, 'input'), [], 'inputs in a log of virtual time');
      }
      const digests = logPaths.map((logPath) => digestLines(logPath));
      assert.ok(digests[0].length > 0);
      assert.deepEqual(digests[0], digests[1]);
    });
  }

  it('a canary: one byte of the transcript is not overlooked', async () => {
    using folder = new TemporaryFolder();
    const logPath = folder.join('run.ftlog');
    const guest = GUESTS.find(({name}) => name === 'hello')!;
    const {shown} = await recordGuest(guest, {logPath});
    shown[7] ^= 1;
    assert.throws(() => checkConsole(guest, shown), /differ at byte 7/);
    await assert.rejects(replayMustShow(shown, logPath), /differ at byte 7/);
  });
});

function diskFor(guest: FixtureGuest, folder: TemporaryFolder): string[] {
  if (guest.diskBytes === undefined) return [];
  const path = folder.join('disk.img');
  writeFileSync(path, '');
  truncateSync(path, guest.diskBytes);
  return ['--disk', path];
}

function checkConsole(guest: FixtureGuest, shown: Uint8Array): void {
  const expected = expectedConsole(guest);
  if (expected !== undefined) assertSameBytes(shown, expected, `the console of ${guest.name}`);
  if (guest.consoleCheck === 'hash-chain') assert.ok(checkHashChain(shown) > 0);
}
