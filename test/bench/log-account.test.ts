// The account of a log: every byte of the file is in it, once.

import assert from 'node:assert/strict';
import {statSync} from 'node:fs';
import {fileURLToPath} from 'node:url';
import {accountOf, spentBetween, totalOf} from '../../bench/log-account.ts';
import {FORMAT_VERSION} from '../../src/logformat/limits.ts';

const GOLDEN = fileURLToPath(new URL(`../../fixtures/logs/format-${FORMAT_VERSION}.ftlog`, import.meta.url));
const BEFORE_ALL = -1n;

describe('the account of a log', () => {
  it('has every byte of the file', async () => {
    const account = await accountOf(GOLDEN);
    const last = account.at(-1)!.position;
    assert.equal(totalOf(spentBetween(account, {from: BEFORE_ALL, to: last})), statSync(GOLDEN).size);
  });

  it('has none of them twice, wherever it is cut', async () => {
    const account = await accountOf(GOLDEN);
    const last = account.at(-1)!.position;
    for (const {position} of account) {
      const before = totalOf(spentBetween(account, {from: BEFORE_ALL, to: position}));
      const behind = totalOf(spentBetween(account, {from: position, to: last}));
      assert.equal(before + behind, statSync(GOLDEN).size);
    }
  });

  it('tells inputs by their kind, other records by theirs, and frames', async () => {
    const account = await accountOf(GOLDEN);
    const causes = new Set(account.map(({cause}) => cause));
    for (const cause of ['preamble', 'header', 'clock', 'digest', 'frames']) assert.ok(causes.has(cause), cause);
  });
});
