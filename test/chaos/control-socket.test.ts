// The control socket is also the lock of a log: of several sessions that find a dead one's socket, one gets its place. And nothing that
// is said to it ends a session.

import assert from 'node:assert/strict';
import {execFileSync} from 'node:child_process';
import {existsSync, lstatSync, readdirSync, writeFileSync} from 'node:fs';
import {createConnection} from 'node:net';
import {setTimeout as sleep} from 'node:timers/promises';
import {askControl, ControlServer, controlSocketPath, controlState} from '../../src/host/control-socket.ts';
import {Random} from '../differential/random.ts';
import {assertNamed} from '../e2e/ftvm-cli.ts';
import {FtvmProcess, runFtvm, TemporaryFolder} from '../support/ftvm.ts';
import {SEED} from './seed.ts';

const ROUNDS = 20;
const CONTENDERS = 5;

describe(`a control socket, seed ${SEED} (FTVM_TEST_SEED)`, function () {
  this.timeout(120_000);

  it(`of a dead session is taken by one of ${CONTENDERS} that want it, ${ROUNDS} times`, async () => {
    using folder = new TemporaryFolder();
    const paths = Array.from({length: ROUNDS}, (_, index) => folder.join(`${index}.sock`));
    leaveDeadSockets(paths);
    for (const path of paths) {
      assert.equal(await controlState(path), 'dead');
      const results = await Promise.allSettled(
        Array.from({length: CONTENDERS}, (_, index) =>
          ControlServer.listen(path, async () => ({ok: true, contender: index})),
        ),
      );
      const winners = results.flatMap((result) => (result.status === 'fulfilled' ? [result.value] : []));
      assert.equal(winners.length, 1, path);
      for (const result of results) {
        if (result.status === 'rejected') assert.match(String(result.reason), /a session is running already/);
      }
      assert.equal((await askControl(path, {command: 'status'}))['contender'], results.findIndex(isFulfilled));
      assert.equal(lstatSync(path).mode & 0o777, 0o600);
      winners[0].close();
      assert.ok(!existsSync(path));
    }
    assert.deepEqual(readdirSync(folder.path), []);
  });

  it('replaces no file that is none, and says when there is no folder', async () => {
    using folder = new TemporaryFolder();
    writeFileSync(folder.join('run.ftlog.sock'), 'precious');
    assertNamed(await runFtvm(['record', 'hello', '-o', folder.join('run.ftlog')]), 111, /it is there, and no socket/);
  });

  it('answers nonsense or closes, and the session goes on', async () => {
    using folder = new TemporaryFolder();
    const logPath = folder.join('run.ftlog');
    await using session = new FtvmProcess(['record', 'counter', '-o', logPath]);
    await session.waitFor(/line 000001/);
    const path = controlSocketPath(logPath);
    const random = new Random(SEED);
    const lines = [
      '',
      '\n',
      'promote\n',
      '{}\n',
      'null\n',
      '[]\n',
      '"status"\n',
      '{"command":7}\n',
      '{"command":"dance"}\n',
    ];
    for (const line of lines) {
      const answer = await say(path, Buffer.from(line));
      if (line.endsWith('\n')) assert.equal((JSON.parse(answer) as {ok: unknown}).ok, false, line);
    }
    // A line without an end, larger than any request.
    assert.match(await say(path, Buffer.alloc(1 << 20, 0x61)), /^$|a request has at most 65536 bytes/);
    for (let round = 0; round < 20; round += 1) {
      await say(path, Buffer.from(Array.from({length: 1 + random.below(3000)}, () => random.below(256))));
    }
    // One that never says anything keeps nobody from ending.
    const silent = createConnection(path);
    assert.equal((await askControl(path, {command: 'status'}))['role'], 'primary');
    session.write('stop\r');
    const {exitCode, stderr} = await session.exit();
    silent.destroy();
    assert.equal(exitCode, 0, stderr);
    assert.ok(!existsSync(path));
  });
});

function isFulfilled(result: PromiseSettledResult<unknown>): boolean {
  return result.status === 'fulfilled';
}

/** Sends bytes and returns what is answered within a moment, or until the other side closes. */
async function say(path: string, bytes: Uint8Array): Promise<string> {
  const socket = createConnection(path);
  let answer = '';
  const closed = new Promise((resolve) => socket.once('close', resolve));
  const answered = new Promise((resolve) =>
    socket.on('data', (data) => {
      answer += data.toString('latin1');
      resolve(undefined);
    }),
  );
  socket.on('error', () => {});
  socket.write(bytes);
  await Promise.race([closed, answered, sleep(200)]);
  socket.destroy();
  return answer;
}

/** Sockets whose process was killed. */
function leaveDeadSockets(paths: readonly string[]): void {
  const program = `
    const {createServer} = require('node:net');
    const paths = ${JSON.stringify(paths)};
    let left = paths.length;
    for (const path of paths) createServer().listen(path, () => --left || process.kill(process.pid, 'SIGKILL'));
  `;
  try {
    execFileSync(process.execPath, ['-e', program], {stdio: 'ignore'});
  } catch {
    // It was killed, as it should be.
  }
}
