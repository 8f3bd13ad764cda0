// The golden listings: what is generated for one example of each class of instructions, so that a change of the generated code
// shows in its review. test/translator/accept-listings.ts writes them.

import assert from 'node:assert/strict';
import {existsSync, readdirSync, readFileSync} from 'node:fs';
import {EXAMPLES, listingOf} from './examples.ts';

const FOLDER = new URL('../../fixtures/translator/', import.meta.url);
const HINT = 'Run node test/translator/accept-listings.ts if the change is meant.';

describe('translator: golden listings', () => {
  for (const example of EXAMPLES) {
    it(`${example.name}: ${example.what}`, () => {
      const file = new URL(`${example.name}.txt`, FOLDER);
      assert.ok(existsSync(file), `there is no ${example.name}.txt. ${HINT}`);
      assert.equal(listingOf(example), readFileSync(file, 'utf8'), HINT);
      assert.ok(example.assembly.length === example.words.length);
    });
  }

  it('there is an example for every listing', () => {
    const names = EXAMPLES.map(({name}) => `${name}.txt`).sort();
    const files = readdirSync(FOLDER).filter((name) => name.endsWith('.txt'));
    assert.deepEqual(files.sort(), names);
  });
});
