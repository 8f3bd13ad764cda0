// Charts of horizontal bars as SVG, which is all that the benchmarks have to draw: a row each, a segment for each series, a mark where
// the target is. Nothing in it needs a script or a font that is not there.

export type Chart = {
  title: string;
  /** One colour each, in this order. */
  series: readonly string[];
  rows: readonly {label: string; values: readonly number[]; target?: number}[];
};

const COLOURS = ['#3b6ea5', '#e08b3a', '#5a9e5a', '#b5503f', '#8062a6', '#8a8a8a', '#c4a93a', '#4aa3a3'];
const WIDTH = 860;
const LABEL_WIDTH = 260;
const VALUE_WIDTH = 70;
const ROW_HEIGHT = 22;
const BAR_HEIGHT = 14;
const HEADER_HEIGHT = 58;
const GAP = 24;

/** One file with the charts below each other. */
export function drawCharts(charts: readonly Chart[]): string {
  let top = 0;
  const parts = charts.map((chart) => {
    const drawn = `<g transform="translate(0 ${top})">\n${drawChart(chart)}</g>\n`;
    top += HEADER_HEIGHT + chart.rows.length * ROW_HEIGHT + GAP;
    return drawn;
  });
  return (
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${top}" font-family="sans-serif" font-size="12">\n` +
    `<title>${charts.map(({title}) => escapeText(title)).join('; ')}</title>\n` +
    `<rect width="100%" height="100%" fill="#fff"/>\n${parts.join('')}</svg>\n`
  );
}

function drawChart({title, series, rows}: Chart): string {
  const most = Math.max(...rows.map(({values, target}) => Math.max(sum(values), target ?? 0)));
  const scale = (value: number): number => round((value / most) * (WIDTH - LABEL_WIDTH - VALUE_WIDTH));
  const header = `<text x="8" y="22" font-size="15" font-weight="bold">${escapeText(title)}</text>\n${drawLegend(series)}`;
  const bars = rows.map(({label, values, target}, index) => {
    const y = HEADER_HEIGHT + index * ROW_HEIGHT;
    const middle = y + BAR_HEIGHT - 3;
    let x = LABEL_WIDTH;
    const segments = values.map((value, which) => {
      const width = scale(value);
      const segment = `<rect x="${x}" y="${y}" width="${width}" height="${BAR_HEIGHT}" fill="${colour(which)}"/>`;
      x = round(x + width);
      return segment;
    });
    const at = target === undefined ? undefined : LABEL_WIDTH + scale(target);
    return [
      `<text x="${LABEL_WIDTH - 8}" y="${middle}" text-anchor="end">${escapeText(label)}</text>`,
      ...segments,
      `<text x="${Math.max(x, at ?? 0) + 6}" y="${middle}">${sum(values).toPrecision(3)}</text>`,
      ...(at === undefined ? [] : [`<path d="M${at} ${y - 3}V${y + BAR_HEIGHT + 3}" stroke="#000" stroke-width="2"/>`]),
    ].join('\n');
  });
  return `${header}${bars.join('\n')}\n`;
}

function drawLegend(series: readonly string[]): string {
  let x = 8;
  return series
    .map((name, index) => {
      const entry = `<rect x="${x}" y="34" width="10" height="10" fill="${colour(index)}"/><text x="${x + 14}" y="43">${escapeText(name)}</text>\n`;
      x += 30 + name.length * 7;
      return entry;
    })
    .join('');
}

function colour(index: number): string {
  return COLOURS[index % COLOURS.length];
}

function sum(values: readonly number[]): number {
  return values.reduce((all, value) => all + value, 0);
}

function round(value: number): number {
  return Math.round(value * 10) / 10;
}

function escapeText(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;');
}
