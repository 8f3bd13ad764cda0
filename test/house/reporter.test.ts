// The reporter judges every other test, so it is tested on runs of mocha of its own: its counts, its closing line, and each
// way in which a run must fail although no test did.

import assert from 'node:assert/strict';
import {spawnSync} from 'node:child_process';
import {mkdtempSync, rmSync, writeFileSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {fileURLToPath} from 'node:url';

const root = fileURLToPath(new URL('../..', import.meta.url));
const skipModule = JSON.stringify(join(root, 'test/support/skip.ts'));

describe('the reporter', () => {
  let folder = '';
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'ftvm-reporter-'));
  });
  afterEach(() => rmSync(folder, {recursive: true}));

  function runMocha(spec: string, environment: Record<string, string> = {}) {
    const file = join(folder, 'tiny.test.ts');
    writeFileSync(file, spec);
    const {status, stdout} = spawnSync(process.execPath, [join(root, 'node_modules/mocha/bin/mocha.js'), file], {
      cwd: root,
      encoding: 'utf8',
      env: {...process.env, FTVM_NO_SKIP: '', ...environment},
    });
    const lines = stdout.trimEnd().split('\n');
    return {status, stdout, lastLine: lines.at(-1)};
  }

  it('counts what passed', () => {
    const result = runMocha(`it('one', () => {}); it('two', () => {});`);
    assert.equal(result.lastLine, '2 passed, 0 failed, 0 skipped');
    assert.equal(result.status, 0);
  });

  it('fails with what failed', () => {
    const result = runMocha(`it('one', () => {}); it('two', () => { throw new Error('no'); });`);
    assert.equal(result.lastLine, '1 passed, 1 failed, 0 skipped');
    assert.notEqual(result.status, 0);
  });

  it('counts a failing hook as a failure', () => {
    const result = runMocha(`describe('x', () => { before(() => { throw new Error('no'); }); it('one', () => {}); });`);
    assert.equal(result.lastLine, '0 passed, 1 failed, 0 skipped');
    assert.notEqual(result.status, 0);
  });

  it('lists what was skipped, with the reason', () => {
    const result = runMocha(
      `import {skipUnless} from ${skipModule};
       it('runs', () => {});
       it('lone', function () { skipUnless(this, false, 'no moon'); });
       describe('suite', () => {
         before(function () { skipUnless(this, false, 'no sun'); });
         describe('inner', () => it('deep', () => {}));
       });
       it.skip('bare', () => {});`,
    );
    assert.match(result.stdout, /^skipped: lone: no moon$/m);
    assert.match(result.stdout, /^skipped: suite inner deep: no sun$/m);
    assert.match(result.stdout, /^skipped: bare: no reason given/m);
    assert.equal(result.lastLine, '1 passed, 0 failed, 3 skipped');
    assert.equal(result.status, 0);
  });

  it('fails what was skipped when FTVM_NO_SKIP=1', () => {
    const result = runMocha(`it('one', () => {}); it.skip('two', () => {});`, {FTVM_NO_SKIP: '1'});
    assert.equal(result.lastLine, '1 passed, 0 failed, 1 skipped');
    assert.notEqual(result.status, 0);
  });

  it('fails when no test ran', () => {
    const result = runMocha(`describe('empty', () => {});`);
    assert.match(result.stdout, /^failed: no test ran$/m);
    assert.equal(result.lastLine, '0 passed, 0 failed, 0 skipped');
    assert.notEqual(result.status, 0);
  });

  it('fails when a spec file cannot be loaded, and still closes with the line', () => {
    for (const spec of [`import './no-such-file.ts';`, `it('one', () => {`, `throw new Error('at load');`]) {
      const result = runMocha(spec);
      assert.equal(result.lastLine, '0 passed, 1 failed, 0 skipped');
      assert.notEqual(result.status, 0);
    }
  });
});
