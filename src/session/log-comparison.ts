// Two logs as records, without a machine: what their headers say differently, the first input that differs, and how far each goes.
// Only inputs move a machine; when outputs and digests were noted depends on the recorder's clock and is no difference. Both logs
// are read once and not kept: they may be long.

import {isDeepStrictEqual} from 'node:util';
import type {LogEnd} from '../logformat/log-reader.ts';
import type {LogHeader, LogRecord} from '../logformat/record.ts';
import {hex} from './divergence.ts';
import {FileFeed} from './file-feed.ts';
import {naming} from './named-failure.ts';
import {RecordQueue} from './record-queue.ts';
import {readHeader} from './replaying.ts';
import {breathe} from './wakeup.ts';

/** An input record with its ordinal. */
export type NumberedInput = {ordinal: bigint; record: Extract<LogRecord, {kind: 'input'}>};

/** A digest of the state that a log holds, and how many of its inputs come before it. */
export type StatedDigest = {position: bigint; inputsBefore: number; digest: Uint8Array};

export type LogSummary = {
  path: string;
  header: LogHeader;
  records: number;
  inputs: number;
  /** Of the last record. */
  position: bigint;
  end: LogEnd;
  digests: StatedDigest[];
};

/** A field of the headers, with what the logs say; undefined where a log has no such thing. */
export type HeaderDifference = {field: string; a: string | undefined; b: string | undefined};

export type LogComparison = {
  a: LogSummary;
  b: LogSummary;
  /** What makes them different machines; empty when only the inputs can make a difference. */
  headers: HeaderDifference[];
  /** Inputs that both have in common, from power-on. */
  commonInputs: number;
  /** The inputs that follow the common ones; undefined where a log has no more. */
  first: {a: NumberedInput | undefined; b: NumberedInput | undefined};
};

/** Reads both logs. Throws FtvmError as reading does: `notALog`, `corrupt`, `torn` (no header), `mismatchedVersion`, `fileSystem`. */
export async function compareLogs(paths: {a: string; b: string}): Promise<LogComparison> {
  await using a = await InputReader.open(paths.a);
  await using b = await InputReader.open(paths.b);
  let commonInputs = 0;
  let first: LogComparison['first'] | undefined;
  for (;;) {
    const [ofA, ofB] = [await a.next(), await b.next()];
    if (ofA === undefined && ofB === undefined) break;
    if (first === undefined && (ofA === undefined || ofB === undefined || !sameInput(ofA.record, ofB.record)))
      first = {a: ofA, b: ofB};
    if (first === undefined) commonInputs += 1;
  }
  return {
    a: a.summary(),
    b: b.summary(),
    headers: compareHeaders(a.header, b.header),
    commonInputs,
    first: first ?? {a: undefined, b: undefined},
  };
}

/** What makes a machine: its configuration and what it starts from. Who recorded it, where and as which lineage does not. */
export function compareHeaders(
  a: Pick<LogHeader, 'config' | 'artefacts' | 'disks'>,
  b: Pick<LogHeader, 'config' | 'artefacts' | 'disks'>,
): HeaderDifference[] {
  const [ofA, ofB] = [headerFields(a), headerFields(b)];
  return [...new Set([...ofA.keys(), ...ofB.keys()])]
    .map((field) => ({field, a: ofA.get(field), b: ofB.get(field)}))
    .filter((difference) => difference.a !== difference.b);
}

function headerFields({
  config,
  artefacts,
  disks,
}: Pick<LogHeader, 'config' | 'artefacts' | 'disks'>): Map<string, string> {
  const {rngSeed, nics, disks: diskSizes, ...plain} = config;
  return new Map([
    ...Object.entries(plain).map(([name, value]): [string, string] => [`config.${name}`, String(value)]),
    ['config.rngSeed', hex(rngSeed)],
    ...diskSizes.map(({sizeBytes}, n): [string, string] => [`config.disks.${n}.sizeBytes`, String(sizeBytes)]),
    ...nics.map(({mac}, n): [string, string] => [`config.nics.${n}.mac`, hex(mac)]),
    ...artefacts.map(({role, sha256}): [string, string] => [`${role}.sha256`, hex(sha256)]),
    ...disks.map(({sha256}, n): [string, string] => [`disk${n}.sha256`, hex(sha256)]),
  ]);
}

function sameInput(a: NumberedInput['record'], b: NumberedInput['record']): boolean {
  return a.position === b.position && isDeepStrictEqual(a.input, b.input);
}

class InputReader implements AsyncDisposable {
  readonly header: LogHeader;
  readonly #path: string;
  readonly #feed: FileFeed;
  readonly #queue: RecordQueue;
  readonly #digests: StatedDigest[] = [];
  #records = 0;
  #inputs = 0;
  #position = 0n;

  private constructor(parts: {path: string; feed: FileFeed; queue: RecordQueue; header: LogHeader}) {
    this.#path = parts.path;
    this.#feed = parts.feed;
    this.#queue = parts.queue;
    this.header = parts.header;
  }

  static async open(path: string): Promise<InputReader> {
    const feed = await FileFeed.open(path);
    try {
      const queue = new RecordQueue(feed);
      return new InputReader({path, feed, queue, header: await naming(path, () => readHeader(queue, path))});
    } catch (error) {
      await feed.close();
      throw error;
    }
  }

  /** The next input record; undefined at the log's end. */
  async next(): Promise<NumberedInput | undefined> {
    for (;;) {
      if (this.#queue.peek() === undefined) await breathe();
      if ((await naming(this.#path, () => this.#queue.ahead())) === undefined) return undefined;
      const {ordinal, record} = this.#queue.take();
      this.#records += 1;
      this.#position = record.position;
      if (record.kind === 'digest')
        this.#digests.push({position: record.position, inputsBefore: this.#inputs, digest: record.digest});
      if (record.kind !== 'input') continue;
      this.#inputs += 1;
      return {ordinal, record};
    }
  }

  summary(): LogSummary {
    return {
      path: this.#path,
      header: this.header,
      records: this.#records,
      inputs: this.#inputs,
      position: this.#position,
      end: this.#feed.end ?? {kind: 'whole'},
      digests: this.#digests,
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#feed.close();
  }
}
