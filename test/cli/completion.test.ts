// Completion: what oclif's plugin generates for bash is sourced by a bash, which then completes as if somebody pressed Tab.

import assert from 'node:assert/strict';
import {execFileSync} from 'node:child_process';
import {runFtvm, TemporaryFolder} from '../support/ftvm.ts';
import {hasCommand, skipUnless} from '../support/skip.ts';

const COMPLETE = `
source "$1"; shift
COMP_WORDS=("$@"); COMP_CWORD=$(( $# - 1 ))
_ftvm_autocomplete
printf '%s\\n' "\${COMPREPLY[@]}"
`;

describe('completion in bash', () => {
  let folder: TemporaryFolder;
  let script = '';
  before(async function () {
    skipUnless(this, hasCommand('bash'), 'there is no bash');
    folder = new TemporaryFolder();
    const environment = {XDG_CACHE_HOME: folder.path};
    const {exitCode, stdout, stderr} = await runFtvm(['autocomplete', 'bash'], {environment});
    assert.equal(exitCode, 0, stderr);
    assert.match(stdout, /ftvm autocomplete script bash/);
    script = folder.join('ftvm/autocomplete/functions/bash/ftvm.bash');
  });
  after(() => folder?.[Symbol.dispose]());

  const complete = (...words: string[]): string[] => {
    const text = execFileSync('bash', ['--norc', '-c', COMPLETE, 'bash', script, 'ftvm', ...words], {encoding: 'utf8'});
    return text.split('\n').filter((word) => word !== '');
  };

  it('knows commands, topics and flags', () => {
    for (const command of ['record', 'replay', 'tail', 'promote', 'dump', 'demo', 'diff-state', 'status', 'guest'])
      assert.ok(complete('').includes(command), command);
    assert.deepEqual(complete('re'), ['record', 'replay', 'resume']);
    assert.deepEqual(complete('guest', ''), ['build', 'list']);
    assert.deepEqual(complete('guest', 'build', ''), ['debian']);
    assert.deepEqual(complete('record', '--li'), ['--listen']);
    assert.deepEqual(complete('replay', '--save'), ['--save-state']);
  });
});
