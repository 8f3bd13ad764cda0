// What the operating system said about a file, as an FtvmError: what was tried, with which path, and what to do about it.
// Anything without an errno code is our own bug and passes through unchanged.

import {FtvmError} from '../errors.ts';

const REASONS: Readonly<Record<string, {what: string; hint: string}>> = {
  ENOENT: {what: 'there is no such file or folder', hint: 'Check the path.'},
  EACCES: {what: 'permission denied', hint: 'Check owner and mode: logs belong to who recorded them, with mode 0600.'},
  EPERM: {what: 'operation not permitted', hint: 'Check owner, mode and attributes of the file.'},
  EISDIR: {what: 'it is a folder', hint: 'Name a file.'},
  ENOTDIR: {what: 'a part of the path is no folder', hint: 'Check the path.'},
  EEXIST: {what: 'it exists already', hint: 'Name another file, or remove that one.'},
  ENOSPC: {what: 'no space left on the device', hint: 'Make room; the file is good up to what was written whole.'},
  EDQUOT: {what: 'the disk quota is used up', hint: 'Make room; the file is good up to what was written whole.'},
  EFBIG: {what: 'the file would become too large', hint: 'Raise the file size limit (ulimit -f), or use another disk.'},
  EROFS: {what: 'the file system is read-only', hint: 'Name a file elsewhere.'},
  EIO: {what: 'the device reports an input/output error', hint: 'Check the disk; its content may be lost.'},
  EMFILE: {what: 'too many open files', hint: 'Raise the limit (ulimit -n).'},
  ENFILE: {what: 'too many open files on this host', hint: 'Close other programs.'},
  ENAMETOOLONG: {what: 'the name is too long', hint: 'Name a shorter path.'},
  ELOOP: {what: 'too many symbolic links', hint: 'Check the path.'},
  ETXTBSY: {what: 'it is being executed', hint: 'Name another file.'},
};

/** `doing`: `write`, `create`, `open`, … as in "cannot write run.ftlog: no space left on the device". */
export function toFileError(error: unknown, at: {doing: string; path: string}): unknown {
  const errno = (error as NodeJS.ErrnoException | null)?.code;
  if (error instanceof FtvmError || typeof errno !== 'string' || !/^E[A-Z0-9]+$/.test(errno)) return error;
  const {what, hint} = REASONS[errno] ?? {what: errno, hint: 'See errno(3) for what this means.'};
  return new FtvmError('fileSystem', `cannot ${at.doing} ${at.path}: ${what}`, {
    hint,
    details: {path: at.path, errno},
    cause: error,
  });
}

/** Runs `work` with its file errors named. */
export async function withFileErrors<T>(at: {doing: string; path: string}, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw toFileError(error, at);
  }
}
