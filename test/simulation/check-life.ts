// What must hold at the end of a simulated life: nothing that was shown is lost or contradicted; outputs leave under one generation at a
// time, by its holder; every log replays; and where somebody can go on, exactly one does, with all that was shown, and with a backup.

import type {LogFrame} from '../../src/logformat/log-reader.ts';
import {LogReader} from '../../src/logformat/log-reader.ts';
import {Follower} from '../../src/session/follower.ts';
import type {Shown} from './simulated-world.ts';
import {LINE_BYTES, ToyMachine} from './toy-machine.ts';

export type Life = {
  shown: readonly Shown[];
  /** How many of them were there at the end of the recovery. */
  shownBefore: number;
  hosts: readonly {name: string; processName: string; alive: boolean; primary: boolean; log: Uint8Array | undefined}[];
};

/** What a log says of its last generation: who became its backup, if anybody did; and whether the guest is paused. */
export type Standing = {generation: number; backup: string | undefined; paused: boolean};

export function readStanding(log: Uint8Array | undefined): Standing | undefined {
  let standing: Standing | undefined;
  for (const {records} of frames(log)) {
    for (const record of records) {
      if (record.kind === 'header') standing = {generation: 1, backup: undefined, paused: false};
      if (standing === undefined) continue;
      if (record.kind === 'takeover') standing = {...standing, generation: record.generation, backup: undefined};
      if (record.kind === 'joined') standing = {...standing, generation: record.generation, backup: record.backup};
      if (record.kind === 'control') standing = {...standing, paused: record.action !== 'resume'};
    }
  }
  return standing;
}

export async function checkLife(life: Life): Promise<{violations: string[]; lines: number}> {
  const violations: string[] = [];
  const lines = checkShown(life.shown, violations);
  for (const {name, alive, primary, log} of life.hosts) {
    const emitted = await replayLog(name, log, violations);
    checkPauses(name, log, violations);
    if (!primary || !alive) continue;
    for (const [number, hash] of lines) {
      if (emitted.get(number) !== hash)
        violations.push(`line ${number}, which was shown, is not in the log of ${name}`);
    }
  }
  if (life.shown.length <= life.shownBefore)
    violations.push(`nothing was shown after line ${lines.size}: nobody goes on`);
  const primaries = life.hosts.filter(({primary}) => primary);
  if (primaries.length !== 1) violations.push(`primaries at the end: ${primaries.map(({name}) => name).join(', ')}`);
  for (const {name, log} of primaries) checkRedundancy(name, log, life, violations);
  return {violations, lines: lines.size};
}

/** The lines that were shown, by number. */
function checkShown(shown: readonly Shown[], violations: string[]): Map<number, bigint> {
  const lines = new Map<number, bigint>();
  let latest = 1;
  for (const {host, process, generation, bytes, atMs} of shown) {
    const where = `${process} at ${atMs.toFixed(1)}`;
    if (generation < latest) violations.push(`${where} shows under generation ${generation}, after ${latest} has`);
    latest = Math.max(latest, generation);
    if (bytes.length % LINE_BYTES !== 0) violations.push(`${host} has shown ${bytes.length} bytes, no whole lines`);
    for (const [number, hash] of readLines(bytes)) {
      const known = lines.get(number);
      if (known !== undefined && known !== hash) violations.push(`line ${number} is contradicted by ${where}`);
      if (known === undefined && number !== lines.size + 1)
        violations.push(`line ${number} is shown by ${where} after ${lines.size} lines: some are lost`);
      lines.set(number, hash);
    }
  }
  return lines;
}

function checkRedundancy(name: string, log: Uint8Array | undefined, life: Life, violations: string[]): void {
  if (life.hosts.filter(({alive}) => alive).length < 2) return;
  const standing = readStanding(log);
  const backup = life.hosts.find(({processName}) => standing?.backup?.startsWith(`${processName} `) === true);
  if (backup?.alive !== true || backup.name === name) violations.push(`${name} has no backup at the end`);
}

/** A paused guest takes no step, and hears of nothing but what it had asked for. */
function checkPauses(name: string, log: Uint8Array | undefined, violations: string[]): void {
  let pausedAt: bigint | undefined;
  for (const {records} of frames(log)) {
    for (const record of records) {
      const asked = record.kind !== 'input' || record.input.kind === 'disk' || record.input.kind === 'entropy';
      if (pausedAt !== undefined && (record.position !== pausedAt || !asked))
        violations.push(`${name} goes on at ${record.position}, though it was paused at ${pausedAt}`);
      if (record.kind === 'control') pausedAt = record.action === 'resume' ? undefined : record.position;
    }
  }
}

/** Runs a log through session code; the lines that its guest emitted. */
async function replayLog(
  name: string,
  log: Uint8Array | undefined,
  violations: string[],
): Promise<Map<number, bigint>> {
  const emitted = new Map<number, bigint>();
  const source = frames(log);
  const first = source.next();
  if (first.done === true) return emitted;
  let pending: LogFrame | undefined = first.value;
  const feed = {
    async next(): Promise<LogFrame | undefined> {
      const frame = pending ?? source.next().value ?? undefined;
      pending = undefined;
      return frame;
    },
  };
  try {
    const follower = await Follower.open({
      feed,
      logPath: `the log of ${name}`,
      build: async (header) => ({
        machine: new ToyMachine(header.config.stepsPerTick, (number, hash) => emitted.set(number, hash)),
        close: () => {},
      }),
      sink: () => {},
    });
    await follower.run();
    follower.close();
  } catch (error) {
    violations.push(`the log of ${name} does not replay: ${(error as Error).message}`);
  }
  return emitted;
}

function* frames(log: Uint8Array | undefined): Generator<LogFrame, undefined> {
  if (log === undefined) return;
  const reader = new LogReader();
  reader.push(log);
  for (let frame = reader.next(); frame !== undefined; frame = reader.next()) yield frame;
}

function* readLines(bytes: Uint8Array): Generator<[number: number, hash: bigint]> {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  for (let at = 0; at + LINE_BYTES <= bytes.length; at += LINE_BYTES)
    yield [Number(view.getBigUint64(at, true)), view.getBigUint64(at + 8, true)];
}
