// Puts what was measured into docs/benchmarks.md, each section between its two markers, with its charts beside it. What stands around them is written by people.

import {mkdirSync, readFileSync, writeFileSync} from 'node:fs';
import {join} from 'node:path';
import {fileURLToPath} from 'node:url';
import {drawCharts} from './chart.ts';
import {formatHost} from './host-description.ts';
import type {Report} from './report.ts';
import {formatMarkdown} from './table.ts';

export const DOCUMENT = fileURLToPath(new URL('../docs/benchmarks.md', import.meta.url));
const CHARTS = fileURLToPath(new URL('../docs/benchmarks/', import.meta.url));

export function writeDocument({date, host, command, sections}: Report): void {
  let text = readFileSync(DOCUMENT, 'utf8');
  const about = `${date}, \`${command}\`, on ${formatHost(host)}.\n`;
  for (const {name, tables, charts} of sections) {
    const image = charts === undefined ? [] : [`![The same as a chart](benchmarks/${name}.svg)\n`];
    text = replaceSection(text, {name, body: [about, ...tables.map(formatMarkdown), ...image].join('\n')});
    if (charts === undefined) continue;
    mkdirSync(CHARTS, {recursive: true});
    writeFileSync(join(CHARTS, `${name}.svg`), drawCharts(charts));
  }
  writeFileSync(DOCUMENT, text);
}

/** Throws when the section's markers are not there, once each and in order. */
export function replaceSection(text: string, {name, body}: {name: string; body: string}): string {
  const [begin, end] = [`<!-- begin: ${name} -->`, `<!-- end: ${name} -->`];
  const [before, rest, ...more] = text.split(begin);
  const [, after, ...evenMore] = (rest ?? '').split(end);
  if (after === undefined || more.length > 0 || evenMore.length > 0)
    throw new Error(`the document needs the lines ${begin} and ${end}, once each`);
  return `${before}${begin}\n${body}${end}${after}`;
}
