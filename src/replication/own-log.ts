// The log that a follower keeps. What is in its place may be replaced, but for one thing: a history of a later generation than the
// primary's. That primary has lost its guest and does not know it yet, and the file may be the only place that holds what was shown since.

import {FtvmError} from '../errors.ts';
import type {LogStore} from '../session/log-sink.ts';
import {historyEnd} from './history-end.ts';
import type {Welcome} from './messages.ts';
import type {World} from './world.ts';

type LogFiles = Pick<World, 'createLog' | 'readLog'>;

export type OwnLogOptions = {path: string; overwrite: boolean; welcome: Welcome; peer: string};

/** Throws FtvmError `lostArbitration` when the file holds a later generation of the primary's guest, `fileSystem` as creating does. */
export async function openOwnLog(world: LogFiles, {path, overwrite, welcome, peer}: OwnLogOptions): Promise<LogStore> {
  const generation = overwrite ? await generationIn(world, path, welcome.lineageId) : 0;
  if (generation > welcome.generation) {
    throw new FtvmError(
      'lostArbitration',
      `the primary at ${peer} is of generation ${welcome.generation}, and ${path} holds generation ${generation} of its guest`,
      {
        hint: 'That primary has been superseded and ends by itself. If nobody carries the guest on any more: ftvm promote, with this log.',
        details: {path, expected: welcome.generation, actual: generation},
      },
    );
  }
  return world.createLog(path, {overwrite});
}

/** 0: nothing of this guest is there. */
async function generationIn(world: LogFiles, path: string, lineageId: string): Promise<number> {
  try {
    const end = await historyEnd(world, path);
    return end !== undefined && Buffer.from(end.point.lineageId).toString('hex') === lineageId ? end.generation : 0;
  } catch (error) {
    // No file, or none that anybody could promote.
    if (error instanceof FtvmError) return 0;
    throw error;
  }
}
