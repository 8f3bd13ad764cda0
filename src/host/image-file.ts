// Files that a machine boots from: read whole, and hashed part by part while the next part is read, which is a request to Node's own threads. The
// first is made before anything is awaited, so that the caller may do something else meanwhile, such as load the rest of the program.

import {createHash, type Hash} from 'node:crypto';
import {closeSync, fstatSync, openSync, read, readFileSync} from 'node:fs';
import {promisify} from 'node:util';

const readInto = promisify(read);

/** Read in a millisecond, and hashed in two. */
const PART_BYTES = 4 << 20;

/** `bytes` must not be changed. */
export type ImageFile = {bytes: Uint8Array; sha256: Uint8Array};

/** Throws what the operating system says. */
export async function readImageFile(path: string): Promise<ImageFile> {
  const descriptor = openSync(path, 'r');
  try {
    const stats = fstatSync(descriptor);
    // A pipe's size is not known.
    return stats.isFile() ? await readParts(descriptor, new Uint8Array(stats.size)) : readStream(descriptor);
  } finally {
    closeSync(descriptor);
  }
}

/** What of `into` the file has. */
async function readParts(descriptor: number, into: Uint8Array): Promise<ImageFile> {
  const hash = createHash('sha256');
  const readPart = (start: number) =>
    readInto(descriptor, into, start, Math.min(PART_BYTES, into.length - start), start);
  let end = 0;
  let reading = readPart(0);
  for (;;) {
    const start = end;
    end += (await reading).bytesRead;
    if (end === start) return {bytes: into.subarray(0, end), sha256: resultOf(hash)};
    reading = readPart(end);
    hash.update(into.subarray(start, end));
  }
}

function readStream(descriptor: number): ImageFile {
  const bytes = new Uint8Array(readFileSync(descriptor));
  return {bytes, sha256: resultOf(createHash('sha256').update(bytes))};
}

function resultOf(hash: Hash): Uint8Array {
  return new Uint8Array(hash.digest());
}
