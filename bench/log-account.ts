// What a log's bytes were spent on: each record by its kind, an input by the input's, and the frames around them. Read from the file
// afterwards, so that the recording is not disturbed, and every byte of it is in the account.

import {PREAMBLE_BYTES} from '../src/logformat/limits.ts';
import {encodeRecord} from '../src/logformat/record-codec.ts';
import {FileFeed} from '../src/session/file-feed.ts';

/** In bytes. */
export type BytesByCause = Readonly<Record<string, number>>;
export type LogAccount = readonly {position: bigint; cause: string; lengthBytes: number}[];

export async function accountOf(logPath: string): Promise<LogAccount> {
  const account: {position: bigint; cause: string; lengthBytes: number}[] = [
    {position: 0n, cause: 'preamble', lengthBytes: PREAMBLE_BYTES},
  ];
  const feed = await FileFeed.open(logPath);
  try {
    let previous = 0n;
    for (let frame = await feed.next(); frame !== undefined; frame = await feed.next()) {
      let left = frame.lengthBytes;
      for (const record of frame.records) {
        const lengthBytes = encodeRecord(record, previous).length;
        const cause = record.kind === 'input' ? record.input.kind : record.kind;
        account.push({position: record.position, cause, lengthBytes});
        previous = record.position;
        left -= lengthBytes;
      }
      account.push({position: previous, cause: 'frames', lengthBytes: left});
    }
    return account;
  } finally {
    await feed.close();
  }
}

/** Behind position `from`, up to and with `to`. */
export function spentBetween(account: LogAccount, {from, to}: {from: bigint; to: bigint}): BytesByCause {
  const bytes: Record<string, number> = {};
  for (const {position, cause, lengthBytes} of account) {
    if (position > from && position <= to) bytes[cause] = (bytes[cause] ?? 0) + lengthBytes;
  }
  return bytes;
}

export function totalOf(bytes: BytesByCause): number {
  return Object.values(bytes).reduce((sum, each) => sum + each, 0);
}
