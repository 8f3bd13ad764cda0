// A boot image is read whole, whatever kind of file it is, and hashed.

import assert from 'node:assert/strict';
import {execFileSync, spawn} from 'node:child_process';
import {createHash, randomBytes} from 'node:crypto';
import {writeFileSync} from 'node:fs';
import {readImageFile} from '../../src/host/image-file.ts';
import {TemporaryFolder} from '../support/ftvm.ts';

describe('an image file', () => {
  const content = randomBytes(3_000_000);
  const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

  it('is read and hashed, several at a time, small and large', async () => {
    using folder = new TemporaryFolder();
    const contents = [content, ...[5_000_000, 9_000_000, 4_194_304].map((lengthBytes) => randomBytes(lengthBytes))];
    const reads = contents.map(async (expected, n) => {
      const path = folder.join(`image${n}`);
      writeFileSync(path, expected);
      const image = await readImageFile(path);
      assert.equal(Buffer.compare(image.bytes, expected), 0);
      assert.equal(Buffer.from(image.sha256).toString('hex'), sha256(expected));
    });
    await Promise.all(reads);
  });

  it('may be empty, or a pipe', async () => {
    using folder = new TemporaryFolder();
    const empty = folder.join('empty');
    writeFileSync(empty, '');
    const nothing = await readImageFile(empty);
    assert.equal(nothing.bytes.length, 0);
    assert.equal(Buffer.from(nothing.sha256).toString('hex'), sha256(new Uint8Array()));
    const [source, pipe] = [folder.join('source'), folder.join('pipe')];
    writeFileSync(source, content);
    execFileSync('mkfifo', [pipe]);
    spawn('sh', ['-c', 'cat "$1" > "$2"', 'sh', source, pipe], {stdio: 'ignore'});
    const {bytes, sha256: digest} = await readImageFile(pipe);
    assert.equal(Buffer.from(digest).toString('hex'), sha256(content));
    assert.equal(Buffer.compare(bytes, content), 0);
  });

  it('that is a folder is refused', async () => {
    using folder = new TemporaryFolder();
    await assert.rejects(readImageFile(folder.join('.')), {code: 'EISDIR'});
  });
});
