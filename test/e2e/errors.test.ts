// What can be wrong with what a user gives: each ends with a message that names it, a hint where there is something to do, and the exit
// code of its cause; never with a stack trace, a hang or silence.

import assert from 'node:assert/strict';
import {copyFileSync, existsSync, mkdirSync, readFileSync, statSync, truncateSync, writeFileSync} from 'node:fs';
import {createServer} from 'node:net';
import {fileURLToPath} from 'node:url';
import {readLog} from '../../src/logformat/log-reader.ts';
import {LogWriter} from '../../src/logformat/log-writer.ts';
import {encodePreamble} from '../../src/logformat/preamble.ts';
import type {LogRecord} from '../../src/logformat/record.ts';
import {startOfLineage} from '../../src/logformat/stream-point.ts';
import {debianGuest, GUEST_BUILD_TIMEOUT_MS} from '../guests/debian-guest.ts';
import {FtvmProcess, runFtvm, TemporaryFolder} from '../support/ftvm.ts';
import {assertNamed, recordsOfKind} from './ftvm-cli.ts';

const GUEST_FOLDER = fileURLToPath(new URL('../../fixtures/guests/bin/', import.meta.url));
const HELLO = `${GUEST_FOLDER}hello.elf`;
const TWO_DIGESTS = /recorded: sha256 [0-9a-f]{64}, \d+ bytes\n +found: +sha256 [0-9a-f]{64}, \d+ bytes\nhint: /;

