// A feed from whole files: once it has said that there is no more, it asks the files no more. Whoever runs a log's guest beyond the log's
// last record asks the feed again for every step.

import assert from 'node:assert/strict';
import {readFileSync} from 'node:fs';
import {FileFeed} from '../../src/session/file-feed.ts';
import {runFtvm, TemporaryFolder} from '../support/ftvm.ts';

describe('a feed from a file', () => {
  it('does not look for more behind the end', async () => {
    using folder = new TemporaryFolder();
    const path = folder.join('run.ftlog');
    const {exitCode, stderr} = await runFtvm(['record', 'hello', '-o', path, '--ram', '2M', '--clock', 'virtual']);
    assert.equal(exitCode, 0, stderr);
    const parts = [new Uint8Array(readFileSync(path))];
    let reads = 0;
    const feed = await FileFeed.open(path, async () => ({
      next: async () => {
        reads += 1;
        return parts.shift() ?? new Uint8Array();
      },
      close: async () => {},
    }));
    let frames = 0;
    while ((await feed.next()) !== undefined) frames += 1;
    assert.ok(frames > 0);
    assert.equal(feed.end?.kind, 'whole');
    const readsToTheEnd = reads;
    for (let n = 0; n < 10; n += 1) assert.equal(await feed.next(), undefined);
    assert.equal(reads, readsToTheEnd);
  });
});
