// The logs of hosts that carried a guest one after another are one history: replayed in order they are identical. What contradicts another
// log, or is in the wrong order, is refused.

import assert from 'node:assert/strict';
import {copyFileSync} from 'node:fs';
import {recordsOfKind} from '../e2e/ftvm-cli.ts';
import {FtvmProcess, runFtvm, TemporaryFolder} from '../support/ftvm.ts';

const THREE_MORE_LINES = /line \d+ [0-9a-f]{16}\n(?:.*\n){3}/;

describe('the logs of several hosts', function () {
  this.timeout(60_000);
  let folder: TemporaryFolder;
  /** What the first host had written when it died; two hosts that both went on from there; one that went on after the first of them. */
  let [dead, one, other, last] = ['', '', '', ''];

  before(async () => {
    folder = new TemporaryFolder();
    [dead, one, other, last] = ['dead', 'one', 'other', 'last'].map((name) => folder.join(`${name}.ftlog`));
    await runUntilKilled(['record', 'counter', '-o', dead]);
    copyFileSync(dead, one);
    await runUntilKilled(['promote', one]);
    copyFileSync(dead, other);
    await runUntilKilled(['promote', other]);
    copyFileSync(one, last);
    await using session = new FtvmProcess(['promote', last]);
    await session.waitFor(THREE_MORE_LINES);
    session.write('stop\r');
    assert.equal((await session.exit()).exitCode, 0);
  });
  after(() => folder?.[Symbol.dispose]());

  it('are verified from power-on across every takeover', async () => {
    assert.equal(recordsOfKind(last, 'takeover').length, 2);
    const whole = await runFtvm(['replay', last]);
    assert.match(whole.stdout, /^identical: /);
    for (const paths of [
      [dead, one, last],
      [dead, last],
      [one, last],
    ]) {
      const {exitCode, stdout, stderr} = await runFtvm(['replay', ...paths]);
      assert.equal(exitCode, 0, stderr);
      assert.equal(stdout, whole.stdout);
    }
  });

  it('of which two went on from the same point contradict each other', async () => {
    for (const paths of [
      [one, other],
      [dead, other, last],
    ]) {
      const {exitCode, stderr} = await runFtvm(['replay', ...paths]);
      assert.equal(exitCode, 104, stderr);
      assert.match(
        stderr,
        /does not continue .*contradict each other behind byte \d+ \(outputs left through the \d+th/,
      );
    }
  });

  it('are refused in the wrong order', async () => {
    const {exitCode, stderr} = await runFtvm(['replay', last, dead]);
    assert.equal(exitCode, 104, stderr);
    assert.match(stderr, /contradict each other behind byte \d+ \(the second one does not take over there\)/);
    assert.match(stderr, /in the order in which they carried the guest/);
  });
});

async function runUntilKilled(argv: readonly string[]): Promise<void> {
  await using session = new FtvmProcess(argv);
  await session.waitFor(THREE_MORE_LINES);
  session.kill('SIGKILL');
  await session.exit();
}
