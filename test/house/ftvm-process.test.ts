// The helper that runs ftvm for other tests: it must see an early end and a silence, and leave no process behind.

import assert from 'node:assert/strict';
import {existsSync} from 'node:fs';
import {FtvmProcess, runFtvm, TemporaryFolder} from '../support/ftvm.ts';

describe('the helper that runs ftvm', () => {
  it('returns exit code and output', async () => {
    const {exitCode, stdout, stderr} = await runFtvm(['--version']);
    assert.deepEqual({exitCode, stderr}, {exitCode: 0, stderr: ''});
    assert.match(stdout, /^ftvm\//);
    assert.equal((await runFtvm(['nonsense'])).exitCode, 101);
  });

  it('finds a text, and says what came instead when the program ended without it', async () => {
    await using help = new FtvmProcess(['--help']);
    assert.equal((await help.waitFor(/ftvm \[(\w+)\]/))[1], 'COMMAND');
    await assert.rejects(help.waitFor(/no such text/), /ended with 0 before stdout matched[\s\S]*USAGE/);
  });

  it('kills on disposal', async () => {
    const running = new FtvmProcess(['--help']);
    await running[Symbol.asyncDispose]();
    assert.notEqual(running.child.signalCode ?? running.child.exitCode, null);
  });

  it('removes a temporary folder', () => {
    let path = '';
    {
      using folder = new TemporaryFolder();
      path = folder.path;
      assert.ok(existsSync(path));
    }
    assert.ok(!existsSync(path));
  });
});
