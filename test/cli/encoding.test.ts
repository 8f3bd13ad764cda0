// The JSON contract of `--json`, the palette and the plain lines of progress.

import assert from 'node:assert/strict';
import {encodeJson} from '../../src/cli/json.ts';
import {paletteFor} from '../../src/cli/palette.ts';
import {runSteps} from '../../src/cli/progress.ts';

describe('encodeJson', () => {
  it('writes one type for each field', () => {
    const value = {
      position: 2n ** 64n - 1n,
      small: 1n,
      count: 3,
      bytes: new Uint8Array([1, 0xfe]).subarray(1),
      buffer: Buffer.from('ab'),
      map: new Map<string, unknown>([['x10', 5n]]),
      missing: undefined,
      list: [1n, null, 'a\nb'],
    };
    assert.equal(
      encodeJson(value),
      '{"position":"18446744073709551615","small":"1","count":3,"bytes":"fe","buffer":"6162","map":{"x10":"5"},"list":["1",null,"a\\nb"]}',
    );
  });
});

describe('the palette', () => {
  it('has no colours where NO_COLOR is set', () => {
    assert.equal(paletteFor('stdout', {NO_COLOR: '1', FORCE_COLOR: '1'}).bad('x'), 'x');
  });
});

describe('progress in plain lines', () => {
  function lines() {
    const written: string[] = [];
    return {written, stream: {isTTY: false, write: (text: string) => written.push(text)}};
  }

  it('names each step when it begins and when it is done', async () => {
    const {written, stream} = lines();
    const step = {title: 'fetch', run: async (report: (text: string) => void) => report('1 of 2')};
    await runSteps([step, {title: 'unpack', run: async () => {}}], stream);
    assert.match(written.join(''), /^fetch \.\.\.\nfetch: done in 0\.0 s\nunpack \.\.\.\nunpack: done in 0\.0 s\n$/);
  });

  it('stops at the step that fails, with its error', async () => {
    const {written, stream} = lines();
    const failure = new Error('no');
    const steps = [
      {title: 'fetch', run: () => Promise.reject(failure)},
      {title: 'unpack', run: async () => {}},
    ];
    await assert.rejects(runSteps(steps, stream), failure);
    assert.deepEqual(written, ['fetch ...\n']);
  });
});
