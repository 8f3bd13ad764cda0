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
  /** Seconds since the benchmarks began. */
  elapsedS(): number;
  progress(what: string, repetition: number): void;
};

/** Repeats a part; on a host so busy that one more would end after `untilS`, less often than wanted, but once at least. */
export async function repeat(
  bench: Bench,
  options: {untilS: number},
  part: (repetition: number) => Promise<void>,
): Promise<void> {
  for (let repetition = 1; repetition <= bench.repetitions; repetition++) {
    const startedS = bench.elapsedS();
    await part(repetition);
    const endedS = bench.elapsedS();
    if (endedS + (endedS - startedS) > options.untilS) return;
  }
}
