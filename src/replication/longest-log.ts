// Which of several logs of one guest to carry on, when all hosts died: of those of the highest generation the longest, which holds everything
// that any has acknowledged, as long as the shorter ones are its beginning. Where an arbiter gives generations to one side only, a log of an
// older one ends in records that never let anything leave, or is the beginning as well.

import {FtvmError} from '../errors.ts';
import {type HistoryEnd, historyEnd, openFeed} from './history-end.ts';
import type {World} from './world.ts';

/** Path of the longest. Throws FtvmError `corrupt` when they are not parts of one history. */
export async function longestLog(
  world: World,
  paths: readonly string[],
  note: (text: string) => void,
): Promise<string> {
  if (paths.length === 1) return paths[0];
  const ends: HistoryEnd[] = [];
  for (const path of paths) {
    const end = await historyEnd(world, path);
    if (end !== undefined) ends.push(end);
  }
  if (ends.length === 0) return paths[0];
  ends.sort((a, b) => rank(b) - rank(a) || Number(b.point.offset - a.point.offset));
  const [longest, ...others] = ends;
  for (const other of others) if (rank(other) === rank(longest)) await checkIsPrefix(world, other, longest.path);
  note(
    `${longest.path} is the longest${longest.generation > 1 ? ` of generation ${longest.generation}` : ''}, with ${longest.point.ordinal} records to position ${longest.point.position}`,
  );
  return longest.path;
}

/** Generations count where an arbiter has given them. */
function rank({generation, arbitrated}: HistoryEnd): number {
  return arbitrated ? generation : 0;
}

/** The running hash at the shorter log's end must be the longer one's there. */
async function checkIsPrefix(world: World, shorter: HistoryEnd, longerPath: string): Promise<void> {
  const feed = await openFeed(world, longerPath);
  try {
    for (let frame = await feed.next(); frame !== undefined; frame = await feed.next()) {
      if (frame.end.offset < shorter.point.offset) continue;
      if (frame.end.offset === shorter.point.offset && Buffer.from(frame.end.hash).equals(shorter.point.hash)) return;
      break;
    }
  } finally {
    await feed.close();
  }
  throw new FtvmError(
    'corrupt',
    `${shorter.path} is not the beginning of ${longerPath}: they contradict each other before byte ${shorter.point.offset}`,
    {
      hint: 'They are of different guests, or one was promoted while the other went on. Promote the one whose outputs counted.',
      details: {path: shorter.path, offset: shorter.point.offset},
    },
  );
}