describe('what is wrong is named', function () {
  this.timeout(120_000);
  const folder = new TemporaryFolder();
  let files = 0;
  const fresh = (extension = '.ftlog'): string => folder.join(`${(files += 1)}${extension}`);

  after(() => folder[Symbol.dispose]());

  /** Writes a file and gives back its path. */
  const file = (content: Uint8Array | string, extension?: string): string => {
    const path = fresh(extension);
    writeFileSync(path, content);
    return path;
  };

  const refused = async (argv: string[], exitCode: number, message: RegExp): Promise<void> =>
    assertNamed(await runFtvm(argv), exitCode, message);

  const recorded = async (argv: string[]): Promise<string> => {
    const path = fresh();
    const {exitCode, stderr} = await runFtvm(['record', ...argv, '-o', path]);
    assert.equal(exitCode, 0, stderr);
    return path;
  };

  describe('in a log', () => {
    it('what is none', async () => {
      mkdirSync(folder.join('folder'));
      for (const command of ['replay', 'dump', 'tail', 'promote']) {
        await refused(
          [command, file('no log at all, but a text that is long enough to be one\n'.repeat(9))],
          109,
          /not .*log/,
        );
        await refused([command, HELLO], 109, /not .*log/);
        await refused([command, folder.join('nowhere.ftlog')], 111, /no such file/);
        await refused([command, folder.join('folder')], 111, /it is a folder/);
      }
      for (const command of ['replay', 'promote']) await refused([command, file('')], 103, /ends before its header/);
    });

    it('another machine version, with the ftvm to install', async () => {
      const path = await recorded(['hello']);
      rewriteHeader(path, (header) => ({...header, machineVersion: header.machineVersion + 1, ftvmVersion: '9.8.7'}));
      for (const command of ['replay', 'tail', 'promote']) {
        await refused(
          [command, path],
          106,
          /machine version 2; this is ftvm .* with machine version 1\nhint: .*ftvm@9\.8\.7/,
        );
      }
    });

    it('another memory: a divergence with its position and both digests', async () => {
      const path = await recorded(['hello']);
      rewriteHeader(path, (header) => ({...header, config: {...header.config, ramBytes: 128 << 20}}));
      await refused(
        ['replay', path],
        102,
        /diverged at position \d+: \w+ expected .*[0-9a-f]{32}, got .*[0-9a-f]{32}\n/,
      );
    });

    it('another time: a divergence as well', async () => {
      const path = await recorded(['counter-100', '--clock', 'virtual']);
      rewriteHeader(path, (header) => ({...header, config: {...header.config, stepsPerTick: 21}}));
      await refused(['replay', path], 102, /diverged at position \d+: /);
    });

    it('another kernel, with both digests; the right one may lie elsewhere', async () => {
      const kernel = folder.join('kernel.elf');
      copyFileSync(HELLO, kernel);
      const path = await recorded([kernel]);
      copyFileSync(`${GUEST_FOLDER}timer.elf`, kernel);
      for (const command of ['replay', 'tail', 'promote']) await refused([command, path], 105, TWO_DIGESTS);
      const found = await runFtvm(['replay', path, '--kernel', HELLO]);
      assert.equal(found.exitCode, 0, found.stderr);
    });

    it('another disk, with both digests', async () => {
      const disk = file(Buffer.alloc(1 << 20), '.img');
      const path = await recorded(['disk', '--disk', disk]);
      const changed = readFileSync(disk);
      changed[changed.length - 1] = 1;
      await refused(['replay', path, '--disk', file(changed, '.img')], 105, TWO_DIGESTS);
      await refused(['replay', path, '--disk', file(changed.subarray(512), '.img')], 105, TWO_DIGESTS);
      truncateSync(disk, 512);
      await refused(['replay', path], 105, TWO_DIGESTS);
    });

    it('another initrd, with both digests', async function () {
      this.timeout(GUEST_BUILD_TIMEOUT_MS);
      await debianGuest(this);
      const path = fresh();
      await using recorder = new FtvmProcess(['record', 'debian', '-o', path]);
      await recorder.waitFor(/Linux version/);
      recorder.kill('SIGINT');
      assert.equal((await recorder.exit()).exitCode, 130);
      const initrd = recordsOfKind(path, 'header')[0].artefacts.find(({role}) => role === 'initrd')!.pathHint;
      const changed = readFileSync(initrd);
      changed[1000] ^= 1;
      await refused(['replay', path, '--initrd', file(changed, '.cpio')], 105, TWO_DIGESTS);
      const {kernel} = {
        kernel: recordsOfKind(path, 'header')[0].artefacts.find(({role}) => role === 'kernel')!.pathHint,
      };
      await refused(['record', kernel, '-o', fresh()], 101, /--bios/);
      await refused(['record', 'debian', '--ram', '32M', '-o', fresh()], 110, /RAM/);
    });

    it('parts that do not belong together', async () => {
      const [one, other] = [await recorded(['hello']), await recorded(['hello'])];
      await refused(['replay', one, other], 104, /does not continue/);
    });
  });

  describe('in an image', () => {
    it('that is none, or of another machine', async () => {
      const elf = readFileSync(HELLO);
      const [other32, otherMachine] = [Buffer.from(elf), Buffer.from(elf)];
      other32[4] = 1;
      otherMachine[18] = 62;
      await refused(['record', process.execPath, '-o', fresh()], 110, /ELF|machine/);
      await refused(['record', file(otherMachine, '.elf'), '-o', fresh()], 110, /x86-64|machine/);
      await refused(['record', file(other32, '.elf'), '-o', fresh()], 110, /32/);
      for (const length of [0, 16, 64, 100, elf.length >> 1]) {
        const path = file(elf.subarray(0, length), '.elf');
        const {exitCode, stderr} = await runFtvm(['record', path, '-o', fresh()]);
        // What is cut off behind the last segment is not missed.
        if (exitCode !== 0) assert.equal(exitCode, 110, stderr);
        else assert.ok(length > elf.length >> 1, `${length} bytes of ${elf.length} were run`);
      }
      await refused(['record', file('#!/bin/sh\necho hello\n', '.elf'), '-o', fresh()], 110, /ELF|Image/);
      await refused(['record', folder.path, '-o', fresh()], 111, /folder|directory/);
      await refused(['record', 'no-such-guest', '-o', fresh()], 111, /no-such-guest/);
    });

    it('that does not fit its memory or has a strange disk', async () => {
      await refused(['record', 'hello', '--ram', '0', '-o', fresh()], 101, /RAM|--ram/);
      await refused(['record', 'hello', '--ram', '3G7', '-o', fresh()], 101, /--ram/);
      await refused(['record', 'hello', '--ram', '64G', '-o', fresh()], 101, /RAM/);
      await refused(['record', 'disk', '--disk', folder.join('nowhere.img'), '-o', fresh()], 111, /no such file/);
      await refused(['record', 'disk', '--disk', file('abc', '.img'), '-o', fresh()], 110, /512/);
      await refused(['record', 'disk', '--disk', folder.path, '-o', fresh()], 110, /no regular file/);
    });
  });

  describe('in the place for a log', () => {
    it('a log that is there, and is left as it is without --force', async () => {
      const path = file('precious');
      await refused(['record', 'hello', '-o', path], 111, /it exists already\nhint: /);
      assert.equal(readFileSync(path, 'utf8'), 'precious');
      assert.equal((await runFtvm(['record', 'hello', '-o', path, '--force'])).exitCode, 0);
      assert.equal((await runFtvm(['replay', path])).exitCode, 0);
      assert.equal(statSync(path).mode & 0o777, 0o600);
    });

    it('no folder, a folder, and one in which nothing can be made', async () => {
      await refused(['record', 'hello', '-o', folder.join('no', 'such', 'run.ftlog')], 111, /no such file or folder/);
      await refused(['record', 'hello', '-o', folder.path], 111, /it is a folder/);
      await refused(['record', 'hello', '-o', '/proc/run.ftlog'], 111, /\/proc\/run\.ftlog/);
    });

    it('a full disk from the start', async () => {
      const result = await runFtvm(['record', 'hello', '-o', '/dev/full']);
      assertNamed(result, 111, /no space left on the device/);
      assert.equal(result.stdout, '', 'what no log covers was shown');
      assert.ok(!existsSync('/dev/full.sock'));
    });

    it('a disk that fills up: the session ends, its log is good, and promote carries it on', async () => {
      const path = fresh();
      // Files of at most 4 KiB: a full disk without privileges.
      await using limited = new FtvmProcess(['record', 'counter', '-o', path], {fileLimitKibibytes: 4});
      limited.write('rate 2000\r');
      const typing = setInterval(() => limited.write(`say ${'x'.repeat(90)}\r`), 5);
      const full = await limited.exit().finally(() => clearInterval(typing));
      assertNamed(full, 111, /the file would become too large/);
      assert.ok(statSync(path).size <= 4096);
      const torn = await runFtvm(['replay', path, '--console']);
      assert.equal(torn.exitCode, 103, torn.stderr);
      assert.ok(torn.stdout.startsWith(full.stdout), 'what no log covers was shown');
      await using live = new FtvmProcess(['promote', path]);
      await live.waitFor(/(line .*\n){3}/);
      live.write('stop\r');
      assert.equal((await live.exit()).exitCode, 0);
      assert.equal((await runFtvm(['replay', path])).exitCode, 0);
    });

    it('for a state', async () => {
      const path = await recorded(['hello']);
      await refused(['replay', path, '--save-state', folder.path], 111, /folder/);
      await refused(['replay', path, '--save-state', '/dev/full'], 111, /no space left/);
    });
  });

  describe('in an address', () => {
    it('a port that is occupied, nobody who listens, another host, and nonsense', async () => {
      const occupier = createServer().listen(0, '127.0.0.1');
      try {
        await new Promise((resolve) => occupier.once('listening', resolve));
        const {port} = occupier.address() as {port: number};
        await refused(['record', 'hello', '-o', fresh(), '--listen', `127.0.0.1:${port}`], 112, /occupied\nhint: /);
      } finally {
        occupier.close();
      }
      const log = fresh();
      await refused(['tail', 'tcp://127.0.0.1:1', '-o', log], 112, /nobody listens there\nhint: /);
      assert.ok(!existsSync(log), 'a log was left behind');
      for (const address of ['127.0.0.1', '127.0.0.1:70000', ':1', 'tcp:/x', '[::1:7']) {
        await refused(['record', 'hello', '-o', fresh(), '--listen', address], 101, /not an address/);
      }
    });
  });

  it('in the command line', async () => {
    for (const argv of [
      ['record'],
      ['replay'],
      ['tail'],
      ['promote'],
      ['dump'],
      ['recrod', 'hello'],
      ['record', 'hello', '--nonsense'],
      ['record', 'hello', '--clock', 'sun'],
      ['replay', 'x.ftlog', '--to', 'later'],
      ['replay', 'x.ftlog', '--to', '-1'],
    ]) {
      const result = await runFtvm(argv, {cwd: folder.path});
      assert.equal(result.exitCode, 101, `${argv.join(' ')}: ${result.stderr}`);
      assert.match(result.stderr, /^error: [\s\S]*hint: .*\n$/, argv.join(' '));
      assert.doesNotMatch(result.stderr, /^\s+at /m);
    }
  });

  it('as JSON too', async () => {
    const result = await runFtvm(['replay', folder.join('nowhere.ftlog'), '--json']);
    assert.equal(result.exitCode, 111);
    const {error} = JSON.parse(result.stdout) as {error: Record<string, unknown>};
    assert.equal(error['code'], 'fileSystem');
    assert.equal(error['exitCode'], 111);
    assert.match(String(error['message']), /no such file/);
  });
});

/** Writes the log anew with another header: as somebody would who wants to cheat. */
function rewriteHeader(
  path: string,
  change: (header: Extract<LogRecord, {kind: 'header'}>) => Extract<LogRecord, {kind: 'header'}>,
): void {
  const {frames} = readLog(new Uint8Array(readFileSync(path)));
  const [{records}] = frames;
  const start = startOfLineage((records[0] as Extract<LogRecord, {kind: 'header'}>).lineageId);
  const writer = new LogWriter(start);
  const pieces = [encodePreamble({startsWith: 'powerOn', point: start})];
  for (const {records, releasedThrough} of frames) {
    for (const record of records) writer.append(record.kind === 'header' ? change(record) : record);
    pieces.push(writer.takeFrame({releasedThrough})!);
  }
  writeFileSync(path, Buffer.concat(pieces));
}
