// Which of several logs of one guest to carry on, when both hosts died: the longer one holds everything that either has acknowledged,
// as long as the shorter one is its beginning.

import {FtvmError} from '../errors.ts';
import type {StreamPoint} from '../logformat/stream-point.ts';
import {FileFeed} from '../session/file-feed.ts';

/** Path of the longest. Throws FtvmError `corrupt` when they are not parts of one history. */
export async function longestLog(paths: readonly string[], note: (text: string) => void): Promise<string> {
  if (paths.length === 1) return paths[0];
  const ends: {path: string; point: StreamPoint}[] = [];
  for (const path of paths) {
    const point = await endOf(path);
    if (point !== undefined) ends.push({path, point});
  }
  if (ends.length === 0) return paths[0];
  ends.sort((a, b) => Number(b.point.offset - a.point.offset));
  const [longest, ...others] = ends;
  for (const other of others) await checkIsPrefix(other, longest.path);
  note(`${longest.path} is the longest, with ${longest.point.ordinal} records to position ${longest.point.position}`);
  return longest.path;
}

async function endOf(path: string): Promise<StreamPoint | undefined> {
  const feed = await FileFeed.open([path]);
  try {
    while ((await feed.next()) !== undefined);
    return feed.point;
  } finally {
    await feed.close();
  }
}

/** The running hash at the shorter log's end must be the longer one's there. */
async function checkIsPrefix(shorter: {path: string; point: StreamPoint}, longerPath: string): Promise<void> {
  const feed = await FileFeed.open([longerPath]);
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
