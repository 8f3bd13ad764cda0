// `promote`: makes a log go on. A session that still runs is asked through its control socket; a dead one is carried on from its
// file, once it is certain that it is dead (DESIGN 7, "Cold promotion").

import {existsSync} from 'node:fs';
import {hostname} from 'node:os';
import {FtvmError} from '../errors.ts';
import type {ControlReply} from '../host/control-socket.ts';
import type {LogHeader} from '../logformat/record.ts';
import type {ArtefactPaths} from '../session/artefacts.ts';
import {Follower} from '../session/follower.ts';
import {thisHost} from '../session/recording.ts';
import type {Arbiter} from './arbiter.ts';
import {parseEndpoint} from './endpoint.ts';
import {openFeed} from './history-end.ts';
import {LivePrimary, type LiveRun, Replicating} from './live-run.ts';
import {longestLog} from './longest-log.ts';
import {copyAsNewLineage} from './new-lineage.ts';
import {matchNics, openNics, parseNicSpec} from './nic-spec.ts';
import type {Timing} from './timing.ts';
import type {World} from './world.ts';

export type PromotionOptions = {
  /** The log; or those of both hosts, of which the longer one is taken. */
  logPaths: readonly string[];
  dryRun: boolean;
  listen: string | undefined;
  /** Where the guest's NICs are plugged in, in order. */
  net: readonly string[];
  timing: Timing;
  /** Who won the next generation, and is known to have died before it carried the guest on. */
  winnerDied: string | undefined;
  /** Where a new lineage goes, when the old one may still be alive elsewhere. */
  output: string | undefined;
  paths: ArtefactPaths;
  onProgress: (position: bigint) => void;
  /** The replay is over, the guest is about to go on. */
  onLive: (position: bigint) => void;
  signal: AbortSignal;
  note: (text: string) => void;
};

export type PromotionResult =
  /** A running session did it, or would. */
  | {kind: 'asked'; reply: ControlReply}
  /** What a promotion from the file would do. */
  | {kind: 'dryRun'; position: bigint; tornBytes: number; newLineage: boolean; replayMs: number}
  | {kind: 'carriedOn'; from: bigint; live: LiveRun; logPath: string; newLineage: boolean};

/** Options with the log chosen. */
type Chosen = PromotionOptions & {logPath: string};

export async function runPromotion(world: World, asked: PromotionOptions): Promise<PromotionResult> {
  for (const path of asked.logPaths) {
    const reply = await world.askIfRunning(path, {command: 'promote', dryRun: asked.dryRun});
    if (reply !== undefined) return {kind: 'asked', reply};
  }
  const logPath = await longestLog(world, asked.logPaths, asked.note);
  const options: Chosen = {...asked, logPath};
  // Listening is also the lock: a second promotion of the same file on this host finds the first one alive.
  let live: LivePrimary | undefined;
  const control = await world.control(logPath, async (request) =>
    live === undefined ? {ok: false, message: 'a promotion is under way'} : live.control(request),
  );
  try {
    return await promoteFile(world, options, (primary) => {
      live = primary;
    });
  } finally {
    control.close();
  }
}

