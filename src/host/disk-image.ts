// Base disk images: opened read-only, read synchronously, never modified; with the digest that the log's header states.

import {createHash} from 'node:crypto';
import {closeSync, createReadStream, fstatSync, openSync, readSync} from 'node:fs';
import {FtvmError} from '../errors.ts';
import {toFileError} from './file-error.ts';

const SECTOR_BYTES = 512;

export class DiskImage {
  readonly path: string;
  readonly sizeBytes: number;
  readonly #file: number;

  private constructor(file: number, options: {path: string; sizeBytes: number}) {
    this.#file = file;
    this.path = options.path;
    this.sizeBytes = options.sizeBytes;
  }

  /** Opens an image of whole sectors. Throws FtvmError `fileSystem` or `badImage`. */
  static open(path: string): DiskImage {
    try {
      const file = openSync(path, 'r');
      const found = fstatSync(file);
      if (!found.isFile())
        throw new FtvmError('badImage', `${path} is no regular file`, {
          hint: 'A disk image is a plain file.',
          details: {path},
        });
      if (found.size === 0 || found.size % SECTOR_BYTES !== 0) {
        throw new FtvmError(
          'badImage',
          `${path} has ${found.size} bytes, which is not a whole number of 512-byte sectors`,
          {
            hint: 'Make one with: truncate -s 256M disk.img && mke2fs -t ext4 disk.img',
            details: {path, sizeBytes: found.size},
          },
        );
      }
      return new DiskImage(file, {path, sizeBytes: found.size});
    } catch (error) {
      throw error instanceof FtvmError ? error : toFileError(error, {doing: 'open', path});
    }
  }

  /** Fills `into` from the image. Throws FtvmError `fileSystem` when the image became shorter or cannot be read. */
  read(offsetBytes: number, into: Uint8Array): void {
    let done = 0;
    while (done < into.length) {
      let count: number;
      try {
        count = readSync(this.#file, into, done, into.length - done, offsetBytes + done);
      } catch (error) {
        throw toFileError(error, {doing: 'read', path: this.path});
      }
      if (count === 0) {
        throw new FtvmError(
          'fileSystem',
          `${this.path} ends at byte ${offsetBytes + done}: it became shorter while it was in use`,
        );
      }
      done += count;
    }
  }

  /** SHA-256 of the whole image. */
  async digest(): Promise<Uint8Array> {
    const hash = createHash('sha256');
    try {
      for await (const chunk of createReadStream(this.path, {highWaterMark: 1 << 20})) hash.update(chunk as Buffer);
    } catch (error) {
      throw toFileError(error, {doing: 'read', path: this.path});
    }
    return new Uint8Array(hash.digest());
  }

  close(): void {
    closeSync(this.#file);
  }
}
