// What `diff-state` is given: a state file, a log, or a log with a position behind an @. State files are read, logs are replayed to
// the position, everything that they state compared on the way.

import {existsSync} from 'node:fs';
import {FtvmError} from '../errors.ts';
import {LogFileReader} from '../host/log-file.ts';
import type {LogEnd} from '../logformat/log-reader.ts';
import {hasLogMagic} from '../logformat/preamble.ts';
import type {LogHeader} from '../logformat/record.ts';
import {STATE_MAGIC} from '../logformat/state-file.ts';
import type {ArtefactPaths} from './artefacts.ts';
import {naming} from './named-failure.ts';
import {replay} from './replaying.ts';
import {equalBytes} from './state-comparison.ts';
import {readStateFile} from './state-restore.ts';
import {type StateView, viewOfMachine, viewOfSaved} from './state-view.ts';

/** `position` is what stands behind the @. */
export type StateOperand = {kind: 'state'; path: string} | {kind: 'log'; path: string; position: bigint | undefined};

export type OperandState = {
  /** As the user named it. */
  name: string;
  view: StateView;
  position: bigint;
  header: Pick<LogHeader, 'config' | 'artefacts' | 'disks'>;
  /** How the log ends, when it was replayed to its end. */
  logEnd: LogEnd | undefined;
};

/** Looks at the file's first bytes. Throws FtvmError `notALog` for what is neither, `usage`, `fileSystem`. */
export async function parseOperand(text: string): Promise<StateOperand> {
  const match = /^(.+)@(\d[\d_]*)$/.exec(text);
  // A file whose name ends so is meant as it stands.
  const path = match === null || existsSync(text) ? text : match[1];
  const position = path === text ? undefined : BigInt((match as RegExpExecArray)[2].replaceAll('_', ''));
  const wrong = /^(.+)@([^/]*)$/.exec(text);
  if (match === null && wrong !== null && !existsSync(text) && existsSync(wrong[1])) {
    throw new FtvmError('usage', `${text}: "${wrong[2]}" is not a position`, {
      hint: 'A position is a number of steps, like 1204331.',
    });
  }
  const file = await LogFileReader.open(path);
  try {
    const bytes = (await file.next()).slice(0, STATE_MAGIC.length);
    if (bytes.length > 0 && hasLogMagic(bytes)) return {kind: 'log', path, position};
    if (bytes.length === 0 || !equalBytes(bytes, STATE_MAGIC.subarray(0, bytes.length))) {
      throw new FtvmError('notALog', `${path} is neither a log nor a state file`, {
        hint: 'Logs are made by `ftvm record`, states by `ftvm replay LOG --to POSITION --save-state FILE`.',
        details: {path, offset: 0},
      });
    }
  } finally {
    await file.close();
  }
  if (position !== undefined) {
    throw new FtvmError('usage', `${text}: a state file holds one position only`, {
      hint: `Leave out @${position}, or name the log.`,
    });
  }
  return {kind: 'state', path};
}

/**
 * The operand's state. A log without a position is replayed to `position`, or else to its end. Throws FtvmError `usage` when the log
 * does not reach that far, and what reading and replaying throw.
 */
export async function loadOperand(
  operand: StateOperand,
  options: {paths?: ArtefactPaths; position?: bigint | undefined; onProgress?: (position: bigint) => void},
): Promise<OperandState> {
  return naming(operand.path, () => load(operand, options));
}

async function load(operand: StateOperand, options: Parameters<typeof loadOperand>[1]): Promise<OperandState> {
  const {path} = operand;
  if (operand.kind === 'state') {
    const saved = await readStateFile(path);
    const {header} = saved;
    return {name: path, view: viewOfSaved(saved), position: header.position, header, logEnd: undefined};
  }
  const limit = operand.position ?? options.position;
  const {machine, header, logEnd} = await replay({
    logPaths: [path],
    limit,
    ...(options.paths === undefined ? {} : {paths: options.paths}),
    ...(options.onProgress === undefined ? {} : {onProgress: options.onProgress}),
  });
  if (limit !== undefined && machine.position < limit) {
    const how =
      machine.ending === undefined ? (logEnd?.kind === 'torn' ? 'is torn' : 'ends') : "ends with the guest's end";
    throw new FtvmError('usage', `${path} ${how} at position ${machine.position}: position ${limit} is beyond it`, {
      hint: `Name a position up to ${machine.position}.`,
      details: {path, expected: limit, actual: machine.position},
    });
  }
  const name = limit === undefined ? path : `${path}@${limit}`;
  return {name, view: viewOfMachine(machine), position: machine.position, header, logEnd};
}
