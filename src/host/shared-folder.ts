// A folder that several hosts share, as the directory arbiter uses it: a few operations, each of which may fail, hang or, on a network
// file system, fail although it was done. Every file in it is small and whole: names appear only by link or rename.

import {link, open, readdir, rename, unlink} from 'node:fs/promises';

export interface SharedFolder {
  /** Creates `path` with this text and brings it to stable storage. Fails when it exists. */
  createFile(path: string, text: string): Promise<void>;
  /** Makes a name and removes it again: the folder has changed, and is as it was. Nothing need be on stable storage. */
  touch(path: string): Promise<void>;
  /** Gives the file a second name; fails with EEXIST when the name is taken. Atomic. */
  link(from: string, to: string): Promise<void>;
  /** Gives the file another name, replacing what has it. Atomic. */
  rename(from: string, to: string): Promise<void>;
  unlink(path: string): Promise<void>;
  /** At most `limitBytes`, as UTF-8. */
  readFile(path: string, limitBytes: number): Promise<string>;
  list(folder: string): Promise<string[]>;
  /** Brings the folder's names to stable storage. */
  syncFolder(folder: string): Promise<void>;
}

export const HOST_SHARED_FOLDER: SharedFolder = {
  async createFile(path, text) {
    const file = await open(path, 'wx', 0o644);
    try {
      await file.writeFile(text);
      await file.sync();
    } finally {
      await file.close();
    }
  },
  async touch(path) {
    await (await open(path, 'wx', 0o644)).close();
    await unlink(path);
  },
  link,
  rename,
  unlink,
  async readFile(path, limitBytes) {
    const file = await open(path, 'r');
    try {
      const bytes = Buffer.alloc(limitBytes);
      let length = 0;
      for (;;) {
        const {bytesRead} = await file.read(bytes, length, limitBytes - length, null);
        length += bytesRead;
        if (bytesRead === 0 || length === limitBytes) return bytes.toString('utf8', 0, length);
      }
    } finally {
      await file.close();
    }
  },
  list: (folder) => readdir(folder),
  async syncFolder(folder) {
    const handle = await open(folder, 'r');
    try {
      await handle.sync();
    } finally {
      await handle.close();
    }
  },
};
