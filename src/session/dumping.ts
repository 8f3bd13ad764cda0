// `dump`: every record of a log, without a machine.

import type {LogEnd} from '../logformat/log-reader.ts';
import {recordToJson, recordToLine} from '../logformat/records-text.ts';
import {FileFeed} from './file-feed.ts';
import {breathe} from './wakeup.ts';

/** Writes a line for each record. Throws like the reader; what was good before has then been written. */
export async function dumpLog(
  path: string,
  options: {json: boolean; maxBytes: number; write: (line: string) => void; aborted: () => boolean},
): Promise<{end: LogEnd; position: bigint; records: bigint}> {
  const feed = await FileFeed.open(path);
  try {
    for (let frame = await feed.next(); frame !== undefined && !options.aborted(); frame = await feed.next()) {
      frame.records.forEach((record, index) => {
        const ordinal = (frame?.firstOrdinal ?? 0n) + BigInt(index);
        const how = {ordinal, maxBytes: options.maxBytes};
        options.write(options.json ? JSON.stringify(recordToJson(record, how)) : recordToLine(record, how));
      });
      await breathe();
    }
    return {end: feed.end ?? {kind: 'whole'}, position: feed.point?.position ?? 0n, records: feed.point?.ordinal ?? 0n};
  } finally {
    await feed.close();
  }
}
