// The frame around the commands, seen from outside: messages, hints, exit codes, JSON, signals and a closed stdout.

import assert from 'node:assert/strict';
import {type ChildProcess, spawn, spawnSync} from 'node:child_process';
import {once} from 'node:events';
import {fileURLToPath} from 'node:url';

const program = fileURLToPath(new URL('./program.ts', import.meta.url));

function run(argv: readonly string[], environment: Record<string, string> = {}) {
  const {status, stdout, stderr} = spawnSync(process.execPath, [program, ...argv], {
    encoding: 'utf8',
    env: {...process.env, FORCE_COLOR: undefined, FTVM_DEBUG: '', NO_COLOR: '1', ...environment},
    timeout: 20_000,
  });
  return {status, stdout, stderr};
}

describe('a failing command', () => {
  it('shows the message, the hint and its exit code', () => {
    assert.deepEqual(run(['fail', 'divergence']), {
      status: 102,
      stdout: '',
      stderr: 'error: the replay diverged at position 12\nhint: see diff-state\n',
    });
  });

  it('is one line of JSON on stdout under --json', () => {
    const {status, stdout, stderr} = run(['fail', 'divergence', '--json']);
    assert.equal(status, 102);
    assert.equal(stderr, '');
    assert.deepEqual(JSON.parse(stdout), {
      error: {
        code: 'divergence',
        exitCode: 102,
        message: 'the replay diverged at position 12',
        hint: 'see diff-state',
        details: {position: '12', expected: 'ab01'},
      },
    });
    assert.equal(stdout.trimEnd().split('\n').length, 1);
  });

  for (const way of ['bug', 'type', 'rejection']) {
    it(`is a bug of ftvm when it is not an operating error: ${way}`, () => {
      const {status, stderr} = run(['fail', way]);
      assert.equal(status, 125);
      assert.match(stderr, /^error: a bug of ftvm: .+\nhint: .*report.*\n$/);
      const debugged = run(['fail', way], {FTVM_DEBUG: '1'});
      assert.equal(debugged.status, 125);
      assert.match(debugged.stderr, /\n {4}at /);
    });
  }

  it('is a bug of ftvm when it waits for something that will never happen', () => {
    const {status, stderr} = run(['fail', 'never']);
    assert.equal(status, 125);
    assert.match(stderr, /error: a bug of ftvm: .*never happen/);
  });

  it('names a file that is not there, and a port where nobody listens', () => {
    const file = run(['fail', 'file']);
    assert.equal(file.status, 111);
    assert.match(file.stderr, /^error: ENOENT.*\/no\/such\/file.*\nhint: check the path.*\n$/);
    const network = run(['fail', 'network']);
    assert.equal(network.status, 112);
    assert.match(network.stderr, /^error: .*ECONNREFUSED.*\nhint: .*\n$/);
  });

  for (const argv of [
    ['fail', '--nonsense'],
    ['fail'],
    ['fail', 'sideways'],
    ['nonsense'],
    ['succeed', '--code', 'x'],
  ]) {
    it(`is a usage error: ${argv.join(' ')}`, () => {
      const {status, stdout, stderr} = run(argv);
      assert.equal(status, 101);
      assert.equal(stdout, '');
      assert.match(stderr, /^error: /);
      assert.match(stderr, /\nhint: see `ftvm .*--help`\n$/);
      assert.doesNotMatch(stderr, /\n\s+at /);
      const {error} = JSON.parse(run([...argv, '--json']).stdout);
      assert.equal(error.code, 'usage');
    });
  }
});

describe('a command that succeeds', () => {
  it('writes for people, or one line of JSON', () => {
    assert.deepEqual(run(['succeed']), {status: 0, stdout: 'for people\n', stderr: 'a note\n'});
    assert.deepEqual(run(['succeed', '--json']), {
      status: 0,
      stdout: '{"position":"7","digest":"00ff"}\n',
      stderr: 'a note\n',
    });
  });

  it("passes a guest's exit code on", () => {
    assert.equal(run(['succeed', '--code', '42']).status, 42);
  });
});

describe('a command that is interrupted', () => {
  const children: ChildProcess[] = [];
  afterEach(() => {
    for (const child of children.splice(0)) child.kill('SIGKILL');
  });

  async function start(...argv: string[]) {
    const child = spawn(process.execPath, [program, 'wait', ...argv], {stdio: ['ignore', 'pipe', 'pipe']});
    children.push(child);
    let stderr = '';
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      stderr += text;
    });
    const exit = once(child, 'close');
    await once(child.stdout, 'data');
    return {child, exit, stderr: () => stderr};
  }

  for (const [signal, exitCode] of [
    ['SIGINT', 130],
    ['SIGTERM', 143],
  ] as const) {
    it(`ends in order on ${signal}, with ${exitCode}`, async () => {
      const {child, exit, stderr} = await start();
      child.kill(signal);
      assert.deepEqual(await exit, [exitCode, null]);
      assert.equal(stderr(), `ended in order: ${signal}\n`);
    });

    it(`ends at once on ${signal} when it does not listen, with ${exitCode}`, async () => {
      const {child, exit, stderr} = await start('--deaf');
      child.kill(signal);
      assert.deepEqual(await exit, [exitCode, null]);
      assert.equal(stderr(), '');
    });
  }

  it('ends at once on a second signal', async () => {
    const {child, exit} = await start('--stubborn');
    child.kill('SIGINT');
    await new Promise((resolve) => setTimeout(resolve, 500));
    child.kill('SIGINT');
    assert.deepEqual(await exit, [130, null]);
  });

  it('ends quietly when its reader is gone', async () => {
    const {child, exit, stderr} = await start('--flood');
    child.stdout?.destroy();
    assert.deepEqual(await exit, [0, null]);
    assert.equal(stderr(), 'ended in order: stdout closed\n');
  });
});
