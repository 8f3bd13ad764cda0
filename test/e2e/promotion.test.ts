// Promotion as its user does it: of logs in every condition, of sessions that run, and how sessions end when they are told to.

import assert from 'node:assert/strict';
import {readFileSync} from 'node:fs';
import {checkShown} from '../chaos/transcripts.ts';
import {checkHashChain} from '../support/fixture-guests.ts';
import {FtvmProcess, runFtvm, TemporaryFolder} from '../support/ftvm.ts';
import {assertNamed, recordsOfKind, replayMustBeIdentical, replayMustShow, transcriptOf} from './ftvm-cli.ts';

const FIVE_MORE_LINES = /line \d+ [0-9a-f]{16}\n(?:.*\n){5}/;

describe('promotion and the ends of sessions', function () {
  this.timeout(120_000);

  for (const {signal, exitCode} of [
    {signal: 'SIGINT', exitCode: 130},
    {signal: 'SIGTERM', exitCode: 143},
  ] as const) {
    it(`${signal} ends a recorder with ${exitCode} and a log that is whole and can be carried on`, async () => {
      using folder = new TemporaryFolder();
      const logPath = folder.join('run.ftlog');
      await using recorder = new FtvmProcess(['record', 'counter', '-o', logPath]);
      await recorder.waitFor(/line 000003/);
      recorder.kill(signal);
      const stopped = await recorder.exit();
      assert.equal(stopped.exitCode, exitCode, stopped.stderr);
      assert.match(stopped.stderr, /^recorded: .* \(stopped; ftvm promote carries it on\)$/m);
      assert.deepEqual(
        recordsOfKind(logPath, 'end').map(({reason, ending}) => ({reason, ending})),
        [{reason: 'stopped', ending: null}],
      );
      await replayMustShow(recorder.stdoutBytes, logPath);

      const live = await carryOn(logPath);
      const whole = await transcriptOf(logPath);
      checkShown([recorder.stdoutBytes, live], whole);
      assert.ok(checkHashChain(whole) > 8);
    });
  }

  it('a promoted session that is stopped is promoted again, and again', async () => {
    using folder = new TemporaryFolder();
    const logPath = folder.join('run.ftlog');
    const parts: Buffer[] = [];
    for (const argv of [
      ['record', 'counter', '-o', logPath],
      ['promote', logPath],
      ['promote', logPath],
    ]) {
      await using session = new FtvmProcess(argv);
      await session.waitFor(FIVE_MORE_LINES);
      session.kill('SIGTERM');
      assert.equal((await session.exit()).exitCode, 143);
      parts.push(session.stdoutBytes);
    }
    parts.push(await carryOn(logPath));
    const whole = await transcriptOf(logPath);
    checkShown(parts, whole);
    checkHashChain(whole);
    assert.deepEqual(
      recordsOfKind(logPath, 'takeover').map(({generation}) => generation),
      [2, 3, 4],
    );
    assert.deepEqual(
      recordsOfKind(logPath, 'end').map(({reason}) => reason),
      ['stopped', 'stopped', 'stopped', 'halted'],
    );
  });

  it('the log of a guest that has ended is refused, and left as it was', async () => {
    using folder = new TemporaryFolder();
    const logPath = folder.join('run.ftlog');
    await runFtvm(['record', 'hello', '-o', logPath]);
    const before = readFileSync(logPath);
    const refused = await runFtvm(['promote', logPath]);
    assertNamed(refused, 101, /the guest has ended; there is nothing to carry on/);
    assert.deepEqual(readFileSync(logPath), before);
  });

  it('a recorder that lives is asked: without a backup it goes on, and nobody else may have its log', async () => {
    using folder = new TemporaryFolder();
    const logPath = folder.join('run.ftlog');
    await using recorder = new FtvmProcess(['record', 'counter', '-o', logPath]);
    await recorder.waitFor(/line 000002/);
    assertNamed(await runFtvm(['promote', logPath]), 116, /the primary already, and no backup follows it/);
    assertNamed(await runFtvm(['record', 'counter', '-o', logPath, '--force']), 116, /a session is running already/);
    assertNamed(await runFtvm(['promote', '--dry-run', logPath]), 116, /the primary already, and no backup follows it/);
    recorder.write('stop\r');
    assert.equal((await recorder.exit()).exitCode, 0);
    await replayMustShow(recorder.stdoutBytes, logPath);
  });

  it('a dry run changes nothing', async () => {
    using folder = new TemporaryFolder();
    const logPath = folder.join('run.ftlog');
    await using recorder = new FtvmProcess(['record', 'counter', '-o', logPath]);
    await recorder.waitFor(/line 000002/);
    recorder.kill();
    await recorder.exit();
    const before = readFileSync(logPath);
    const dry = await runFtvm(['promote', '--dry-run', logPath]);
    assert.equal(dry.exitCode, 0, dry.stderr);
    assert.match(dry.stdout, /^would carry on from position \d+ .* in the same log, cutting 0 torn bytes$/m);
    assert.deepEqual(readFileSync(logPath), before);
  });

  it('two promotions of one log at the same time: one goes on, the other is refused', async () => {
    using folder = new TemporaryFolder();
    const logPath = folder.join('run.ftlog');
    await using recorder = new FtvmProcess(['record', 'counter', '-o', logPath]);
    await recorder.waitFor(/line 000002/);
    recorder.kill();
    await recorder.exit();
    await using one = new FtvmProcess(['promote', logPath]);
    await using other = new FtvmProcess(['promote', logPath]);
    const first = await Promise.race([one.exit().then(() => other), other.exit().then(() => one)]);
    const loser = await (first === one ? other : one).exit();
    assert.equal(loser.exitCode, 116, loser.stderr);
    await first.waitFor(FIVE_MORE_LINES);
    first.write('stop\r');
    assert.equal((await first.exit()).exitCode, 0);
    await replayMustBeIdentical(logPath);
  });
});

/** Promotes, lets the counter go on, and ends it. Returns what was shown. */
async function carryOn(logPath: string): Promise<Buffer> {
  await using live = new FtvmProcess(['promote', logPath]);
  await live.waitFor(FIVE_MORE_LINES);
  live.write('stop\r');
  const {exitCode, stderr} = await live.exit();
  assert.equal(exitCode, 0, stderr);
  return live.stdoutBytes;
}
