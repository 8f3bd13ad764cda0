// Bad lines: what gets lost depends on the seed and the number of frames alone, what is late stays in order, and what is set for a place holds for
// ports that come later.

import assert from 'node:assert/strict';
import {setTimeout as sleep} from 'node:timers/promises';
import {GOOD_LINE, Line, type LineSettings} from '../../src/host/switch/line.ts';
import {LineBoard} from '../../src/host/switch/line-board.ts';

/** Sends frames of one byte; what arrives. */
function passed(line: Line, {arrived, count}: {arrived: number[]; count: number}): number[] {
  const before = arrived.length;
  for (let n = 0; n < count; n += 1) assert.ok(line.send(Uint8Array.of(n)));
  return arrived.slice(before);
}

function lineOf(settings: Partial<LineSettings>, seed = 1): {line: Line; arrived: number[]} {
  const arrived: number[] = [];
  const send = ([byte = 0]: Uint8Array): boolean => arrived.push(byte) > 0;
  return {line: new Line({settings: {...GOOD_LINE, ...settings}, seed, send}), arrived};
}

describe('a bad line', () => {
  it('loses what its seed decides', () => {
    const lost = (seed: number): number[] => {
      const {line, arrived} = lineOf({loss: 0.25}, seed);
      return passed(line, {arrived, count: 200});
    };
    assert.deepEqual(lost(7), lost(7));
    assert.notDeepEqual(lost(7), lost(8));
    assert.ok(lost(7).length > 120 && lost(7).length < 180);
  });

  it('loses the same of the later frames, whatever it was before', () => {
    const [one, other] = [lineOf({loss: 0.9}), lineOf({cut: true})];
    passed(one.line, {...one, count: 50});
    passed(other.line, {...other, count: 50});
    assert.equal(other.arrived.length, 0);
    for (const {line} of [one, other]) line.settings = {...GOOD_LINE, loss: 0.5};
    assert.deepEqual(passed(one.line, {...one, count: 100}), passed(other.line, {...other, count: 100}));
  });

  it('delays, in order, also when the delay is taken back', async () => {
    const {line, arrived} = lineOf({delayMs: 30});
    const startMs = performance.now();
    for (const n of [1, 2]) line.send(Uint8Array.of(n));
    line.settings = GOOD_LINE;
    line.send(Uint8Array.of(3));
    while (arrived.length < 3) await sleep(1);
    assert.deepEqual(arrived, [1, 2, 3]);
    assert.ok(performance.now() - startMs > 25);
  });

  it('what was under way when it was cut does not arrive', async () => {
    const {line, arrived} = lineOf({delayMs: 10});
    line.send(Uint8Array.of(1));
    line.settings = {...GOOD_LINE, cut: true};
    await sleep(40);
    assert.deepEqual(arrived, []);
  });
});

describe('the lines of a switch', () => {
  const boardOfTwo = (): LineBoard =>
    new LineBoard({
      places: new Map([
        ['unix:/a', {...GOOD_LINE, delayMs: 5}],
        ['uplink', GOOD_LINE],
      ]),
      seed: 1,
    });
  const open = (board: LineBoard, port: number, place: string): Line => board.open(port, {place, send: () => true});

  it('are set by port, by place, or all, also those to come', () => {
    const board = boardOfTwo();
    const [first, second, uplink] = [open(board, 1, 'unix:/a'), open(board, 2, 'unix:/a'), open(board, 3, 'uplink')];
    assert.deepEqual(board.set('2', {cut: true}), [2]);
    assert.deepEqual(
      [first, second, uplink].map(({settings}) => settings.cut),
      [false, true, false],
    );
    assert.equal(second.settings.delayMs, 5, 'what is not said stays');
    assert.deepEqual(board.set('unix:/a', {cut: false, loss: 0.5}), [1, 2]);
    assert.deepEqual(open(board, 4, 'unix:/a').settings, {loss: 0.5, delayMs: 5, cut: false});
    assert.deepEqual(board.set(undefined, {delayMs: 0}), [1, 2, 3, 4]);
    board.close(1);
    assert.deepEqual(board.set('unix:/a', {loss: 0}), [2, 4]);
    assert.equal(board.settings(1), undefined);
    assert.deepEqual(board.settings(2), {place: 'unix:/a', ...GOOD_LINE});
  });

  it('say which there are when another is asked for', () => {
    const board = boardOfTwo();
    open(board, 1, 'unix:/a');
    assert.throws(() => board.set('7', {cut: true}), {code: 'usage', hint: 'It has unix:/a, uplink, 1.'});
  });
});
