// The probe for fused multiplication and addition: the answer is the processor's, so every compiler of V8 gives the same one.

import assert from 'node:assert/strict';
import {execFileSync} from 'node:child_process';
import {fusesMultiplyAdd} from '../../src/host/fused-multiply-add.ts';
import {skipUnless} from '../support/skip.ts';

const PROBE = new URL('../../src/host/fused-multiply-add.ts', import.meta.url).href;

function askWith(flag: string): string {
  const program = `import {fusesMultiplyAdd} from ${JSON.stringify(PROBE)}; console.log(fusesMultiplyAdd());`;
  return execFileSync(process.execPath, [flag, '--input-type=module', '-e', program], {encoding: 'utf8'}).trim();
}

describe('the probe for fused multiplication and addition', () => {
  for (const flag of ['--liftoff-only', '--no-liftoff']) {
    it(`answers with ${flag} as without`, () => {
      assert.equal(askWith(flag), String(fusesMultiplyAdd()));
    });
  }

  it('finds out that the processor does not fuse', function () {
    skipUnless(this, process.arch === 'x64', 'only on x86 can V8 be told to do without');
    assert.equal(askWith('--no-enable-fma3'), 'false');
  });
});
