// A new lineage from an old log: the same records from power-on under another lineage id, in a file of its own. What is carried on
// there cannot be mistaken for the old machine, should that still live.

import {randomBytes} from 'node:crypto';
import {FtvmError} from '../errors.ts';
import {LogFileWriter} from '../host/log-file.ts';
import {LogWriter} from '../logformat/log-writer.ts';
import {encodePreamble} from '../logformat/preamble.ts';
import {type StreamPoint, startOfLineage} from '../logformat/stream-point.ts';
import {FileFeed} from '../session/file-feed.ts';

/** Copies all whole frames of `from` to the new file `to`. Returns where it ends. */
export async function copyAsNewLineage(
  from: string,
  to: string,
): Promise<{path: string; point: StreamPoint; sizeBytes: number}> {
  const lineageId = new Uint8Array(randomBytes(16));
  const start = startOfLineage(lineageId);
  const feed = await FileFeed.open(from);
  const file = await LogFileWriter.create(to, {overwrite: false});
  try {
    await file.append(encodePreamble({startsWith: 'powerOn', point: start}));
    const writer = new LogWriter(start);
    for (let frame = await feed.next(); frame !== undefined; frame = await feed.next()) {
      for (const record of frame.records) writer.append(record.kind === 'header' ? {...record, lineageId} : record);
      const copied = writer.takeFrame({releasedThrough: frame.releasedThrough});
      if (copied === undefined) throw new FtvmError('internal', 'a frame without records');
      await file.append(copied);
    }
    return {path: to, point: writer.point, sizeBytes: file.sizeBytes};
  } finally {
    await feed.close();
    await file.close();
  }
}
