// The benchmarks' tables, as text and as Markdown, and where they go in the document.

import assert from 'node:assert/strict';
import {replaceSection} from '../../bench/document.ts';
import {formatSpread, formatTarget} from '../../bench/figures.ts';
import {formatMarkdown, formatNumber, formatText} from '../../bench/table.ts';

const [BEGIN, END] = ['<!-- begin: boot -->', '<!-- end: boot -->'];

const TABLE = {
  title: 'A title',
  columns: ['what', 'value', 'note'],
  rows: [
    ['speed', '1.50 (1–2)', 'a|b'],
    ['ratio ÷', '12', ''],
  ],
};

describe('tables of the benchmarks', () => {
  it('aligns numbers right and words left', () => {
    const expected = [
      'A title',
      '',
      'what          value  note',
      '-------  ----------  ----',
      'speed    1.50 (1–2)  a|b',
      'ratio ÷          12',
      '',
    ];
    assert.equal(formatText(TABLE), expected.join('\n'));
  });

  it('is the same in Markdown, with bars escaped', () => {
    const expected = [
      '**A title**',
      '',
      '| what | value | note |',
      '|---|---:|---|',
      '| speed | 1.50 (1–2) | a\\|b |',
      '| ratio ÷ | 12 |  |',
      '',
    ];
    assert.equal(formatMarkdown(TABLE), expected.join('\n'));
  });

  for (const [value, expected] of [
    [1234.5, '1235'],
    [99.96, '100.0'],
    [12.345, '12.3'],
    [1.2345, '1.23'],
    [0.01234, '0.012'],
    [-40.6, '-40.6'],
    [Number.NaN, '–'],
  ] as const) {
    it(`shows ${value} as ${expected}`, () => assert.equal(formatNumber(value), expected));
  }

  it('shows extremes where there are several values', () => {
    assert.equal(formatSpread({median: 2, min: 1, max: 3, count: 3}), '2.00 (1.00–3.00)');
    assert.equal(formatSpread({median: 2, min: 2, max: 2, count: 1}), '2.00');
  });

  it('shows limits as the round numbers that they are', () => {
    assert.equal(formatTarget({atLeast: 0.97}), '≥ 0.97');
    assert.equal(formatTarget({atMost: 20_000}), '≤ 20000');
  });
});

describe('the document of the benchmarks', () => {
  it('is replaced between its markers, again and again', () => {
    const text = `before\n${BEGIN}\nold\n${END}\nafter\n`;
    const once = replaceSection(text, {name: 'boot', body: 'new\n'});
    assert.equal(once, `before\n${BEGIN}\nnew\n${END}\nafter\n`);
    assert.equal(replaceSection(once, {name: 'boot', body: 'new\n'}), once);
  });

  for (const text of ['nothing', `${BEGIN}\n`, `${END}\n${BEGIN}\n`, `${BEGIN}\n${BEGIN}\n${END}\n`]) {
    it(`is left alone when it reads ${JSON.stringify(text)}`, () => {
      assert.throws(() => replaceSection(text, {name: 'boot', body: 'new\n'}), /needs the lines/);
    });
  }
});
