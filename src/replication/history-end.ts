// How far a log file goes: the point behind its last whole frame, and the generation that its last records belong to.

import type {StreamPoint} from '../logformat/stream-point.ts';
import {FileFeed} from '../session/file-feed.ts';
import type {World} from './world.ts';

/** `arbitrated`: an arbiter gives the generations, each to one side only. */
export type HistoryEnd = {path: string; point: StreamPoint; generation: number; arbitrated: boolean};

/** Undefined for a file without a whole frame. Throws FtvmError as reading does. */
export async function historyEnd(world: Pick<World, 'readLog'>, path: string): Promise<HistoryEnd | undefined> {
  const feed = await openFeed(world, path);
  try {
    let generation = 1;
    let arbitrated = false;
    for (let frame = await feed.next(); frame !== undefined; frame = await feed.next()) {
      for (const record of frame.records) {
        if (record.kind === 'header') arbitrated = record.arbiter !== null;
        if (record.kind === 'takeover') generation = record.generation;
      }
    }
    const {point} = feed;
    return point && {path, point, generation, arbitrated};
  } finally {
    await feed.close();
  }
}

export function openFeed(world: Pick<World, 'readLog'>, path: string): Promise<FileFeed> {
  return FileFeed.open(path, (file) => world.readLog(file, {offset: 0}));
}
