// Medians, spreads and ratios of the benchmarks, and the verdict on a figure.

import assert from 'node:assert/strict';
import {judge} from '../../bench/figures.ts';
import {medianOf, quantileOf, ratioOf, spreadOf} from '../../bench/statistics.ts';

describe('statistics of the benchmarks', () => {
  it('takes the middle value, or the mean of the two in the middle', () => {
    assert.equal(medianOf([30, 1, 2]), 2);
    assert.equal(medianOf([4, 1, 2, 100]), 3);
    assert.equal(medianOf([7]), 7);
  });

  it('leaves the list as it is', () => {
    const values = [3, 1, 2];
    medianOf(values);
    assert.deepEqual(values, [3, 1, 2]);
  });

  it('gives the extremes beside the median', () => {
    assert.deepEqual(spreadOf([5, 1, 9]), {median: 5, min: 1, max: 9, count: 3});
  });

  it('has no median of nothing', () => {
    assert.throws(() => medianOf([]), RangeError);
    assert.throws(() => spreadOf([]), RangeError);
  });

  it('a quantile is a value that was measured', () => {
    const values = Array.from({length: 200}, (_, index) => 200 - index);
    assert.equal(quantileOf(values, 0.99), 198);
    assert.equal(quantileOf([7], 0.99), 7);
    assert.throws(() => quantileOf([], 0.5), RangeError);
  });

  it('a ratio is that of the medians, its extremes are of one repetition each', () => {
    // A host that is twice as slow in the second repetition slows both sides.
    assert.deepEqual(ratioOf({numerator: [2, 4, 3], denominator: [1, 2, 1]}), {median: 3, min: 2, max: 3, count: 3});
  });

  it('a ratio needs both sides of every repetition', () => {
    assert.throws(() => ratioOf({numerator: [1, 2], denominator: [1]}), RangeError);
  });

  const verdicts = [
    {median: 250, target: {atLeast: 250}, expected: 'reached'},
    {median: 249, target: {atLeast: 250}, expected: 'missed'},
    {median: 1, target: {atMost: 1}, expected: 'reached'},
    {median: 1.01, target: {atMost: 1}, expected: 'missed'},
    {median: Number.NaN, target: {atMost: 1}, expected: 'missed'},
  ];
  for (const {median, target, expected} of verdicts) {
    it(`${median} against ${JSON.stringify(target)} is ${expected}`, () => {
      const ftvm = {median, min: 0, max: 1000, count: 3};
      assert.equal(judge({name: 'x', unit: 's', ftvm, target}).verdict, expected);
    });
  }
});
