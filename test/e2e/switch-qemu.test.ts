// A foreign peer of the switch: QEMU's `-netdev stream`, with a Debian of its own, exchanges pings and files with a Debian under ftvm. What
// ftvm's guest got from there stands in its log, and replays.

import assert from 'node:assert/strict';
import {debianGuest, GUEST_BUILD_TIMEOUT_MS} from '../guests/debian-guest.ts';
import {InteractiveQemu} from '../guests/qemu.ts';
import {FtvmProcess, TemporaryFolder} from '../support/ftvm.ts';
import {qemuMissing} from '../support/qemu.ts';
import {skipUnless} from '../support/skip.ts';
import {replayMustBeIdentical} from './ftvm-cli.ts';

const TIMEOUT_MS = 120_000;
const SERVER = '10.0.2.15';
/** Serves a file, then takes one and says what it was. */
const SERVE =
  'dd if=/dev/urandom of=/tmp/file bs=64k count=16; echo here $(md5sum < /tmp/file); nc -l -p 7000 < /tmp/file; echo back $(nc -l -p 7001 | md5sum)';
/** Fetches the file, and brings it back. The listener at the other end comes up a moment after the first has gone. */
const FETCH = `ping -c 3 ${SERVER}; nc ${SERVER} 7000 > /tmp/file; echo there $(md5sum < /tmp/file); sleep 1; nc ${SERVER} 7001 < /tmp/file`;

describe('QEMU at the switch', function () {
  this.timeout(GUEST_BUILD_TIMEOUT_MS);

  it('a Debian under QEMU and one under ftvm exchange pings and files, and the replay is identical', async function () {
    const missing = qemuMissing();
    skipUnless(this, missing === undefined, missing ?? '');
    const guest = await debianGuest(this);
    using folder = new TemporaryFolder();
    const [path, logPath] = [folder.join('lan.sock'), folder.join('run.ftlog')];
    await using lan = new FtvmProcess(['switch', '--port', `unix:${path}`]);
    await lan.waitFor(/plug in by/, {stream: 'stderr'});
    const command = (text: string, address: string): string =>
      `ip=${address}::10.0.2.2:255.255.255.0 ftvm.run="${text}"`;
    await using host = new FtvmProcess([
      ...['record', 'debian', '-o', logPath, '--append', command(SERVE, SERVER), '--net', `stream:unix:${path}`],
    ]);
    const [, here] = await host.waitFor(/here ([0-9a-f]{32})/, {timeoutMs: TIMEOUT_MS});
    using qemu = new InteractiveQemu([
      ...['-m', `${guest.ramBytes / 2 ** 20}M`, '-bios', guest.paths.firmware as string, '-kernel', guest.paths.kernel],
      ...['-initrd', guest.paths.initrd as string, '-append', `${guest.commandLine} ${command(FETCH, '10.0.2.16')}`],
      ...['-netdev', `stream,id=lan,server=off,addr.type=unix,addr.path=${path}`],
      ...['-device', 'virtio-net-device,netdev=lan,mac=52:54:00:00:00:16'],
    ]);
    await qemu.waitFor('3 packets received', TIMEOUT_MS);
    await qemu.waitFor(`there ${here}`, TIMEOUT_MS);
    const [, back] = await host.waitFor(/back ([0-9a-f]{32})/, {timeoutMs: TIMEOUT_MS});
    assert.equal(back, here);
    assert.equal((await host.exit(TIMEOUT_MS)).exitCode, 0);
    await replayMustBeIdentical(logPath, {timeoutMs: TIMEOUT_MS});
  });
});
