// Programs under Debian, as a user would run them: the same kernel, initrd and programs in every column, column by column within a
// repetition, so that a busy host slows all alike. Each run boots Debian, runs every program in a process of its own and powers off.

import {join} from 'node:path';
import {type Bench, repeat} from './bench-context.ts';
import {COLUMNS, type Column, isOfQemu, RECORD_LOG, runColumn} from './column.ts';
import {type DebianProgram, findDebian, guestRunning, readDebianPrograms, stepsOf} from './debian-guest.ts';
import {runFtvm} from './ftvm-run.ts';
import type {Run} from './job.ts';
import {accountOf, type LogAccount} from './log-account.ts';

/** Twenty times what a run takes on a quiet host: QEMU's replay can hang. */
const QEMU_TIMEOUT_MS = 600_000;
/** One a class: those of a quick run. */
export const QUICK_DEBIAN_PROGRAMS: readonly string[] = ['pipeline', 'sort', 'fft', 'chase', 'exec'];

export type ProgramRuns = {
  programs: readonly DebianProgram[];
  /** Of the logs of the column `record`, one a repetition. */
  accounts: readonly LogAccount[];
  /** One run a repetition, in order; none where a column failed. */
  runs: ReadonlyMap<Column, readonly Run[]>;
};

/** Undefined where no guest `debian` is built. */
export async function measureDebianPrograms(
  bench: Bench,
  options: {columns: readonly Column[]; names: readonly string[] | undefined; untilS: number},
): Promise<ProgramRuns | undefined> {
  const debian = await findDebian();
  if (debian === undefined) return undefined;
  const {names, untilS} = options;
  const programs = readDebianPrograms().filter(({name}) => names?.includes(name) ?? true);
  const {folder} = bench;
  const guest = guestRunning(programs, {debian, folder});
  const steps = stepsOf(programs);
  const columns = options.columns.filter((column) => bench.qemu !== undefined || !isOfQemu(column));
  const accounts: LogAccount[] = [];
  const runs = new Map<Column, Run[]>(columns.map((column) => [column, []]));
  await repeat(bench, {untilS}, async (repetition) => {
    let recorded: Run | undefined;
    for (const column of columns) {
      const done = runs.get(column)!;
      if (done.length < repetition - 1) continue;
      bench.progress(`programs under Debian: ${COLUMNS[column]}`, repetition);
      const {signal} = bench;
      const how = {
        guest,
        steps,
        folder,
        runFtvm: (job: Parameters<typeof runFtvm>[0]) => runFtvm(job, {engine: bench.defaultEngine, signal}),
        signal: AbortSignal.any([signal, AbortSignal.timeout(QEMU_TIMEOUT_MS)]),
      };
      try {
        const run = await runColumn(column, how, recorded);
        if (column === 'record') {
          recorded = run;
          accounts.push(await accountOf(join(folder, RECORD_LOG)));
        }
        done.push(run);
      } catch (error) {
        signal.throwIfAborted();
        if (!isOfQemu(column)) throw error;
        const reason = error instanceof Error ? error.message : String(error);
        process.stderr.write(`${COLUMNS[column]} is left out from here on: ${reason}\n`);
      }
    }
  });
  return {programs, accounts, runs};
}
