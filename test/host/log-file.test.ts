// LogFileWriter and LogFileReader on real files, and the writer on a disk that fills up in the middle of a write.

import assert from 'node:assert/strict';
import {spawnSync} from 'node:child_process';
import {appendFile, chmod, mkdir, mkdtemp, readFile, rm, stat, writeFile} from 'node:fs/promises';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {setTimeout as sleep} from 'node:timers/promises';
import {FtvmError} from '../../src/errors.ts';
import {LogFileReader, LogFileWriter, type WritableFile} from '../../src/host/log-file.ts';
import {skipUnless} from '../support/skip.ts';

describe('LogFileWriter', () => {
  let folder = '';
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'ftvm-log-file-'));
  });
  afterEach(() => rm(folder, {recursive: true}));

  it('creates a file of mode 0600 and appends in order', async () => {
    const path = join(folder, 'run.ftlog');
    const writer = await LogFileWriter.create(path, {overwrite: false});
    const frames = Array.from({length: 50}, (_, index) => new Uint8Array(100 + index).fill(index));
    await Promise.all(frames.map((frame) => writer.append(frame)));
    await writer.sync();
    await writer.close();
    assert.equal((await stat(path)).mode & 0o777, 0o600);
    assert.deepEqual(await readFile(path), Buffer.concat(frames));
    assert.equal(writer.sizeBytes, Buffer.concat(frames).length);
    assert.equal(writer.queuedBytes, 0);
  });

  it('refuses what exists, unless told to overwrite', async () => {
    const path = join(folder, 'run.ftlog');
    await writeFile(path, 'old');
    await rejectsWith(LogFileWriter.create(path, {overwrite: false}), 'EEXIST');
    await (await LogFileWriter.create(path, {overwrite: true})).close();
    assert.equal((await readFile(path)).length, 0);
  });

  it('writes to a device', async () => {
    const writer = await LogFileWriter.create('/dev/null', {overwrite: false});
    await writer.append(new Uint8Array(10));
    await writer.sync();
    await writer.close();
  });

  it('cuts a torn tail off and carries on behind it', async () => {
    const path = join(folder, 'run.ftlog');
    await writeFile(path, 'wholetorn');
    const writer = await LogFileWriter.continue(path, {sizeBytes: 5});
    await writer.append(new TextEncoder().encode('more'));
    await writer.close();
    assert.equal(await readFile(path, 'utf8'), 'wholemore');
  });

  it('names what the operating system refuses', async () => {
    await mkdir(join(folder, 'folder'));
    await rejectsWith(LogFileWriter.create(join(folder, 'folder'), {overwrite: true}), 'EISDIR');
    await rejectsWith(LogFileWriter.create(join(folder, 'none', 'run.ftlog'), {overwrite: false}), 'ENOENT');
    await rejectsWith(LogFileWriter.continue(join(folder, 'none'), {sizeBytes: 0}), 'ENOENT');
    await rejectsWith(LogFileReader.open(join(folder, 'none')), 'ENOENT');
    await assert.rejects(LogFileReader.open(join(folder, 'folder')), /it is a folder/);
    await writeFile(join(folder, 'file'), '');
    await rejectsWith(LogFileWriter.create(join(folder, 'file', 'run.ftlog'), {overwrite: false}), 'ENOTDIR');
  });

  it('says so when it has no permission', async () => {
    await chmod(folder, 0o500);
    // Root may write anywhere, and becomes nobody for this one test.
    const isRoot = process.geteuid?.() === 0;
    if (isRoot) process.seteuid?.(65_534);
    try {
      await rejectsWith(LogFileWriter.create(join(folder, 'run.ftlog'), {overwrite: false}), 'EACCES');
    } finally {
      if (isRoot) process.seteuid?.(0);
      await chmod(folder, 0o700);
    }
  });

  it('keeps whole frames only when the disk fills up in the middle of one', async () => {
    for (const capacityBytes of [0, 1, 99, 100, 101, 250, 300]) {
      const disk = new FullDisk(capacityBytes);
      const writer = new LogFileWriter(disk, {path: 'run.ftlog', sizeBytes: 0});
      const results = await Promise.allSettled(
        [1, 2, 3, 4].map((fill) => writer.append(new Uint8Array(100).fill(fill))),
      );
      const wholeFrames = Math.floor(capacityBytes / 100);
      assert.equal(disk.content.length, wholeFrames * 100);
      assert.equal(writer.sizeBytes, wholeFrames * 100);
      const expected = results.map((_, index) => (index < wholeFrames ? 'fulfilled' : 'rejected'));
      assert.deepEqual(
        results.map(({status}) => status),
        expected,
      );
      await rejectsWith(writer.append(new Uint8Array(1)), 'ENOSPC');
      await rejectsWith(writer.sync(), 'ENOSPC');
    }
  });

  it('reports the full device of the operating system', async () => {
    const writer = await LogFileWriter.create('/dev/full', {overwrite: false});
    await rejectsWith(writer.append(new Uint8Array(10)), 'ENOSPC');
    await writer.close();
  });

  it('keeps whole frames only on a real file system that is full', async function () {
    const mounted = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=64k', 'tmpfs', folder]);
    skipUnless(this, mounted.status === 0, 'mounting a small file system needs root');
    try {
      const path = join(folder, 'run.ftlog');
      const writer = await LogFileWriter.create(path, {overwrite: false});
      const frames = Array.from({length: 100}, () => writer.append(new Uint8Array(1000).fill(1)));
      await Promise.allSettled(frames);
      await rejectsWith(writer.append(new Uint8Array(1)), 'ENOSPC');
      await writer.close();
      assert.equal((await stat(path)).size, writer.sizeBytes);
      assert.equal(writer.sizeBytes % 1000, 0);
      assert.ok(writer.sizeBytes > 50_000);
    } finally {
      spawnSync('umount', [folder]);
    }
  });
});

