// The installed package: bundled, without src and without the development dependencies' Node. It is laid out as `npm pack`
// would, and must do what the checkout does.

import assert from 'node:assert/strict';
import {spawnSync} from 'node:child_process';
import {cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {fileURLToPath} from 'node:url';
import {bundleProgram} from '../../build/bundle.ts';
import {generateInterpreter} from '../../src/emulator/wasm/interpreter-module.ts';
import {TRANSLATED_WHEN} from '../../src/session/hosted-machine.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));

describe('the installed package', () => {
  let folder = '';
  const run = (where: string, ...argv: string[]) =>
    spawnSync(process.execPath, [join(where, 'bin/run.js'), ...argv], {
      encoding: 'utf8',
      env: {...process.env, FORCE_COLOR: undefined, NO_COLOR: '1'},
    });
  before(async () => {
    folder = mkdtempSync(join(tmpdir(), 'ftvm-installed-'));
    for (const name of ['bin', 'package.json', 'fixtures'])
      cpSync(join(root, name), join(folder, name), {recursive: true});
    symlinkSync(join(root, 'node_modules'), join(folder, 'node_modules'));
    await bundleProgram(join(folder, 'dist'));
  });
  after(() => rmSync(folder, {recursive: true}));

  it('offers the same commands as the checkout', () => {
    const installed = run(folder, '--help');
    assert.equal(installed.stderr, '');
    assert.equal(installed.stdout, run(root, '--help').stdout);
    assert.match(installed.stdout, /COMMANDS/);
  });

  it('records what the checkout replays, with the interpreter that it brings', () => {
    const logPath = join(folder, 'hello.ftlog');
    const recorded = run(folder, 'record', 'hello', '-o', logPath);
    assert.equal(recorded.status, 0, recorded.stderr);
    const replayed = run(root, 'replay', logPath);
    assert.equal(replayed.status, 0, replayed.stderr);
    assert.match(replayed.stdout, /^identical: /);
    const brought = readFileSync(join(folder, 'dist/interpreter.wasm'));
    assert.deepEqual(brought, Buffer.from(generateInterpreter(TRANSLATED_WHEN)));
  });
});
