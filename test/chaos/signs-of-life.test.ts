// What tells that the other host lives: a channel that is held up is no death while datagrams come, and does not hold the guest for ever;
// datagrams that are blocked are none while the channel flows.

import assert from 'node:assert/strict';
import {setTimeout as sleep} from 'node:timers/promises';
import {recordsOfKind, replayMustBeIdentical} from '../e2e/ftvm-cli.ts';
import {SlowChannel} from '../e2e/slow-channel.ts';
import {FtvmProcess, runFtvm, TemporaryFolder} from '../support/ftvm.ts';
import {NetworkNamespace, needNamespaces} from '../support/network-namespace.ts';
import {hasCommand, skipUnless} from '../support/skip.ts';

const TAKEOVER_MS = 1000;
const TIMING = ['--heartbeat', '100', '--takeover', String(TAKEOVER_MS)];
const DROP_DATAGRAMS =
  'table inet mute {\nchain input { type filter hook input priority 0; meta l4proto udp drop; }\n}';

describe('signs of life', function () {
  this.timeout(120_000);

  it('a channel that is held up while datagrams come: nobody takes over, and the primary goes on without its backup', async () => {
    using folder = new TemporaryFolder();
    const logPath = folder.join('run.ftlog');
    const backupLogPath = folder.join('backup.ftlog');
    const arbiter = `dir:${folder.path}`;
    await using primary = new FtvmProcess([
      ...['record', 'counter', '-o', logPath, '--listen', '127.0.0.1:0', '--arbiter', arbiter],
      ...TIMING,
    ]);
    const [, port] = await primary.waitFor(/listening on 127\.0\.0\.1:(\d+)/, {stream: 'stderr'});
    using channel = await SlowChannel.open({port: Number(port), delayMs: 0});
    await using backup = new FtvmProcess([
      ...['tail', `tcp://${channel.address}`, '-o', backupLogPath, '--auto-promote', '--listen', '127.0.0.1:0'],
      ...TIMING,
    ]);
    await primary.waitFor(/backup joined: /, {stream: 'stderr'});
    await primary.waitFor(/line 000005/);
    assert.ok((await datagramsSilentMs(logPath)) < TAKEOVER_MS);

    channel.hold();
    await primary.waitFor(
      /backup lost: .*: it lives, and has acknowledged nothing for 3000 ms\n[\s\S]*going on alone, generation 2/,
      {
        stream: 'stderr',
      },
    );
    const [, seen] = await primary.waitFor(/line (\d{6})(?![\s\S]*line)/);
    await primary.waitFor(new RegExp(`line ${String(Number(seen) + 3).padStart(6, '0')}`));
    // Only now does the backup hear nothing any more, and finds the generation taken.
    await backup.waitFor(/primary lost: nothing was heard for 1000 ms\n[\s\S]*generation 2 is another's/, {
      stream: 'stderr',
    });
    assert.doesNotMatch(backup.stderr, /live from/);
    primary.write('stop\r');
    assert.equal((await primary.exit()).exitCode, 0);
    assert.equal(recordsOfKind(logPath, 'takeover').length, 1);
    await replayMustBeIdentical(logPath);
  });

  it('datagrams that are blocked while the channel flows: nobody takes over, and whoever dies is noticed as before', async function () {
    needNamespaces(this);
    skipUnless(this, hasCommand('nft'), 'nft is missing (Debian: nftables)');
    using folder = new TemporaryFolder();
    using host = new NetworkNamespace('mute');
    const {prefix} = host;
    const logPath = folder.join('run.ftlog');
    const backupLogPath = folder.join('backup.ftlog');
    const arbiter = `dir:${folder.path}`;
    await using primary = new FtvmProcess(
      ['record', 'counter', '-o', logPath, '--listen', '127.0.0.1:0', '--arbiter', arbiter, ...TIMING],
      {prefix},
    );
    const [, address] = await primary.waitFor(/listening on (127\.0\.0\.1:\d+)/, {stream: 'stderr'});
    await using backup = new FtvmProcess(
      ['tail', `tcp://${address}`, '-o', backupLogPath, '--auto-promote', '--listen', '127.0.0.1:0', ...TIMING],
      {prefix},
    );
    await primary.waitFor(/backup joined: /, {stream: 'stderr'});
    await primary.waitFor(/line 000005/);
    assert.ok((await datagramsSilentMs(logPath)) < TAKEOVER_MS);

    host.run(['nft', '-f', '-'], DROP_DATAGRAMS);
    await sleep(3 * TAKEOVER_MS);
    assert.ok((await datagramsSilentMs(logPath)) > 2 * TAKEOVER_MS, 'datagrams were not blocked');
    assert.match((await runFtvm(['status', logPath])).stdout, /ms behind, no heartbeat datagrams for \d+ s$/m);
    assert.doesNotMatch(primary.stderr, /backup lost/);
    assert.doesNotMatch(backup.stderr, /primary lost/);
    assert.equal(recordsOfKind(logPath, 'takeover').length, 0);

    primary.kill('SIGSTOP');
    await backup.waitFor(/primary lost: nothing was heard for 1000 ms[\s\S]*live from position/, {stream: 'stderr'});
    primary.kill('SIGCONT');
    assert.equal((await primary.exit()).exitCode, 107, primary.stderr);
    backup.write('stop\r');
    assert.equal((await backup.exit()).exitCode, 0);
    await replayMustBeIdentical([logPath, backupLogPath]);
  });
});

/** How long ago the primary heard the last heartbeat datagram of its follower. */
async function datagramsSilentMs(logPath: string): Promise<number> {
  const {stdout} = await runFtvm(['status', logPath, '--json']);
  const [follower] = (JSON.parse(stdout) as {followers: {datagramsSilentMs?: number}[]}).followers;
  assert.ok(follower?.datagramsSilentMs !== undefined, `no heartbeat datagram was heard: ${stdout}`);
  return follower.datagramsSilentMs;
}