async function promoteFile(
  world: World,
  options: Chosen,
  onLive: (primary: LivePrimary) => void,
): Promise<PromotionResult> {
  const {note, signal} = options;
  const specs = options.net.map(parseNicSpec);
  const startMs = world.nowMs();
  const feed = await openFeed(world, options.logPath);
  const follower = await Follower.open({
    feed,
    logPath: options.logPath,
    build: (header) => world.buildMachine(header, {path: options.logPath, paths: options.paths}),
    sink: () => {},
    onProgress: options.onProgress,
    signal,
  });
  let replicating: Replicating | undefined;
  try {
    const {arbiter: spec} = follower.header;
    matchNics(specs, follower.header.config.nics.length);
    const newLineage = spec === null && !recorderIsDead(follower.header);
    const end = await follower.run();
    const {end: logEnd} = feed;
    await feed.close();
    const point = feed.point;
    if (signal.aborted) throw new FtvmError('usage', 'stopped before the promotion was complete: the log is as it was');
    if (end.kind === 'halted' || point === undefined) {
      throw new FtvmError('usage', `${options.logPath}: the guest has ended; there is nothing to carry on`, {
        hint: 'ftvm replay shows the run, ftvm record starts a new one.',
      });
    }
    // With an arbiter it says whether anybody has taken over from there.
    const {ended} = follower.journal;
    const superseded = ended === 'superseded' && options.winnerDied === undefined;
    if (superseded || (ended === 'handedOver' && spec === null)) {
      throw new FtvmError('lostArbitration', `${options.logPath}: another log carries this guest on`, {
        hint: "Promote the backup's log.",
      });
    }
    const tornBytes = logEnd?.kind === 'torn' ? logEnd.tailBytes : 0;
    const position = follower.machine.position;
    const lineageId = Buffer.from(point.lineageId).toString('hex');
    const wanted = {lineageId, generation: follower.journal.generation + 1, winnerDied: options.winnerDied};
    if (options.dryRun) {
      const replayMs = world.nowMs() - startMs;
      if (newLineage) newLineagePath(options);
      if (spec !== null) await checkWinnable(await world.openArbiter(spec), wanted);
      return {kind: 'dryRun', position, tornBytes, newLineage, replayMs};
    }
    const claimant = world.uniqueId();
    const arbiter = spec === null ? undefined : await world.openArbiter(spec);
    const generation = arbiter === undefined ? wanted.generation : await win(arbiter, {...wanted, claimant});
    if (tornBytes > 0) note(`torn at byte ${point.offset}: ${tornBytes} bytes of an unfinished frame are cut off`);
    const from = newLineage
      ? await newLineageOf(options)
      : {path: options.logPath, point, sizeBytes: Number(point.offset)};
    if (newLineage) {
      note(
        `the recorder ran on host ${follower.header.host.hostname}, which cannot be asked: this is a new lineage, in ${from.path}`,
      );
    }
    const file = await world.continueLog(from.path, {sizeBytes: from.sizeBytes});
    replicating = await Replicating.open(
      world,
      {
        listen: options.listen === undefined ? undefined : parseEndpoint(options.listen, '--listen'),
        arbiter,
        timing: options.timing,
      },
      {path: from.path, lineageId: from.point.lineageId, generation, claimant, note},
    );
    let live: LivePrimary | undefined;
    const nics = await openNics(world, specs);
    const console = world.openConsole(() => live?.stop('stopped'));
    try {
      options.onLive(position);
      const primary = follower.goLive({
        point: from.point,
        file,
        console,
        nics,
        followers: replicating.followers,
        generation,
        clock: world.clock,
        entropy: (lengthBytes) => world.entropy(lengthBytes),
        by: world.processName,
      });
      if (primary.paused) note(`the guest is paused: ftvm resume ${from.path} lets it go on`);
      live = new LivePrimary({primary, replicating, generation, by: world.processName});
      onLive(live);
      return {kind: 'carriedOn', from: position, live: await live.run(signal), logPath: from.path, newLineage};
    } finally {
      console.close();
      for (const nic of nics) nic.close();
    }
  } finally {
    await replicating?.close('stopped');
    await feed.close().catch(() => {});
    follower.close();
  }
}

type Wanted = {lineageId: string; generation: number; winnerDied: string | undefined};

/**
 * The generation must be won before the torn tail is cut; resolves to the one that was: where its winner has died without carrying the
 * guest on, and a person says so, the one after that. Throws FtvmError `lostArbitration` or `arbiterUnreachable`.
 */
async function win(arbiter: Arbiter, wanted: Wanted & {claimant: string}): Promise<number> {
  const {lineageId, generation, claimant} = wanted;
  const first = await arbiter.claim({lineageId, generation, claimant});
  if (first.kind === 'won') return generation;
  const next = await generationAfter(arbiter, wanted);
  const second = await arbiter.claim({lineageId, generation: next, claimant});
  if (second.kind === 'won') return next;
  throw taken(next, second.by);
}

/** For a dry run: whether `win` would win, as far as can be said now. Throws as `win` does. */
async function checkWinnable(arbiter: Arbiter, wanted: Wanted): Promise<void> {
  try {
    const current = await arbiter.current(wanted.lineageId);
    if (current !== undefined && current.generation >= wanted.generation) await generationAfter(arbiter, wanted);
  } finally {
    await arbiter.close();
  }
}

/** The generation after that of a winner who is said to have died. */
async function generationAfter(arbiter: Arbiter, {lineageId, generation, winnerDied}: Wanted): Promise<number> {
  const current = await arbiter.current(lineageId);
  if (current === undefined) throw taken(generation, 'nobody that the arbiter knows');
  if (current.claimant !== winnerDied) throw taken(current.generation, current.claimant);
  return current.generation + 1;
}

function taken(generation: number, by: string): FtvmError {
  return new FtvmError('lostArbitration', `generation ${generation} is taken by ${by}: another carries this guest on`, {
    hint: `Promote that one's log, if it has died as well. If it died before it had one: --winner-died ${by} (docs/fault-tolerance.md).`,
    details: {generation, by},
  });
}

async function newLineageOf(options: Chosen): Promise<Awaited<ReturnType<typeof copyAsNewLineage>>> {
  return copyAsNewLineage(options.logPath, newLineagePath(options));
}

/** Throws FtvmError `fileSystem` when something is there already. */
function newLineagePath(options: Chosen): string {
  const path = options.output ?? options.logPath.replace(/(\.ftlog)?$/, '.new-lineage.ftlog');
  if (existsSync(path)) {
    throw new FtvmError('fileSystem', `cannot start a new lineage: ${path} exists`, {
      hint: 'Name another file with -o FILE.',
      details: {path},
    });
  }
  return path;
}

/** Nobody answers its control socket; on the recorder's own host that means that it is dead, in another boot even more so. */
function recorderIsDead(header: LogHeader): boolean {
  const {host} = header;
  return host.hostname === hostname() && host.bootId !== '' && thisHost().bootId !== '';
}
