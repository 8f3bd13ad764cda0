// A backup that joins a busy Debian guest takes its state while it runs. The guest stands still for the last part only, and `status` says
// for how long.

import assert from 'node:assert/strict';
import type {SessionStatus} from '../../src/replication/session-status.ts';
import {debianGuest, GUEST_BUILD_TIMEOUT_MS} from '../guests/debian-guest.ts';
import {FtvmProcess, runFtvm, TemporaryFolder} from '../support/ftvm.ts';
import {replayMustBeIdentical} from './ftvm-cli.ts';

const BOOT_TIMEOUT_MS = 120_000;
const RAM_PAGES = 65_536;
/** Writes megabytes over and over, and says when it does. */
const BUSY = 'while :; do seq 1 200000 > /tmp/numbers; cp /tmp/numbers /tmp/copy; echo $((n += 1)) round; done\r';
/** What DESIGN 7 promises of a join. */
const PAUSE_LIMIT_MS = 100;

describe('a backup that joins late', function () {
  this.timeout(GUEST_BUILD_TIMEOUT_MS + 2 * BOOT_TIMEOUT_MS);

  before(async function () {
    await debianGuest(this);
  });

  it(`lets a busy Debian guest of 256 MB stand still for less than ${PAUSE_LIMIT_MS} ms`, async function () {
    using folder = new TemporaryFolder();
    const logPath = folder.join('run.ftlog');
    await using primary = new FtvmProcess([
      ...['record', 'debian', '--ram', '256M', '-o', logPath, '--listen', '127.0.0.1:0'],
    ]);
    await primary.waitFor(/root@debian:~# /, {timeoutMs: BOOT_TIMEOUT_MS});
    primary.write(BUSY);
    await primary.waitFor(/^3 round/m);
    assert.equal((await statusOf(logPath)).lastState, undefined);
    const [, address] = await primary.waitFor(/listening on (\S+:\d+)/, {stream: 'stderr'});
    const backupLogPath = folder.join('backup.ftlog');
    await using backup = new FtvmProcess(['tail', `tcp://${address}`, '-o', backupLogPath]);
    await primary.waitFor(/backup joined: /, {stream: 'stderr', timeoutMs: BOOT_TIMEOUT_MS});

    const {lastState} = await statusOf(logPath);
    assert.ok(lastState !== undefined);
    const {pauseMs, pages, follower} = lastState;
    (this.test as Mocha.Test).title += ` (${pauseMs} ms, ${pages} pages)`;
    assert.ok(pages > 0 && pages < RAM_PAGES / 16, `${pages} pages were left to the pause`);
    assert.ok(pauseMs < PAUSE_LIMIT_MS, `the guest stood still for ${pauseMs} ms (${pages} pages)`);
    const {stdout} = await runFtvm(['status', logPath]);
    assert.ok(
      stdout.includes(`state sent to ${follower}: the guest stood still for ${pauseMs} ms (${pages} pages)`),
      stdout,
    );

    primary.kill('SIGINT');
    await primary.exit();
    await backup.exit();
    await replayMustBeIdentical(backupLogPath, {timeoutMs: BOOT_TIMEOUT_MS});
  });
});

async function statusOf(logPath: string): Promise<SessionStatus & {role: 'primary'}> {
  const {exitCode, stdout, stderr} = await runFtvm(['status', logPath, '--json']);
  assert.equal(exitCode, 0, stderr);
  const status = JSON.parse(stdout) as SessionStatus;
  assert.ok(status.role === 'primary');
  return status;
}
