// bin/run.js: which Node runs the program, and what an old one says. The old Node is this one with another version number.

import assert from 'node:assert/strict';
import {spawn, spawnSync} from 'node:child_process';
import {once} from 'node:events';
import {cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {fileURLToPath} from 'node:url';

const root = fileURLToPath(new URL('../..', import.meta.url));
const OLD_NODE = `data:text/javascript,${encodeURIComponent(
  `Object.defineProperty(process, 'versions', {value: {...process.versions, node: '20.1.0'}});`,
)}`;

describe('bin/run.js', () => {
  let folder = '';
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'ftvm-run-'));
    cpSync(join(root, 'bin'), join(folder, 'bin'), {recursive: true});
    writeFileSync(join(folder, 'package.json'), '{"type": "module"}');
  });
  afterEach(() => rmSync(folder, {recursive: true}));

  function writeProgram(body: string): void {
    mkdirSync(join(folder, 'src/cli'), {recursive: true});
    writeFileSync(
      join(folder, 'src/cli/main.ts'),
      `export async function main(options: {argv: string[]}) { ${body} }\n`,
    );
  }

  function pinNode(): void {
    mkdirSync(join(folder, 'node_modules/.bin'), {recursive: true});
    symlinkSync(process.execPath, join(folder, 'node_modules/.bin/node'));
  }

  const command = (...argv: string[]) => ['--import', OLD_NODE, join(folder, 'bin/run.js'), ...argv];

  it('shows help and the version', () => {
    const help = spawnSync(process.execPath, [join(root, 'bin/run.js'), '--help'], {encoding: 'utf8'});
    assert.equal(help.status, 0);
    assert.match(help.stdout, /USAGE\n {2}\$ ftvm \[COMMAND\]/);
    const version = spawnSync(process.execPath, [join(root, 'bin/run.js'), '--version'], {encoding: 'utf8'});
    assert.match(version.stdout, /^ftvm\/\d+\.\d+\.\d+ /);
  });

  it('says on an old Node what is missing, without a stack', () => {
    const {status, stdout, stderr} = spawnSync(process.execPath, command(), {encoding: 'utf8'});
    assert.equal(status, 114);
    assert.equal(stdout, '');
    assert.match(
      stderr,
      /^error: ftvm needs Node 24 or newer; this is Node 20\.1\.0 .*\nhint: install Node 24, or .*npm ci.*\n$/,
    );
  });

  it('names a pinned Node that was not unpacked', () => {
    mkdirSync(join(folder, 'node_modules/node'), {recursive: true});
    const {status, stderr} = spawnSync(process.execPath, command(), {encoding: 'utf8'});
    assert.equal(status, 114);
    assert.match(stderr, /hint: .*--ignore-scripts.*npm rebuild node/);
  });

  it('hands over to the pinned Node, with arguments and exit code', () => {
    pinNode();
    writeProgram(
      `console.log(process.versions.node, JSON.stringify(options.argv), process.env.FTVM_REEXECUTED); process.exitCode = 7;`,
    );
    const {status, stdout} = spawnSync(process.execPath, command('a b', '--c'), {encoding: 'utf8'});
    assert.equal(stdout, `${process.versions.node} ["a b","--c"] undefined\n`);
    assert.equal(status, 7);
  });

  it('hands on a signal, and reports a death by one', async () => {
    pinNode();
    writeProgram(`setInterval(() => {}, 1000); console.log('ready');`);
    const child = spawn(process.execPath, command(), {stdio: ['ignore', 'pipe', 'inherit']});
    const exit = once(child, 'exit');
    await once(child.stdout, 'data');
    child.kill('SIGTERM');
    assert.deepEqual(await exit, [143, null]);
  });

  it('leaves nothing behind when it is killed with SIGKILL', async () => {
    pinNode();
    writeProgram(`setInterval(() => {}, 1000); console.log('ready');`);
    const child = spawn(process.execPath, command(), {stdio: ['ignore', 'pipe', 'inherit']});
    await once(child.stdout, 'data');
    child.stdout.resume();
    child.kill('SIGKILL');
    // The inner process holds the pipe: its end is the death of both.
    await once(child.stdout, 'end');
  });
});
