// A pause is a record: the guest stands still on whichever host has it, is taken for dead by nobody, and goes on when it is told to.

import assert from 'node:assert/strict';
import {setTimeout as sleep} from 'node:timers/promises';
import type {LogRecord} from '../../src/logformat/record.ts';
import {checkHashChain} from '../support/fixture-guests.ts';
import {FtvmProcess, runFtvm, TemporaryFolder} from '../support/ftvm.ts';
import {assertNamed, recordsOf, replayMustBeIdentical, transcriptOf} from './ftvm-cli.ts';

const TIMING = ['--heartbeat', '50', '--takeover', '1000'];
/** Longer than the take-over time. */
const PAUSE_MS = 1500;

describe('pause and resume', function () {
  this.timeout(120_000);

  it('a paused guest stands still, is not taken for dead, stays paused on the next host, and goes on there', async () => {
    using folder = new TemporaryFolder();
    const logPath = folder.join('run.ftlog');
    const backupLogPath = folder.join('backup.ftlog');
    const arbiter = `dir:${folder.path}`;
    await using primary = new FtvmProcess([
      ...['record', 'counter', '-o', logPath, '--listen', '127.0.0.1:0', '--arbiter', arbiter],
      ...TIMING,
    ]);
    const [, address] = await primary.waitFor(/listening on (127\.0\.0\.1:\d+)/, {stream: 'stderr'});
    await using backup = new FtvmProcess([
      ...['tail', `tcp://${address}`, '-o', backupLogPath, '--auto-promote', '--listen', '127.0.0.1:0'],
      ...TIMING,
    ]);
    await primary.waitFor(/backup joined: /, {stream: 'stderr'});
    await primary.waitFor(/line 000005/);

    const {position} = await ask<{position: string}>(['pause', logPath]);
    const shown = primary.stdoutBytes.length;
    await sleep(PAUSE_MS);
    assert.equal(primary.stdoutBytes.length, shown);
    const quiesced = await ask<{position: string; paused: boolean}>(['pause', logPath, '--quiesce']);
    assert.deepEqual(quiesced, {position, paused: true});
    const {paused, unreleasedOutputs} = await ask<{paused: boolean; unreleasedOutputs: number}>(['status', logPath]);
    assert.deepEqual({paused, unreleasedOutputs}, {paused: true, unreleasedOutputs: 0});
    assert.doesNotMatch(backup.stderr, /lost/);
    assertNamed(await runFtvm(['resume', backupLogPath]), 101, /follows the guest/);

    primary.kill('SIGKILL');
    await backup.waitFor(/the guest is paused: ftvm resume/, {stream: 'stderr'});
    await sleep(PAUSE_MS);
    assert.equal(backup.stdoutBytes.length, 0);
    assert.equal((await ask<{position: string}>(['status', backupLogPath])).position, position);
    await ask(['resume', backupLogPath]);
    await backup.waitFor(/(?:line \d+ [0-9a-f]{16}\n){3}/);
    backup.write('stop\r');
    assert.equal((await backup.exit()).exitCode, 0);

    const whole = await transcriptOf(backupLogPath);
    checkHashChain(whole);
    assert.equal(whole.toString(), `${primary.stdout}${backup.stdout}`);
    await replayMustBeIdentical(backupLogPath);
    const around = recordsOf(backupLogPath).filter((record) => record.position === BigInt(position));
    assert.deepEqual(
      around.map(describeRecord).filter((text) => text !== 'output' && text !== 'digest'),
      [...['pause', 'quiesce', 'takeover', 'resume', 'clock']],
    );
    // The guest's clock has caught up by what the pause took: it did not notice more than the time.
    const clock = around.at(-1);
    assert.ok(clock?.kind === 'input' && clock.input.kind === 'clock');
  });

  it('a log that ends in a pause is carried on in it; nobody answers for one that nobody runs', async () => {
    using folder = new TemporaryFolder();
    const logPath = folder.join('run.ftlog');
    {
      await using session = new FtvmProcess(['record', 'counter', '-o', logPath]);
      await session.waitFor(/line 000003/);
      await ask(['pause', logPath]);
      session.kill('SIGKILL');
      await session.exit();
    }
    assertNamed(await runFtvm(['pause', logPath]), 113, /no session writes or follows/);
    await using promoted = new FtvmProcess(['promote', logPath]);
    await promoted.waitFor(/the guest is paused/, {stream: 'stderr'});
    await ask(['resume', logPath]);
    await promoted.waitFor(/line \d+/);
    promoted.write('stop\r');
    assert.equal((await promoted.exit()).exitCode, 0);
    await replayMustBeIdentical(logPath);
  });
});

async function ask<T>(argv: readonly string[]): Promise<T> {
  const {exitCode, stdout, stderr} = await runFtvm([...argv, '--json']);
  assert.equal(exitCode, 0, `${argv.join(' ')}: ${stderr}${stdout}`);
  return JSON.parse(stdout) as T;
}

function describeRecord(record: LogRecord): string {
  if (record.kind === 'control') return record.action;
  return record.kind === 'input' ? record.input.kind : record.kind;
}
