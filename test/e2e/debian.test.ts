// Stock Debian end to end, in a process of its own as its user has it: recorded, typed at, replayed to the identical state. Where the
// guest cannot be built the suite skips, loudly; CI builds it.

import assert from 'node:assert/strict';
import {execFileSync} from 'node:child_process';
import {createHash} from 'node:crypto';
import {readFileSync, truncateSync, writeFileSync} from 'node:fs';
import {setTimeout as sleep} from 'node:timers/promises';
import {checkShown} from '../chaos/transcripts.ts';
import {debianGuest, GUEST_BUILD_TIMEOUT_MS} from '../guests/debian-guest.ts';
import {FtvmProcess, runFtvm, TemporaryFolder} from '../support/ftvm.ts';
import {hasCommand, skipUnless} from '../support/skip.ts';
import {digestLines, recordsOfKind, replayMustShow, transcriptOf} from './ftvm-cli.ts';

const READY = /root@debian:~# /;
const BOOT_TIMEOUT_MS = 60_000;
const MIB = 2 ** 20;
// A power-off does not wait for what the terminal has not sent yet, hence the `sleep 1` before each.

/** Written to the disk and read back: all that the issue promises where nobody waits for it. */
const FILE_BYTES = (process.env.CI === 'true' ? 64 : 8) * MIB;

