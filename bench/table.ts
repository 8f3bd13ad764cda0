// Tables of plain text, aligned, and the same as Markdown. Numbers stand right, words left.

export type Table = {title: string; columns: readonly string[]; rows: readonly (readonly string[])[]};

const GAP = '  ';

export function formatText({title, columns, rows}: Table): string {
  const widths = columns.map((column, index) => Math.max(...[column, ...rows.map((row) => row[index])].map(width)));
  const rightAligned = columns.map((_, index) => index > 0 && rows.every((row) => isNumeric(row[index])));
  const line = (cells: readonly string[]): string =>
    cells
      .map((cell, index) => pad(cell, {to: widths[index], right: rightAligned[index]}))
      .join(GAP)
      .trimEnd();
  const rule = widths.map((length) => '-'.repeat(length)).join(GAP);
  return `${[title, '', line(columns), rule, ...rows.map(line)].join('\n')}\n`;
}

export function formatMarkdown({title, columns, rows}: Table): string {
  const line = (cells: readonly string[]): string =>
    `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`;
  const rule = columns.map((_, index) => (index > 0 && rows.every((row) => isNumeric(row[index])) ? '---:' : '---'));
  return `${[`**${title}**`, '', line(columns), `|${rule.join('|')}|`, ...rows.map(line)].join('\n')}\n`;
}

/** Three significant digits, never an exponent. */
export function formatNumber(value: number): string {
  if (!Number.isFinite(value)) return '–';
  const size = Math.abs(value);
  const digits = size >= 100 ? 0 : size >= 10 ? 1 : size >= 1 ? 2 : 3;
  return value.toFixed(digits);
}

/** A cell that begins like a number, or is empty. */
function isNumeric(cell: string): boolean {
  return cell === '' || /^[–\d]/.test(cell);
}

function pad(cell: string, options: {to: number; right: boolean}): string {
  const space = ' '.repeat(options.to - width(cell));
  return options.right ? space + cell : cell + space;
}

/** Characters, not UTF-16 units: all that we print are one column wide. */
function width(cell: string): number {
  return [...cell].length;
}
