// A part of what is measured: what it found, as figures that are judged, tables and charts for people and data for programs.

import type {Chart} from './chart.ts';
import type {Figure} from './figures.ts';
import type {Table} from './table.ts';

export type Section = {
  /** The takeover is measured by itself: it needs root. */
  name: SectionName | 'takeover';
  figures: readonly Figure[];
  tables: readonly Table[];
  charts?: readonly Chart[];
  /** Whatever else a program might want to know; it becomes JSON. */
  data: object;
};

/** In the order in which they are measured. */
export const SECTION_NAMES = ['debian-programs', 'boot', 'bare', 'ft'] as const;
export type SectionName = (typeof SECTION_NAMES)[number];
