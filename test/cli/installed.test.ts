// The installed package: compiled, without src and without the development dependencies' Node. It is laid out as `npm pack`
// would, and must offer the same commands as the checkout.

import assert from 'node:assert/strict';
import {spawnSync} from 'node:child_process';
import {cpSync, mkdtempSync, rmSync, symlinkSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {fileURLToPath} from 'node:url';

const root = fileURLToPath(new URL('../..', import.meta.url));

describe('the installed package', () => {
  let folder = '';
  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'ftvm-installed-'));
    for (const name of ['bin', 'package.json']) cpSync(join(root, name), join(folder, name), {recursive: true});
    symlinkSync(join(root, 'node_modules'), join(folder, 'node_modules'));
    const compiler = join(root, 'node_modules/.bin/tsc');
    const outDir = join(folder, 'dist');
    const {status, stdout} = spawnSync(compiler, ['-p', 'tsconfig.build.json', '--noCheck', '--outDir', outDir], {
      cwd: root,
      encoding: 'utf8',
    });
    assert.equal(status, 0, stdout);
  });
  after(() => rmSync(folder, {recursive: true}));

  it('offers the same commands as the checkout', () => {
    const help = (where: string) =>
      spawnSync(process.execPath, [join(where, 'bin/run.js'), '--help'], {
        encoding: 'utf8',
        env: {...process.env, FORCE_COLOR: undefined, NO_COLOR: '1'},
      });
    const installed = help(folder);
    assert.equal(installed.stderr, '');
    assert.equal(installed.stdout, help(root).stdout);
    assert.match(installed.stdout, /COMMANDS/);
  });
});
