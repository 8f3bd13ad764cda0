// The manifest of a built guest: what it consists of, with sizes and digests, and how it is started. It lies as manifest.json
// in the guest's folder and is written last, so that a folder with a manifest is a whole guest. Read with suspicion: it is a
// file on disk that anybody may have edited.

import {readFile} from 'node:fs/promises';
import {join} from 'node:path';
import {FtvmError} from '../errors.ts';

/** Raised when the layout of the manifest or the way a guest is made changes: an older guest is then built anew. */
export const MANIFEST_FORMAT = 1;
export const MANIFEST_FILE = 'manifest.json';

export type Artefact = {
  /** Relative to the manifest's folder. */
  file: string;
  sizeBytes: number;
  sha256: string;
};

export type GuestManifest = {
  format: typeof MANIFEST_FORMAT;
  name: string;
  description: string;
  /** Time of the build, ISO 8601. */
  built: string;
  /** Digest of the recipe: format, ftvm's /init, packages asked for. The same recipe is not built twice. */
  recipe: string;
  boot: 'linux';
  kernel: Artefact;
  firmware: Artefact;
  initrd: Artefact;
  commandLine: string;
  ramBytes: number;
  /** All packages that were unpacked, with versions. */
  packages: {name: string; version: string}[];
};

/**
 * Reads the manifest in `folder`; undefined when there is none or one of another format. Throws FtvmError `corrupt` when it is
 * no manifest at all.
 */
export async function readManifest(folder: string): Promise<GuestManifest | undefined> {
  const path = join(folder, MANIFEST_FILE);
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    if (code === 'ENOENT' || code === 'ENOTDIR') return undefined;
    throw new FtvmError('fileSystem', `${path}: cannot be read (${code})`, {cause: error});
  }
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw damaged(path, error);
  }
  if ((value as {format?: unknown} | null)?.format !== MANIFEST_FORMAT) return undefined;
  if (!isManifest(value)) throw damaged(path);
  return value;
}

function isManifest(value: unknown): value is GuestManifest {
  const it = value as GuestManifest;
  return (
    [it.name, it.description, it.built, it.recipe, it.commandLine].every((text) => typeof text === 'string') &&
    it.boot === 'linux' &&
    Number.isSafeInteger(it.ramBytes) &&
    [it.kernel, it.firmware, it.initrd].every(isArtefact) &&
    Array.isArray(it.packages)
  );
}

function isArtefact(value: Artefact | undefined): boolean {
  return (
    typeof value === 'object' &&
    value !== null &&
    /^[\w.-]+$/.test(value.file) &&
    !value.file.startsWith('.') &&
    Number.isSafeInteger(value.sizeBytes) &&
    /^[0-9a-f]{64}$/.test(value.sha256)
  );
}

function damaged(path: string, cause?: unknown): FtvmError {
  return new FtvmError('corrupt', `${path}: not a guest's manifest`, {
    hint: 'Build the guest again with --force.',
    details: {path},
    ...(cause === undefined ? {} : {cause}),
  });
}