describe('LogFileReader', () => {
  let folder = '';
  let path = '';
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'ftvm-log-file-'));
    path = join(folder, 'run.ftlog');
    await writeFile(path, 'first');
  });
  afterEach(() => rm(folder, {recursive: true, force: true}));

  it('reads what is there, then what comes', async () => {
    const reader = await LogFileReader.open(path);
    assert.equal(text(await reader.next()), 'first');
    assert.equal((await reader.next()).length, 0);
    const growth = reader.waitForGrowth();
    await appendFile(path, ' second');
    assert.equal(await growth, 'grown');
    assert.equal(text(await reader.next()), ' second');
    assert.equal(reader.offset, 12);
    await reader.close();
  });

  it('starts at an offset', async () => {
    const reader = await LogFileReader.open(path, {offset: 2});
    assert.equal(text(await reader.next()), 'rst');
    await reader.close();
  });

  it('stops waiting when told to, or when the time is up', async () => {
    const reader = await LogFileReader.open(path);
    await reader.next();
    const abort = new AbortController();
    const waiting = reader.waitForGrowth({signal: abort.signal});
    await sleep(5);
    abort.abort();
    assert.equal(await waiting, 'aborted');
    assert.equal(await reader.waitForGrowth({signal: abort.signal}), 'aborted');
    assert.equal(await reader.waitForGrowth({timeoutMs: 10}), 'timeout');
    await reader.close();
  });

  it('says so when the file is replaced or cut while it is followed', async () => {
    const reader = await LogFileReader.open(path);
    await reader.next();
    const cut = assert.rejects(reader.waitForGrowth(), isVanished);
    await writeFile(path, 'new');
    await cut;
    const removed = assert.rejects(reader.waitForGrowth({timeoutMs: 5000}), isVanished);
    await rm(path);
    await removed;
    await reader.close();
  });
});

function isVanished(error: unknown): boolean {
  return error instanceof FtvmError && error.code === 'peerVanished';
}

/** A file on a disk of `capacityBytes`: it takes what fits, then fails, as write(2) does. */
class FullDisk {
  content: Uint8Array = new Uint8Array(0);
  readonly #capacityBytes: number;

  constructor(capacityBytes: number) {
    this.#capacityBytes = capacityBytes;
  }

  write: WritableFile['write'] = (async (bytes: Uint8Array, offset: number, length: number) => {
    const room = this.#capacityBytes - this.content.length;
    if (room <= 0) throw Object.assign(new Error('full'), {code: 'ENOSPC'});
    const part = bytes.subarray(offset, offset + Math.min(length, room));
    this.content = Buffer.concat([this.content, part]);
    return {bytesWritten: part.length, buffer: bytes};
  }) as WritableFile['write'];

  async truncate(lengthBytes?: number): Promise<void> {
    this.content = this.content.slice(0, lengthBytes);
  }

  async datasync(): Promise<void> {}

  async close(): Promise<void> {}
}

async function rejectsWith(promise: Promise<unknown>, errno: string): Promise<void> {
  await assert.rejects(promise, (error: unknown) => {
    assert.ok(error instanceof FtvmError, String(error));
    assert.equal(error.code, 'fileSystem');
    assert.equal(error.details['errno'], errno);
    assert.ok(error.hint);
    return true;
  });
}

function text(bytes: Uint8Array): string {
  return new TextDecoder().decode(bytes);
}
