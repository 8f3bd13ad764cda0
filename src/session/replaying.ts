// `replay`: a log's machine, run again from power-on by the log alone, everything that the log states compared.

import {createWriteStream} from 'node:fs';
import type {MachineConfig} from '../emulator/config.ts';
import {MACHINE_VERSION, type Machine} from '../emulator/machine.ts';
import type {Output} from '../emulator/output.ts';
import {FtvmError} from '../errors.ts';
import {toFileError} from '../host/file-error.ts';
import type {LogEnd} from '../logformat/log-reader.ts';
import type {LogHeader} from '../logformat/record.ts';
import {encodeState} from '../logformat/state-file.ts';
import type {ArtefactPaths} from './artefacts.ts';
import {CheckJournal, type Verified} from './check-journal.ts';
import {OutputDigest, StateDigest} from './digests.ts';
import {loadMachine} from './loaded-machine.ts';
import {LogChain} from './log-chain.ts';
import {LogSource} from './log-source.ts';
import {RecordQueue} from './record-queue.ts';
import {type Gate, Session, type SessionEnd} from './session.ts';
import {FTVM_VERSION} from './version.ts';

export type ReplayOptions = {
  /** The log; or the files that hold its parts, or the logs of the hosts that carried the guest, in order. */
  logPaths: readonly string[];
  paths?: ArtefactPaths;
  /** Stop at this position. */
  limit?: bigint | undefined;
  onOutput?: (output: Output) => void;
  onProgress?: (position: bigint) => void;
  onDigest?: (position: bigint, digest: Uint8Array) => void;
  signal?: AbortSignal;
};

export type Replay = {
  machine: Machine;
  header: LogHeader;
  end: SessionEnd;
  /** How the log ends; undefined when the replay stopped before. */
  logEnd: LogEnd | undefined;
  verified: Verified;
  /** Ordinal of the last record that the state contains. */
  recordOrdinal: bigint;
};

/** Replays to the log's end. Throws FtvmError `divergence`, `corrupt`, `mismatchedArtefact`, `mismatchedVersion` and so on. */
export async function replay(options: ReplayOptions): Promise<Replay> {
  const feed = await LogChain.open(options.logPaths);
  try {
    const queue = new RecordQueue(feed);
    const header = await readHeader(queue, options.logPaths[0]);
    const {machine, disks} = await loadMachine(header, {logPath: options.logPaths[0], paths: options.paths ?? {}});
    const journal = new CheckJournal({
      queue,
      stateDigest: await StateDigest.create(machine),
      outputDigest: await OutputDigest.create(),
      ...(options.onDigest === undefined ? {} : {onDigest: options.onDigest}),
    });
    const source = new LogSource({
      queue,
      limit: options.limit,
      ...(options.onProgress === undefined ? {} : {onProgress: options.onProgress}),
      ...(options.signal === undefined ? {} : {signal: options.signal}),
    });
    const end = await new Session({machine, source, journal, gate: passThrough(options.onOutput)}).run();
    // Whatever the log says behind the guest's end must hold as well.
    while (end.kind === 'halted' && (await queue.ahead()) !== undefined) {
      journal.append(machine, {from: machine.position, inputs: [], outputs: [], stop: end});
    }
    const finished = queue.peek() === undefined && (await queue.ahead()) === undefined;
    for (const disk of disks) disk.close();
    return {
      machine,
      header,
      end,
      logEnd: finished ? feed.end : undefined,
      verified: journal.verified,
      recordOrdinal: queue.consumedThrough,
    };
  } finally {
    await feed.close();
  }
}

/** The header record, which is left in the queue. Throws FtvmError `mismatchedVersion` for another machine's. */
export async function readHeader(queue: RecordQueue, path: string): Promise<LogHeader> {
  const first = await queue.ahead();
  if (first === undefined || first.record.kind !== 'header') {
    throw new FtvmError('torn', `${path} ends before its header is complete: there is nothing to replay`, {
      hint: 'The recorder was killed at its very start. Record again.',
      details: {path},
    });
  }
  const {record} = first;
  if (record.machineVersion !== MACHINE_VERSION) {
    throw new FtvmError(
      'mismatchedVersion',
      `${path} was recorded by ftvm ${record.ftvmVersion} with machine version ${record.machineVersion}; this is ftvm ${FTVM_VERSION} with machine version ${MACHINE_VERSION}`,
      {
        hint: `Replay it with ftvm ${record.ftvmVersion}: npm install ftvm@${record.ftvmVersion}`,
        details: {expected: record.machineVersion, actual: MACHINE_VERSION},
      },
    );
  }
  return record;
}

/** Writes a replayed machine's state to a file, for `diff-state`. */
export async function saveState(result: Replay, path: string): Promise<void> {
  const {header, machine, recordOrdinal} = result;
  const {artefacts, disks, lineageId, machineVersion, ftvmVersion} = header;
  const config: MachineConfig = header.config;
  const file = createWriteStream(path, {mode: 0o600});
  const failed = new Promise<never>((_, reject) =>
    file.once('error', (error) => reject(toFileError(error, {doing: 'write', path}))),
  );
  const write = (bytes: Uint8Array): Promise<void> =>
    new Promise((resolve) => {
      if (file.write(bytes)) resolve();
      else file.once('drain', resolve);
    });
  for (const piece of encodeState(machine, {
    machineVersion,
    ftvmVersion,
    config,
    artefacts,
    disks,
    lineageId,
    recordOrdinal,
  })) {
    await Promise.race([write(piece), failed]);
  }
  // `end` calls back after a failure too; `finish` comes only when everything was written.
  const finished = new Promise<void>((resolve) => file.once('finish', () => resolve()));
  file.end();
  await Promise.race([finished, failed]);
}

/** Outputs of a replay concern nobody but who asks for them. */
function passThrough(onOutput: ((output: Output) => void) | undefined): Gate {
  return {
    hold(outputs) {
      if (onOutput !== undefined) for (const output of outputs) onOutput(output);
    },
    update() {},
  };
}
