// Promotion as its user does it: of logs in every condition, of sessions that run, and how sessions end when they are told to.

import assert from 'node:assert/strict';
import {copyFileSync, readFileSync} from 'node:fs';
import {openArbiter} from '../../src/replication/arbiter-spec.ts';
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

  it('a winner that died before it carried the guest on is named by a person, and passed over once', async () => {
    using folder = new TemporaryFolder();
    const spec = `dir:${folder.path}`;
    const logPath = folder.join('run.ftlog');
    const backupLogPath = folder.join('backup.ftlog');
    await using recorder = new FtvmProcess([
      ...['record', 'counter', '-o', logPath, '--listen', '127.0.0.1:0', '--arbiter', spec],
    ]);
    const [, address] = await recorder.waitFor(/listening on (127\.0\.0\.1:\d+)/, {stream: 'stderr'});
    await using backup = new FtvmProcess(['tail', `tcp://${address}`, '-o', backupLogPath]);
    await recorder.waitFor(/backup joined: /, {stream: 'stderr'});
    await recorder.waitFor(FIVE_MORE_LINES);
    for (const host of [recorder, backup]) host.kill('SIGKILL');
    for (const host of [recorder, backup]) await host.exit();
    const winner = crypto.randomUUID();
    const lineageId = Buffer.from(recordsOfKind(logPath, 'header')[0].lineageId).toString('hex');
    const arbiter = await openArbiter(spec);
    assert.deepEqual(await arbiter.claim({lineageId, generation: 2, claimant: winner}), {kind: 'won'});
    await arbiter.close();

    const logs = [logPath, backupLogPath];
    const taken = new RegExp(`^error: generation 2 is taken by ${winner}: .*\nhint: .*--winner-died ${winner}`, 'm');
    const another = ['--winner-died', crypto.randomUUID()];
    for (const flags of [[], another, [...another, '--dry-run']]) {
      const refused = await runFtvm(['promote', ...logs, ...flags]);
      assert.equal(refused.exitCode, 107, refused.stderr);
      assert.match(refused.stderr, taken);
    }
    const dry = await runFtvm(['promote', ...logs, '--winner-died', winner, '--dry-run']);
    assert.equal(dry.exitCode, 0, dry.stderr);
    // On two hosts at once: one of them wins.
    const copies = logs.map((path) => path.replace('.ftlog', '.copy.ftlog'));
    for (const [index, path] of logs.entries()) copyFileSync(path, copies[index]);
    const hosts = [logs, copies].map((paths) => new FtvmProcess(['promote', ...paths, '--winner-died', winner]));
    await using stack = new AsyncDisposableStack();
    for (const host of hosts) stack.use(host);
    const lost = await Promise.race(hosts.map(async (host) => ({host, result: await host.exit()})));
    assert.equal(lost.result.exitCode, 107, lost.result.stderr);
    assert.match(lost.result.stderr, /generation 3 is taken by /);
    const won = hosts.find((host) => host !== lost.host)!;
    await won.waitFor(FIVE_MORE_LINES);
    won.write('stop\r');
    assert.equal((await won.exit()).exitCode, 0, won.stderr);
    const [carriedOn] = [...logs, ...copies].filter((path) => recordsOfKind(path, 'takeover').length > 0);
    assert.deepEqual(
      recordsOfKind(carriedOn, 'takeover').map(({generation}) => generation),
      [3],
    );
    const whole = await transcriptOf(carriedOn);
    checkShown([recorder.stdoutBytes, won.stdoutBytes], whole);
    checkHashChain(whole);
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
