// A boot image is read whole, whatever kind of file it is.

import assert from 'node:assert/strict';
import {execFileSync, spawn} from 'node:child_process';
import {createHash, randomBytes} from 'node:crypto';
import {writeFileSync} from 'node:fs';
import {readImageFile} from '../../src/host/image-file.ts';
import {TemporaryFolder} from '../support/ftvm.ts';

describe('an image file', () => {
  const content = randomBytes(3_000_000);
  const expected = createHash('sha256').update(content).digest('hex');

  it('is read and hashed', async () => {
    using folder = new TemporaryFolder();
    const path = folder.join('image');
    writeFileSync(path, content);
    const {bytes, sha256} = await readImageFile(path);
    assert.equal(Buffer.compare(bytes, content), 0);
    assert.equal(Buffer.from(sha256).toString('hex'), expected);
  });

  it('may be empty, or a pipe', async () => {
    using folder = new TemporaryFolder();
    const empty = folder.join('empty');
    writeFileSync(empty, '');
    assert.equal((await readImageFile(empty)).bytes.length, 0);
    const [source, pipe] = [folder.join('source'), folder.join('pipe')];
    writeFileSync(source, content);
    execFileSync('mkfifo', [pipe]);
    spawn('sh', ['-c', 'cat "$1" > "$2"', 'sh', source, pipe], {stdio: 'ignore'});
    const {bytes} = await readImageFile(pipe);
    assert.equal(Buffer.compare(bytes, content), 0);
  });

  it('that is a folder is refused', async () => {
    using folder = new TemporaryFolder();
    await assert.rejects(readImageFile(folder.join('.')), {code: 'EISDIR'});
  });
});
