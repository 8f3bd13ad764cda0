// Logs made of other logs: records changed, left out or added, the result a log as whole as any. What a changed input makes untrue,
// outputs and digests behind it, is left out.

import {readFileSync, writeFileSync} from 'node:fs';
import {readLog} from '../../src/logformat/log-reader.ts';
import {LogWriter} from '../../src/logformat/log-writer.ts';
import {encodePreamble} from '../../src/logformat/preamble.ts';
import type {LogRecord} from '../../src/logformat/record.ts';
import {startOfLineage} from '../../src/logformat/stream-point.ts';

export function readRecords(path: string): LogRecord[] {
  return readLog(new Uint8Array(readFileSync(path))).frames.flatMap(({records}) => records);
}

/** A frame for each record. */
export function writeRecords(path: string, records: readonly LogRecord[]): void {
  const [header] = records;
  if (header?.kind !== 'header') throw new Error('a log begins with its header');
  const start = startOfLineage(header.lineageId);
  const writer = new LogWriter(start);
  const parts: Uint8Array[] = [encodePreamble({startsWith: 'powerOn', point: start})];
  for (const record of records) {
    writer.append(record);
    parts.push(writer.takeFrame({releasedThrough: 0n}) as Uint8Array);
  }
  writeFileSync(path, Buffer.concat(parts), {mode: 0o600});
}

/** Changes one byte of the `nth` console input (from 0). */
export function withOtherByte(
  records: readonly LogRecord[],
  change: {nth: number; byte: number; to: number},
): LogRecord[] {
  let seen = -1;
  return records.flatMap((record): LogRecord[] => {
    if (record.kind === 'input' && record.input.kind === 'console') {
      seen += 1;
      if (seen !== change.nth) return [record];
      const bytes = record.input.bytes.slice();
      bytes[change.byte] = change.to;
      return [{...record, input: {kind: 'console', bytes}}];
    }
    const isUntrue = seen >= change.nth && (record.kind === 'output' || record.kind === 'digest');
    return isUntrue ? [] : [record];
  });
}
