// Redis that syncs each write to its disk before it answers, on two hosts that are killed at once: from their files the guest goes on with
// every write that was acknowledged, in its memory and on its disk. FTVM_KILLS=20 kills them as often.

import assert from 'node:assert/strict';
import {execFileSync} from 'node:child_process';
import {truncateSync, writeFileSync} from 'node:fs';
import {createConnection, type Socket} from 'node:net';
import {setTimeout as sleep} from 'node:timers/promises';
import {SEED} from '../chaos/seed.ts';
import {Random} from '../differential/random.ts';
import {debianGuest, GUEST_BUILD_TIMEOUT_MS} from '../guests/debian-guest.ts';
import {FtvmProcess, TemporaryFolder} from '../support/ftvm.ts';
import {hasCommand, skipUnless} from '../support/skip.ts';
import {recordsOfKind, replayMustBeIdentical} from './ftvm-cli.ts';
import {freePort} from './lan.ts';

const GUEST_ADDRESS = '10.0.2.15';
const REDIS = [
  'redis-server --bind 0.0.0.0 --protected-mode no --dir /mnt --save 900 1000000',
  '--appendonly yes --appendfsync always --enable-debug-command yes',
].join(' ');
const APPEND = `ip=${GUEST_ADDRESS}::10.0.2.2:255.255.255.0 ftvm.run="mount /dev/vda /mnt && ${REDIS}"`;
const DISK_BYTES = 64 << 20;
const BOOT_TIMEOUT_MS = 180_000;
/** Both hosts die so often. */
const ROUNDS = Number(process.env['FTVM_KILLS'] ?? 1);
const LONGEST_LIFE_MS = 2000;

describe(`Redis with appendfsync always, seed ${SEED} (FTVM_TEST_SEED)`, function () {
  this.timeout(GUEST_BUILD_TIMEOUT_MS + ROUNDS * 120_000);

  before(async function () {
    skipUnless(this, hasCommand('mke2fs'), 'mke2fs is not installed (Debian: e2fsprogs)');
    await debianGuest(this, ['redis-server']);
  });

  it(`both hosts are killed at once (${ROUNDS} times): every acknowledged write is there`, async function () {
    const random = new Random(SEED);
    using folder = new TemporaryFolder();
    const diskPath = folder.join('disk.img');
    writeFileSync(diskPath, '');
    truncateSync(diskPath, DISK_BYTES);
    execFileSync('mke2fs', ['-q', '-F', '-t', 'ext4', diskPath]);
    const socketPath = folder.join('lan.sock');
    const port = await freePort();
    await using network = new FtvmProcess([
      ...['switch', '--port', `unix:${socketPath}`, '--uplink', 'passt'],
      ...['--forward', `127.0.0.1:${port}:${GUEST_ADDRESS}:6379`],
    ]);
    const [said] = await network.waitFor(/plug in by|^error: .*\n.*/m, {stream: 'stderr'});
    skipUnless(this, !said.startsWith('error: no uplink'), said);
    const net = ['--net', `stream:unix:${socketPath}`];
    const serving = [...net, '--listen', '127.0.0.1:0'];

    let logPath = folder.join('host-0.ftlog');
    let primary = new FtvmProcess([
      ...['record', 'debian-redis-server', '-o', logPath, '--disk', diskPath, '--append', APPEND],
      ...['--arbiter', `dir:${folder.path}`, ...serving],
    ]);
    try {
      await primary.waitFor(/Ready to accept connections/, {timeoutMs: BOOT_TIMEOUT_MS});
      const writer = new Writer(port);
      for (let round = 1; round <= ROUNDS; round += 1) {
        const [, address] = await primary.waitFor(/listening on (127\.0\.0\.1:\d+)/, {stream: 'stderr'});
        const backupLogPath = folder.join(`host-${round}.ftlog`);
        await using backup = new FtvmProcess(['tail', `tcp://${address}`, '-o', backupLogPath, ...net]);
        await primary
          .waitFor(/backup joined: /, {stream: 'stderr', timeoutMs: BOOT_TIMEOUT_MS})
          .catch((error: Error) => {
            throw new Error(`${error.message}\n--- the backup's stderr\n${backup.stderr}`, {cause: error});
          });
        await writer.start();
        await writer.reach(writer.acknowledged + 10);
        await sleep(random.below(LONGEST_LIFE_MS));
        const hosts = random.below(2) === 0 ? [primary, backup] : [backup, primary];
        for (const host of hosts) host.kill('SIGKILL');
        writer.stop();
        for (const host of hosts) await host.exit();

        const paths = [logPath, backupLogPath];
        primary = new FtvmProcess(['promote', ...paths, ...serving]);
        await primary.waitFor(/live from position/, {stream: 'stderr', timeoutMs: BOOT_TIMEOUT_MS});
        const [longest] = /^.* is the longest/m.exec(primary.stderr) ?? [];
        logPath = paths.find((path) => longest?.startsWith(path)) ?? logPath;
        await writer.check();
      }
      primary.kill('SIGINT');
      await primary.exit();
    } finally {
      await primary[Symbol.asyncDispose]();
    }
    assert.equal(recordsOfKind(logPath, 'takeover').length, ROUNDS);
    assert.ok(recordsOfKind(logPath, 'input').some(({input}) => input.kind === 'disk'));
    await replayMustBeIdentical(logPath, {timeoutMs: BOOT_TIMEOUT_MS});
  });
});

