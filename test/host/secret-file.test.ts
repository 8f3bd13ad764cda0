// The file that holds the shared secret: used as it stands, refused when others could know it.

import assert from 'node:assert/strict';
import {execFileSync} from 'node:child_process';
import {randomBytes} from 'node:crypto';
import {chmodSync, chownSync, mkdirSync, symlinkSync, writeFileSync} from 'node:fs';
import {FtvmError} from '../../src/errors.ts';
import {readSecretFile} from '../../src/host/secret-file.ts';
import {TemporaryFolder} from '../support/ftvm.ts';
import {hasCommand, skipUnless} from '../support/skip.ts';

describe('a secret file', () => {
  let folder: TemporaryFolder;
  let path: string;
  beforeEach(() => {
    folder = new TemporaryFolder();
    path = folder.join('pair.secret');
  });
  afterEach(() => folder[Symbol.dispose]());

  const write = (bytes: Uint8Array | string, mode = 0o600): void => {
    writeFileSync(path, bytes);
    chmodSync(path, mode);
  };
  const refuses = async (message: RegExp, code = 'usage', hint = /./): Promise<void> => {
    await assert.rejects(readSecretFile(path), (error) => {
      assert.ok(error instanceof FtvmError, String(error));
      assert.equal(error.code, code);
      assert.match(error.message, message);
      assert.match(error.hint ?? '', hint);
      return true;
    });
  };

  it('is used byte by byte', async () => {
    for (const secret of [randomBytes(32), randomBytes(4096), Buffer.from(`${randomBytes(32).toString('hex')}\n`)]) {
      write(secret);
      assert.deepEqual(Buffer.from(await readSecretFile(path)), secret);
    }
    write(randomBytes(32), 0o400);
    await readSecretFile(path);
  });

  it('may be what the documentation says', async () => {
    execFileSync('sh', ['-c', '(umask 077; head -c 32 /dev/urandom > "$0")', path]);
    assert.equal((await readSecretFile(path)).length, 32);
  });

  it('is refused when others may read or change it', async () => {
    for (const mode of [0o640, 0o604, 0o620, 0o602, 0o644, 0o666, 0o610]) {
      write(randomBytes(32), mode);
      await refuses(new RegExp(`mode is 0${mode.toString(8)}`), 'usage', /chmod 600/);
    }
    // A link does not hide the file's own mode.
    const link = folder.join('link');
    symlinkSync(path, link);
    path = link;
    await refuses(/mode is/);
  });

  it('is refused when it belongs to somebody else', async function () {
    skipUnless(this, process.geteuid?.() === 0, 'giving a file away needs root');
    write(randomBytes(32));
    chownSync(path, 65_534, 65_534);
    await refuses(/another user/);
  });

  it('is refused when it is too short, too long, or not random', async () => {
    write('');
    await refuses(/0 bytes/, 'usage', /urandom/);
    write(randomBytes(31));
    await refuses(/31 bytes/);
    write(randomBytes(4097));
    await refuses(/more than 4096/);
    write(new Uint8Array(64));
    await refuses(/not random/);
    write('abcabc'.repeat(10));
    await refuses(/not random/);
  });

  it('is refused when it is no file', async function () {
    await refuses(/no such file/i, 'fileSystem');
    mkdirSync(path, {mode: 0o700});
    await refuses(/not a regular file|folder/);
    path = '/dev/zero';
    await refuses(/not a regular file/);
    skipUnless(this, hasCommand('mkfifo'), 'mkfifo is not installed');
    path = folder.join('fifo');
    execFileSync('mkfifo', ['-m', '600', path]);
    await refuses(/not a regular file/);
  });
});
