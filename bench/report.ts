// What a run of the benchmarks found, and on what.

import {formatHost, type HostDescription} from './host-description.ts';
import type {Section} from './section.ts';
import {formatText} from './table.ts';

export type Report = {
  command: string;
  date: string;
  host: HostDescription;
  repetitions: number;
  sections: readonly Section[];
};

export function formatReport({host, sections}: Report): string {
  return [`${formatHost(host)}\n`, ...sections.flatMap(({tables}) => tables.map(formatText))].join('\n');
}

/** For programs: tables and charts are for people. */
export function reportJson(report: Report): string {
  const sections = report.sections.map(({tables: _, charts: __, ...section}) => section);
  return `${JSON.stringify({...report, sections}, undefined, 2)}\n`;
}
