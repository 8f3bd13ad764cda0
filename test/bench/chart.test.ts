// The charts of the benchmarks: what a row shows is as long as its value.

import assert from 'node:assert/strict';
import {drawCharts} from '../../bench/chart.ts';

describe('charts of the benchmarks', () => {
  const chart = {
    title: 'a < b & c',
    series: ['one', 'two'],
    rows: [
      {label: 'short', values: [1, 1], target: 4},
      {label: 'long', values: [4, 4]},
    ],
  };

  it('segments are in proportion, one behind the other', () => {
    const bars = [...drawCharts([chart]).matchAll(/<rect x="([\d.]+)" y="\d+" width="([\d.]+)" height="14"/g)];
    const [a, b, c, d] = bars.map(([, x, width]) => ({x: Number(x), width: Number(width)}));
    assert.equal(bars.length, 4);
    assert.ok(Math.abs(c.width - 4 * a.width) < 0.5, `${c.width} beside ${a.width}`);
    assert.ok(Math.abs(b.x - a.x - a.width) < 0.1);
    assert.equal(d.width, c.width);
  });

  it('a target is marked where its value would end', () => {
    const svg = drawCharts([chart]);
    const mark = Number(/<path d="M([\d.]+) /.exec(svg)?.[1]);
    const widest = [...svg.matchAll(/<rect x="([\d.]+)" y="\d+" width="([\d.]+)" height="14"/g)].at(-2);
    assert.equal(mark, Number(widest?.[1]) + Number(widest?.[2]));
  });

  it('words are escaped', () => {
    assert.match(drawCharts([chart]), /a &lt; b &amp; c/);
  });
});
