// Canaries: the checker of transcripts must find what the chaos tests look for.

import assert from 'node:assert/strict';
import {checkShown} from './transcripts.ts';

const WHOLE = Buffer.from(Array.from({length: 50}, (_, index) => `line ${index}\n`).join(''));

describe('the checker of transcripts', () => {
  it('accepts parts that meet, and parts that overlap', () => {
    assert.equal(checkShown([WHOLE.subarray(0, 100), WHOLE.subarray(100)], WHOLE), 0);
    assert.equal(checkShown([WHOLE.subarray(0, 100), WHOLE.subarray(60)], WHOLE), 40);
    assert.equal(checkShown([WHOLE.subarray(0, 100), WHOLE.subarray(90, 200), WHOLE.subarray(200)], WHOLE), 10);
    assert.equal(checkShown([Buffer.alloc(0), WHOLE], WHOLE), 0);
  });

  it('finds a lost byte wherever it is', () => {
    for (let at = 1; at < WHOLE.length; at += 1) {
      assert.throws(() => checkShown([WHOLE.subarray(0, at - 1), WHOLE.subarray(at)], WHOLE), `at ${at}`);
    }
    assert.throws(() => checkShown([WHOLE.subarray(0, 100), WHOLE.subarray(100, WHOLE.length - 1)], WHOLE));
    assert.throws(() => checkShown([WHOLE.subarray(1)], WHOLE));
  });

  it('finds a changed byte wherever it is', () => {
    for (let at = 0; at < WHOLE.length; at += 1) {
      const [first, second] = [Buffer.from(WHOLE.subarray(0, 120)), Buffer.from(WHOLE.subarray(90))];
      if (at < 120) first[at] ^= 4;
      else second[at - 90] ^= 4;
      assert.throws(() => checkShown([first, second], WHOLE), `at ${at}`);
    }
  });
});
