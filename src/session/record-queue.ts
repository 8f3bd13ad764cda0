// Records that were read and not yet replayed. The log source takes inputs from it, the checking journal takes what is to be checked.

import type {LogFrame} from '../logformat/log-reader.ts';
import type {LogRecord} from '../logformat/record.ts';

export type NumberedRecord = {ordinal: bigint; record: LogRecord};

/** Where frames come from: a file that is whole, one that grows, a socket. */
export interface FrameFeed {
  /** The next frame; undefined when there will be none. */
  next(): Promise<LogFrame | undefined>;
}

/** How many of the last records an error message shows. */
const RECENT_COUNT = 5;

export class RecordQueue {
  readonly #feed: FrameFeed;
  #records: NumberedRecord[] = [];
  #start = 0;
  #recent: NumberedRecord[] = [];
  #releasedThrough = 0n;
  #consumedThrough = 0n;

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
  get recent(): readonly NumberedRecord[] {
    return this.#recent;
  }

  /** The next record if it is here already. */
  peek(): NumberedRecord | undefined {
    return this.#records[this.#start];
  }

  /** The next record; undefined when the log has no more. */
  async ahead(): Promise<NumberedRecord | undefined> {
    while (this.peek() === undefined) {
      const frame = await this.#feed.next();
      if (frame === undefined) return undefined;
      this.#records = frame.records.map((record, index) => ({ordinal: frame.firstOrdinal + BigInt(index), record}));
      this.#start = 0;
      this.#releasedThrough = frame.releasedThrough;
    }
    return this.peek();
  }

  take(): NumberedRecord {
    const record = this.#records[this.#start];
    this.#start += 1;
    this.#consumedThrough = record.ordinal;
    this.#recent.push(record);
    if (this.#recent.length > RECENT_COUNT) this.#recent.shift();
    return record;
  }
}
