// Records that were read and not yet replayed. The log source takes inputs from it, the checking journal takes what is to be checked.

import type {LogFrame} from '../logformat/log-reader.ts';
import type {LogRecord} from '../logformat/record.ts';

/**
 * What a primary says between two records: it was at `position`, and everything that happened up to there has been told. If `until` is
 * beyond it, the guest begins a run there, without an input: to `until`, or to where it stops before by itself, as it waits or has sent a
 * packet. What happens at the run's end is not told yet. Outputs up to `releasedThrough` have left.
 */
export type Advance = {position: bigint; until: bigint; releasedThrough: bigint};

/** An `advance` stands in the queue like a record, with the ordinal of the last real one. */
export type QueuedRecord = {
  ordinal: bigint;
  record: LogRecord | {kind: 'advance'; position: bigint; until: bigint};
};

/** Where frames come from: a file that is whole, one that grows, a socket. Only a socket has advances. */
export interface FrameFeed {
  /** The next frame; undefined when there will be none. */
  next(): Promise<LogFrame | Advance | undefined>;
}

/** How many of the last records an error message shows. */
const RECENT_COUNT = 5;

export class RecordQueue {
  readonly #feed: FrameFeed;
  #records: QueuedRecord[] = [];
  #start = 0;
  #recent: QueuedRecord[] = [];
  #releasedThrough = 0n;
  #consumedThrough = 0n;
  #skipThrough = 0n;
  #onSkip: (record: LogRecord) => void = () => {};

  constructor(feed: FrameFeed) {
    this.#feed = feed;
  }

  /** The last output that the recorder said had left. */
  get releasedThrough(): bigint {
    return this.#releasedThrough;
  }

  /** Ordinal of the last record consumed. */
  get consumedThrough(): bigint {
    return this.#consumedThrough;
  }

  /** The records consumed last, oldest first. */
  get recent(): readonly QueuedRecord[] {
    return this.#recent;
  }

  /** Records through `ordinal` are contained in the machine's state already: `onSkip` sees them, nobody else does. */
  skipThrough(ordinal: bigint, onSkip: (record: LogRecord) => void): void {
    this.#skipThrough = ordinal;
    this.#onSkip = onSkip;
    this.#skip();
  }

  /** The next record if it is here already. */
  peek(): QueuedRecord | undefined {
    return this.#records[this.#start];
  }

  /** The next record; undefined when the log has no more. */
  async ahead(): Promise<QueuedRecord | undefined> {
    while (this.peek() === undefined) {
      const next = await this.#feed.next();
      if (next === undefined) return undefined;
      this.#start = 0;
      if (next.releasedThrough > this.#releasedThrough) this.#releasedThrough = next.releasedThrough;
      if ('records' in next) {
        this.#records = next.records.map((record, index) => ({ordinal: next.firstOrdinal + BigInt(index), record}));
        this.#skip();
      } else {
        const {position, until} = next;
        this.#records = [{ordinal: this.#consumedThrough, record: {kind: 'advance', position, until}}];
      }
    }
    return this.peek();
  }

  #skip(): void {
    for (let next = this.peek(); next !== undefined && next.ordinal <= this.#skipThrough; next = this.peek()) {
      this.#start += 1;
      this.#consumedThrough = next.ordinal;
      if (next.record.kind !== 'advance') this.#onSkip(next.record);
    }
  }

  take(): QueuedRecord {
    const record = this.#records[this.#start];
    this.#start += 1;
    this.#consumedThrough = record.ordinal;
    if (record.record.kind !== 'advance') {
      this.#recent.push(record);
      if (this.#recent.length > RECENT_COUNT) this.#recent.shift();
    }
    return record;
  }
}
