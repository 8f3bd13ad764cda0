// Several logs of one guest as one history: parts that continue each other, or the logs of the hosts that carried the guest one after
// another. Each of those holds everything from power-on. A host that died may have written records behind the point from which the next
// one went on; none of them may have let an output leave.

import {FtvmError} from '../errors.ts';
import type {LogEnd, LogFrame} from '../logformat/log-reader.ts';
import type {StreamPoint} from '../logformat/stream-point.ts';
import {FileFeed} from './file-feed.ts';
import type {FrameFeed} from './record-queue.ts';

export class LogChain implements FrameFeed {
  readonly #paths: readonly string[];
  /** For each file but the last: the offset in the stream behind which the next one is read. */
  readonly #leaveAt: readonly bigint[];
  #index = 0;
  #feed: FileFeed;

  private constructor(paths: readonly string[], leaveAt: readonly bigint[], feed: FileFeed) {
    this.#paths = paths;
    this.#leaveAt = leaveAt;
    this.#feed = feed;
  }

  /** Throws FtvmError `corrupt` when a file does not go on where the one before it is left, or contradicts it. */
  static async open(paths: readonly string[]): Promise<LogChain> {
    const leaveAt: bigint[] = [];
    for (let index = 0; index + 1 < paths.length; index += 1) {
      leaveAt.push(await lastCommonOffset(paths[index], paths[index + 1]));
    }
    return new LogChain(paths, leaveAt, await FileFeed.open(paths[0]));
  }

  /** How the last file ends, once `next` has given everything. */
  get end(): LogEnd | undefined {
    return this.#index + 1 < this.#paths.length ? undefined : this.#feed.end;
  }

  async next(): Promise<LogFrame | undefined> {
    for (;;) {
      const from = this.#index === 0 ? 0n : this.#leaveAt[this.#index - 1];
      const through = this.#leaveAt[this.#index];
      const frame = await this.#feed.next();
      if (frame !== undefined && frame.offset < from) continue;
      if (frame !== undefined && (through === undefined || frame.end.offset <= through)) return frame;
      if (through === undefined) return undefined;
      await this.#feed.close();
      this.#index += 1;
      this.#feed = await FileFeed.open(this.#paths[this.#index]);
    }
  }

  async close(): Promise<void> {
    await this.#feed.close();
  }
}

/** Where two files part: at the first one's end, or where the host that wrote the later one took over. */
async function lastCommonOffset(earlierPath: string, laterPath: string): Promise<bigint> {
  const earlier = await FileFeed.open(earlierPath);
  const later = await FileFeed.open(laterPath);
  try {
    let coveredThrough = 0n;
    let common: StreamPoint | undefined;
    let one = await earlier.next();
    let other = await later.next();
    while (one !== undefined && other !== undefined) {
      // A part that begins later has nothing of what was before.
      const isBefore = common === undefined && one.end.offset < other.end.offset;
      if (!isBefore && !Buffer.from(one.end.hash).equals(other.end.hash)) break;
      coveredThrough = lastCovered(one) ?? coveredThrough;
      if (!isBefore) {
        common = one.end;
        other = await later.next();
      }
      one = await earlier.next();
    }
    if (common === undefined) {
      if (one === undefined && samePoint(earlier.point, later.start)) return (later.start as StreamPoint).offset;
      throw gap({earlierPath, laterPath, starts: later.start, expected: earlier.point});
    }
    const left = common.offset;
    if (one !== undefined && other?.records[0].kind !== 'takeover')
      throw contradiction({earlierPath, laterPath, offset: left, what: 'the second one does not take over there'});
    for (; one !== undefined; one = await earlier.next()) {
      if (one.releasedThrough <= coveredThrough) continue;
      const what = `outputs left through the ${one.releasedThrough}th, and the second one knows ${coveredThrough}`;
      throw contradiction({earlierPath, laterPath, offset: one.offset, what});
    }
    return left;
  } finally {
    await earlier.close();
    await later.close();
  }
}

/** Ordinal of the last output that a frame's records cover. */
function lastCovered({records}: LogFrame): bigint | undefined {
  return records.findLast((record) => record.kind === 'output')?.through;
}

function samePoint(one: StreamPoint | undefined, other: StreamPoint | undefined): boolean {
  return one !== undefined && one.offset === other?.offset && Buffer.from(one.hash).equals(other.hash);
}

function gap(parts: {
  earlierPath: string;
  laterPath: string;
  starts: StreamPoint | undefined;
  expected: StreamPoint | undefined;
}): FtvmError {
  const {earlierPath, laterPath} = parts;
  const [starts, expected] = [parts.starts?.offset ?? 0n, parts.expected?.offset ?? 0n];
  return new FtvmError(
    'corrupt',
    `${laterPath} does not continue ${earlierPath}: it starts at byte ${starts} of the stream, ${expected} expected`,
    {
      hint: 'Give the files of one lineage in their order, without a gap.',
      details: {path: laterPath, expected, actual: starts},
    },
  );
}

function contradiction(parts: {earlierPath: string; laterPath: string; offset: bigint; what: string}): FtvmError {
  const {earlierPath, laterPath, offset, what} = parts;
  return new FtvmError(
    'corrupt',
    `${laterPath} does not continue ${earlierPath}: they contradict each other behind byte ${offset} (${what})`,
    {
      hint: 'Give the logs of the hosts in the order in which they carried the guest. Two promotions of one log are two histories.',
      details: {path: laterPath, offset},
    },
  );
}
