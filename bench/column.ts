// The eight ways in which the same guest is run: four of ftvm, four of QEMU. A replay needs the recording that was made before it in
// the same folder.

import {join} from 'node:path';
import type {DebianGuest} from './debian-guest.ts';
import {type FtvmMode, type Job, markOf, type QemuMode, type Run, type Step} from './job.ts';
import {runQemu} from './qemu-run.ts';

export type Column = FtvmMode | QemuMode;

/** In the order in which they are run: a replay behind its recording. */
export const COLUMNS: Readonly<Record<Column, string>> = {
  plain: 'ftvm, no log',
  record: 'ftvm recording',
  replay: 'ftvm replaying',
  backup: 'ftvm with a backup',
  tcg: 'QEMU plain',
  icount: 'QEMU icount',
  rrRecord: 'QEMU rr=record',
  rrReplay: 'QEMU rr=replay',
};

/** In the folder of a run: what `record` writes. */
export const RECORD_LOG = 'run.ftlog';

export type ColumnRunner = {
  guest: DebianGuest;
  steps: readonly Step[];
  folder: string;
  /** In this process or in one of its own. */
  runFtvm(job: Job): Promise<Run>;
  /** Of runs of QEMU. */
  signal: AbortSignal;
};

export async function runColumn(column: Column, how: ColumnRunner, recorded?: Run): Promise<Run> {
  const {guest, steps, folder} = how;
  const logPath = join(folder, RECORD_LOG);
  switch (column) {
    case 'plain':
      return how.runFtvm({mode: column, guest: guest.ftvm, steps});
    case 'record':
      return how.runFtvm({mode: column, guest: guest.ftvm, steps, logPath});
    case 'backup':
      return how.runFtvm({mode: column, guest: guest.ftvm, steps, logPath: join(folder, 'protected.ftlog')});
    case 'replay': {
      if (recorded === undefined) throw new Error('a replay needs a recording');
      const marks = steps.map(({name}) => ({name, position: markOf(recorded, name).position ?? '0'}));
      return how.runFtvm({mode: column, logPath, marks});
    }
    default:
      return runQemu(guest.qemu, {mode: column, steps, rrPath: join(folder, 'run.rr'), signal: how.signal});
  }
}

/** What must be run before, for its log. */
export function recordingOf(column: Column): Column | undefined {
  return column === 'replay' ? 'record' : column === 'rrReplay' ? 'rrRecord' : undefined;
}

export function isOfQemu(column: Column): boolean {
  return !['plain', 'record', 'replay', 'backup'].includes(column);
}
