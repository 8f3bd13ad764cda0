// What every measurement is given: how often, with which engines, where files may be put, and whom to tell.

import type {Engine} from './job.ts';

export type Bench = {
  repetitions: number;
  /** How long the idle guest is recorded. */
  idleS: number;
  engines: readonly Engine[];
  /** What `ftvm` uses by itself. */
  defaultEngine: Engine;
  /** QEMU's version, where it is installed. */
  qemu: string | undefined;
  /** For logs; it goes away afterwards. */
  folder: string;
  signal: AbortSignal;
  progress(what: string, repetition: number): void;
};