/** Appends 1, 2, 3, … to a list, each after the last was acknowledged. */
class Writer {
  readonly #port: number;
  #socket: Socket | undefined;
  #received = '';
  #written = 0;
  #failure: Error | undefined;
  acknowledged = 0;

  constructor(port: number) {
    this.#port = port;
  }

  /** Connects, and goes on behind what is there. */
  async start(): Promise<void> {
    this.#socket = await this.#connect();
    this.#received = '';
    this.#socket.on('data', (text: string) => this.#answer(text));
    this.#write();
  }

  async reach(count: number): Promise<void> {
    for (const deadlineMs = performance.now() + 60_000; this.acknowledged < count; ) {
      if (this.#failure !== undefined) throw this.#failure;
      assert.ok(performance.now() < deadlineMs, `${this.acknowledged} writes are acknowledged, ${count} were awaited`);
      await sleep(5);
    }
  }

  stop(): void {
    this.#socket?.destroy();
  }

  /** What was acknowledged is in the list, and nothing but it and what was under way; so it is after Redis has read its disk again. */
  async check(): Promise<void> {
    if (this.#failure !== undefined) throw this.#failure;
    const {acknowledged} = this;
    // The write that was under way is sent again by TCP, also to the guest that goes on: what has not come yet shall not come later.
    for (const before of ['CLIENT KILL TYPE normal\r\n', 'DEBUG LOADAOF\r\n']) {
      const list = await this.#ask(`${before}LRANGE list 0 -1\r\n`);
      const expected = Array.from({length: list.length}, (_, n) => String(n + 1));
      assert.deepEqual(list, expected, 'the list has gaps');
      const extra = list.length - acknowledged;
      assert.ok(
        extra === 0 || extra === 1,
        `${acknowledged} writes were acknowledged, ${list.length} are there after ${before}`,
      );
      this.#written = list.length;
      this.acknowledged = list.length;
    }
  }

  /** The elements of the array that comes last. */
  async #ask(question: string): Promise<string[]> {
    const socket = await this.#connect();
    let received = '';
    try {
      socket.write(question);
      for await (const text of socket) {
        received += text;
        const array = /\*(\d+)\r\n((?:\$\d+\r\n\d+\r\n)*)$/.exec(received);
        const items = array === null ? [] : [...array[2].matchAll(/\$\d+\r\n(\d+)\r\n/g)].map(([, item]) => item);
        if (array !== null && items.length === Number(array[1])) return items;
        assert.doesNotMatch(received, /^-/m);
      }
      throw new Error(`the connection was closed after ${JSON.stringify(received)}`);
    } finally {
      socket.destroy();
    }
  }

  async #connect(): Promise<Socket> {
    const socket = createConnection({host: '127.0.0.1', port: this.#port, noDelay: true});
    await new Promise<void>((resolve, reject) => socket.once('connect', resolve).once('error', reject));
    socket.on('error', () => {});
    return socket.setEncoding('utf8');
  }

  #write(): void {
    this.#written += 1;
    this.#socket?.write(`RPUSH list ${this.#written}\r\n`);
  }

  #answer(text: string): void {
    this.#received += text;
    for (let end = this.#received.indexOf('\r\n'); end >= 0; end = this.#received.indexOf('\r\n')) {
      const line = this.#received.slice(0, end);
      this.#received = this.#received.slice(end + 2);
      if (line !== `:${this.#written}`) this.#failure ??= new Error(`${this.#written} was answered by ${line}`);
      this.acknowledged = this.#written;
      this.#write();
    }
  }
}
