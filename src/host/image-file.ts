// A file that a machine boots from: read whole, and hashed. The read is one request to Node's own threads, made before anything is awaited,
// so that it goes on while this thread does something else, such as load the rest of the program.

import {createHash} from 'node:crypto';
import {closeSync, fstatSync, openSync, read, readFileSync} from 'node:fs';
import {promisify} from 'node:util';

const readInto = promisify(read);

export type ImageFile = {bytes: Uint8Array; sha256: Uint8Array};

/** Throws what the operating system says. */
export async function readImageFile(path: string): Promise<ImageFile> {
  const bytes = await readWhole(path);
  return {bytes, sha256: new Uint8Array(createHash('sha256').update(bytes).digest())};
}

async function readWhole(path: string): Promise<Uint8Array> {
  const descriptor = openSync(path, 'r');
  try {
    const stats = fstatSync(descriptor);
    // A pipe's size is not known.
    if (!stats.isFile()) return new Uint8Array(readFileSync(descriptor));
    const bytes = new Uint8Array(stats.size);
    let end = 0;
    while (end < bytes.length) {
      const {bytesRead} = await readInto(descriptor, bytes, end, bytes.length - end, end);
      if (bytesRead === 0) return bytes.subarray(0, end);
      end += bytesRead;
    }
    return bytes;
  } finally {
    closeSync(descriptor);
  }
}
