// The files that a log's machine was started from: found again by the header's hints or the user's words, and believed only when
// their digests are the header's.

import {existsSync} from 'node:fs';
import {basename, dirname, join} from 'node:path';
import type {BootImages} from '../emulator/config.ts';
import {FtvmError} from '../errors.ts';
import {DiskImage} from '../host/disk-image.ts';
import {withFileErrors} from '../host/file-error.ts';
import {readImageFile} from '../host/image-file.ts';
import type {Artefact, BaseDisk, LogHeader} from '../logformat/record.ts';
import {hex} from './divergence.ts';

/** Paths that the user gives in place of the header's hints. */
export type ArtefactPaths = {
  kernel?: string | undefined;
  firmware?: string | undefined;
  initrd?: string | undefined;
  disks?: readonly string[];
};

export type Artefacts = {images: BootImages; disks: DiskImage[]};

/** The option that names a role on the command line. */
const OPTION: Record<Artefact['role'], string> = {kernel: '--kernel', firmware: '--bios', initrd: '--initrd'};

/** Loads what the header names. Throws FtvmError `mismatchedArtefact` with both digests, or `fileSystem`. */
export async function loadArtefacts(
  header: Pick<LogHeader, 'artefacts' | 'disks'>,
  options: {logPath: string; paths: ArtefactPaths},
): Promise<Artefacts> {
  const images: Partial<Record<Artefact['role'], Uint8Array>> = {};
  const reads = header.artefacts.map(async (artefact) => {
    const {role} = artefact;
    const path = pathOf(artefact, options);
    const {bytes, sha256} = await withFileErrors({doing: `read the ${role}`, path}, () => readImageFile(path));
    const sizeBytes = bytes.length;
    compare({what: `the ${role}`, path, expected: artefact, actual: sha256, sizeBytes, option: OPTION[role]});
    images[role] = bytes;
  });
  await Promise.all(reads);
  if (images.kernel === undefined)
    throw new FtvmError('corrupt', 'the log names no kernel', {hint: 'Its header is not complete.'});
  const disks: DiskImage[] = [];
  for (const [n, disk] of header.disks.entries())
    disks.push(await openDisk(disk, {n, logPath: options.logPath, path: options.paths.disks?.[n]}));
  return {images: {...images, kernel: images.kernel}, disks};
}

async function openDisk(
  disk: BaseDisk,
  options: {n: number; logPath: string; path: string | undefined},
): Promise<DiskImage> {
  const path = options.path ?? found(disk.pathHint, options.logPath);
  const image = DiskImage.open(path);
  const actual = await image.digest();
  compare({what: `disk ${options.n}`, path, expected: disk, actual, sizeBytes: image.sizeBytes, option: '--disk'});
  return image;
}

/** Where its file is to be. */
export function pathOf({role, pathHint}: Artefact, options: {logPath: string; paths: ArtefactPaths}): string {
  return options.paths[role] ?? found(pathHint, options.logPath);
}

/** A file that was moved together with its log is found beside it. */
function found(pathHint: string, logPath: string): string {
  const beside = join(dirname(logPath), basename(pathHint));
  return !existsSync(pathHint) && existsSync(beside) ? beside : pathHint;
}

function compare(facts: {
  what: string;
  path: string;
  expected: {sha256: Uint8Array; sizeBytes: number};
  actual: Uint8Array;
  sizeBytes: number;
  option: string;
}): void {
  const {what, path, expected, actual, sizeBytes, option} = facts;
  if (hex(expected.sha256) === hex(actual)) return;
  throw new FtvmError(
    'mismatchedArtefact',
    `${what} is not the one that was recorded: ${path}\n  recorded: sha256 ${hex(expected.sha256)}, ${expected.sizeBytes} bytes\n  found:    sha256 ${hex(actual)}, ${sizeBytes} bytes`,
    {
      hint: `Restore the file, or name the right one with ${option} FILE.`,
      details: {path, expected: hex(expected.sha256), actual: hex(actual)},
    },
  );
}