describe('Debian, end to end', function () {
  this.timeout(GUEST_BUILD_TIMEOUT_MS);

  before(async function () {
    await debianGuest(this);
  });

  it('boots, its shell answers, and the replay shows the same transcript byte for byte', async () => {
    using folder = new TemporaryFolder();
    const logPath = folder.join('d.ftlog');
    await using running = new FtvmProcess(['record', 'debian', '-o', logPath]);
    await running.waitFor(READY, {timeoutMs: BOOT_TIMEOUT_MS});
    running.write('uname -mo; echo $((6 * 7)) is the answer\r');
    await running.waitFor(/^42 is the answer\r$/m);
    running.write('sleep 1; poweroff -f\r');
    const {exitCode, stderr} = await running.exit(BOOT_TIMEOUT_MS);
    assert.equal(exitCode, 0, stderr);
    assert.match(running.stdout, /^riscv64 GNU\/Linux\r$/m);
    assert.match(
      await replayMustShow(running.stdoutBytes, logPath),
      /^identical: \d+ records, [1-9]\d* digests over \d+ steps$/,
    );
  });

  it('gets a burst of 8 KB in the middle of its boot whole and in order, and replays', async () => {
    using folder = new TemporaryFolder();
    const logPath = folder.join('d.ftlog');
    await using running = new FtvmProcess(['record', 'debian', '-o', logPath]);
    // Nobody reads the console yet; the kernel is a second from its first process.
    await running.waitFor(/Linux version/, {timeoutMs: BOOT_TIMEOUT_MS});
    const body = burst(8192);
    running.write(
      `stty -echo\ncat > /tmp/burst <<'END OF BURST'\n${body}END OF BURST\nmd5sum < /tmp/burst; sleep 1\npoweroff -f\n`,
    );
    running.child.stdin.end();
    const {exitCode, stderr} = await running.exit(BOOT_TIMEOUT_MS);
    assert.equal(exitCode, 0, stderr);
    const [, digest] = /([0-9a-f]{32}) {2}-\r$/m.exec(running.stdout) ?? [];
    assert.equal(digest, createHash('md5').update(body).digest('hex'), running.stdout.slice(-2000));
    await replayMustShow(running.stdoutBytes, logPath);
  });

  it(`writes ${FILE_BYTES / MIB} MiB to ext4, reads them back, replays; the base image stays as it was`, async function () {
    skipUnless(this, hasCommand('mke2fs'), 'mke2fs is not installed (Debian: e2fsprogs)');
    using folder = new TemporaryFolder();
    const [logPath, diskPath] = [folder.join('d.ftlog'), folder.join('disk.img')];
    writeFileSync(diskPath, '');
    truncateSync(diskPath, FILE_BYTES * 2);
    execFileSync('mke2fs', ['-q', '-t', 'ext4', diskPath]);
    const before = sha256Of(diskPath);
    const command = [
      'mount /dev/vda /mnt',
      `for i in $(seq 42); do cat /usr/bin/busybox; done | head -c ${FILE_BYTES} > /mnt/f`,
      'md5sum /mnt/f',
      'sync',
      'echo 3 > /proc/sys/vm/drop_caches',
      'md5sum /mnt/f',
      'umount /mnt',
    ].join('; ');
    const argv = ['record', 'debian', '-o', logPath, '--disk', diskPath, '--append', `ftvm.run="${command}"`];
    await using running = new FtvmProcess(argv, {input: ''});
    const {exitCode, stderr} = await running.exit(180_000);
    assert.equal(exitCode, 0, stderr);
    const sums = [...running.stdout.matchAll(/^([0-9a-f]{32}) {2}\/mnt\/f\r$/gm)].map(([, sum]) => sum);
    assert.equal(sums.length, 2, running.stdout.slice(-2000));
    assert.equal(sums[0], sums[1]);
    const read = recordsOfKind(logPath, 'input').filter(({input}) => input.kind === 'disk').length;
    assert.ok(read > 10, `${read} completions of disk requests`);
    await replayMustShow(running.stdoutBytes, logPath, {timeoutMs: 180_000});
    assert.equal(sha256Of(diskPath), before);

    const changed = readFileSync(diskPath);
    changed[4096] ^= 1;
    writeFileSync(diskPath, changed);
    const refused = await runFtvm(['replay', logPath]);
    assert.equal(refused.exitCode, 105);
    assert.match(refused.stderr, new RegExp(`recorded: sha256 ${before}`));
    assert.match(refused.stderr, new RegExp(`found: +sha256 ${sha256Of(diskPath)}`));
  });

  it('is followed by a hot backup whose digests agree, and which carries on after a kill in mid-boot', async () => {
    using folder = new TemporaryFolder();
    const [logPath, backupLogPath] = [folder.join('d.ftlog'), folder.join('backup.ftlog')];
    await using primary = new FtvmProcess(['record', 'debian', '-o', logPath, '--listen', '127.0.0.1:0']);
    const [, address] = await primary.waitFor(/listening on (\S+)/, {stream: 'stderr'});
    await using backup = new FtvmProcess([
      'tail',
      `tcp://${address}`,
      '--from-start',
      '--digests',
      '-o',
      backupLogPath,
    ]);
    await primary.waitFor(/backup joined: /, {stream: 'stderr'});
    await primary.waitFor(/Run \/init as init process/, {timeoutMs: BOOT_TIMEOUT_MS});
    primary.kill();
    await primary.exit();
    const promoted = await runFtvm(['promote', backupLogPath]);
    assert.equal(promoted.exitCode, 0, promoted.stderr);
    await backup.waitFor(READY, {timeoutMs: BOOT_TIMEOUT_MS});
    backup.write('echo carried $((40 + 2)) on; sleep 1; poweroff -f\r');
    assert.equal((await backup.exit(BOOT_TIMEOUT_MS)).exitCode, 0);
    assert.match(backup.stdout, /^carried 42 on\r$/m);

    // Digests stand on stdout before it goes live; then stdout is the guest's console.
    const [, compared, console] = /^((?:\d+ [0-9a-f]{32}\n)*)([\s\S]*)$/.exec(backup.stdoutBytes.toString('latin1'))!;
    const recorded = digestLines(logPath);
    assert.ok(recorded.length > 0);
    assert.deepEqual(compared.trimEnd().split('\n'), recorded.slice(0, compared.trimEnd().split('\n').length));
    const whole = await transcriptOf(backupLogPath);
    checkShown([primary.stdoutBytes, Buffer.from(console, 'latin1')], whole);
  });

  it('killed in its boot and at its shell, is carried on to a shell that works', async () => {
    for (const [lifeMs, boot] of [
      [300, true],
      [900, true],
      [700, false],
    ] as const) {
      using folder = new TemporaryFolder();
      const logPath = folder.join('d.ftlog');
      await using recorder = new FtvmProcess(['record', 'debian', '-o', logPath]);
      await recorder.waitFor(boot ? /OpenSBI/ : READY, {timeoutMs: BOOT_TIMEOUT_MS});
      if (!boot) recorder.write('while true; do date +%s.%N | md5sum; done\r');
      await sleep(lifeMs);
      recorder.kill();
      await recorder.exit();
      assert.equal((await runFtvm(['dump', logPath])).exitCode, 103);
      await using live = new FtvmProcess(['promote', logPath]);
      if (boot) {
        // On a fast host it may have been at its shell already.
        if (READY.test(recorder.stdout)) live.write('\r');
        await live.waitFor(READY, {timeoutMs: BOOT_TIMEOUT_MS});
      } else {
        await live.waitFor(/(?:[0-9a-f]{32} {2}-\r\n){3}/, {timeoutMs: BOOT_TIMEOUT_MS});
        // The shell may miss one that comes between two of its loop's commands.
        while (!READY.test(live.stdout)) {
          live.write('\x03');
          await sleep(500);
        }
      }
      live.write('echo carried $((40 + 2)) on; sleep 1; poweroff -f\r');
      const {exitCode, stderr} = await live.exit(BOOT_TIMEOUT_MS);
      assert.equal(exitCode, 0, stderr);
      assert.match(live.stdout, /^carried 42 on\r$/m);
      const whole = await transcriptOf(logPath);
      checkShown([recorder.stdoutBytes, live.stdoutBytes], whole);
    }
  });
});

/** Lines of digits, none like another, so that a lost or moved one changes the sum. */
function burst(lengthBytes: number): string {
  let text = '';
  for (let n = 0; text.length < lengthBytes; n += 1) text += `line ${n} of the burst ${(n * 2654435761) >>> 0}\n`;
  return text;
}

function sha256Of(path: string): string {
  return createHash('sha256').update(readFileSync(path)).digest('hex');
}
