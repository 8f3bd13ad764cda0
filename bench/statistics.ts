// Statistics of repeated measurements: few values, with outliers upwards, so medians and extremes. Ratios compare what ran side by
// side in the same repetition, because a busy host slows both.

export type Spread = {median: number; min: number; max: number; count: number};

/** Median and extremes of at least one value. */
export function spreadOf(values: readonly number[]): Spread {
  if (values.length === 0) throw new RangeError('a spread of no values');
  return {median: medianOf(values), min: Math.min(...values), max: Math.max(...values), count: values.length};
}

/** The middle value; the mean of the two in the middle when the count is even. */
export function medianOf(values: readonly number[]): number {
  if (values.length === 0) throw new RangeError('a median of no values');
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

/** The value that the share `quantile` (0 to 1) of at least one value does not exceed. */
export function quantileOf(values: readonly number[], quantile: number): number {
  if (values.length === 0) throw new RangeError('a quantile of no values');
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.max(0, Math.ceil(quantile * sorted.length) - 1)];
}

/** Ratio of the medians, with the extremes of the ratios within one repetition. Both lists hold one value a repetition, in order. */
export function ratioOf(values: {numerator: readonly number[]; denominator: readonly number[]}): Spread {
  const {numerator, denominator} = values;
  if (numerator.length !== denominator.length) throw new RangeError('a ratio of lists that are not of one length');
  const pairs = spreadOf(numerator.map((value, index) => value / denominator[index]));
  return {...pairs, median: medianOf(numerator) / medianOf(denominator)};
}
