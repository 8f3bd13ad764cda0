// Puts a report between the two markers of docs/benchmarks.md. What stands around them is written by people.

import {readFileSync, writeFileSync} from 'node:fs';
import {fileURLToPath} from 'node:url';
import {formatHost} from './host-description.ts';
import {type Report, tablesOf} from './report.ts';
import {formatMarkdown} from './table.ts';

const DOCUMENT = fileURLToPath(new URL('../docs/benchmarks.md', import.meta.url));
export const BEGIN = '<!-- begin: npm run bench -- --write -->';
export const END = '<!-- end: npm run bench -- --write -->';

export function writeDocument(report: Report): void {
  const {date, host, command} = report;
  const about = `${date}, \`${command}\`, on ${formatHost(host)}.\n`;
  const body = [about, ...tablesOf(report).map(formatMarkdown)].join('\n');
  writeFileSync(DOCUMENT, replaceBetweenMarkers(readFileSync(DOCUMENT, 'utf8'), body));
}

/** Throws when the markers are not there, once each and in order. */
export function replaceBetweenMarkers(text: string, body: string): string {
  const [before, rest, ...more] = text.split(BEGIN);
  const [, after, ...evenMore] = (rest ?? '').split(END);
  if (after === undefined || more.length > 0 || evenMore.length > 0)
    throw new Error(`the document needs the lines ${BEGIN} and ${END}, once each`);
  return `${before}${BEGIN}\n${body}${END}${after}`;
}
