// Files that a machine boots from: read whole, and hashed part by part while the next part is read, which is a request to Node's own threads. The
// first is made before anything is awaited, so that the caller may do something else meanwhile, such as load the rest of the program.

import {createHash} from 'node:crypto';
import {closeSync, fstatSync, openSync, read, readFileSync} from 'node:fs';
import {promisify} from 'node:util';

const readInto = promisify(read);

/** Read in a millisecond, and hashed in two. */
const PART_BYTES = 4 << 20;

export type ImageFile = {bytes: Uint8Array; sha256: Uint8Array};

/** Throws what the operating system says. */
export async function readImageFile(path: string): Promise<ImageFile> {
  const hash = createHash('sha256');
  const descriptor = openSync(path, 'r');
  try {
    const stats = fstatSync(descriptor);
    const onRead = (part: Uint8Array): unknown => hash.update(part);
    const bytes = stats.isFile()
      ? await readParts(descriptor, {into: new Uint8Array(stats.size), onRead})
      : readStream(descriptor, {onRead});
    return {bytes, sha256: new Uint8Array(hash.digest())};
  } finally {
    closeSync(descriptor);
  }
}

type OnRead = {onRead: (part: Uint8Array) => unknown};

/** What of `into` the file has. */
async function readParts(descriptor: number, {into, onRead}: OnRead & {into: Uint8Array}): Promise<Uint8Array> {
  const readPart = (start: number) =>
    readInto(descriptor, into, start, Math.min(PART_BYTES, into.length - start), start);
  let end = 0;
  let reading = readPart(0);
  for (;;) {
    const start = end;
    end += (await reading).bytesRead;
    if (end === start) return into.subarray(0, end);
    reading = readPart(end);
    onRead(into.subarray(start, end));
  }
}

/** A pipe, say, whose size is not known. */
function readStream(descriptor: number, {onRead}: OnRead): Uint8Array {
  const bytes = new Uint8Array(readFileSync(descriptor));
  onRead(bytes);
  return bytes;
}
