// Finds what a user means by IMAGE or GUEST: a built-in guest (fixtures/guests), one built into the cache, an ELF file, or a
// kernel Image with its firmware. Gives back bytes, with the way to start them; whether the machine can start them is
// emulator/image's to say.

import {existsSync} from 'node:fs';
import {readdir, readFile} from 'node:fs/promises';
import {dirname, join} from 'node:path';
import {fileURLToPath} from 'node:url';
import type {BootImages} from '../emulator/config.ts';
import {FtvmError} from '../errors.ts';
import {type ImageFile, readImageFile} from '../host/image-file.ts';
import {builtGuestsFolder} from './cache.ts';
import {type Artefact, type GuestManifest, readManifest} from './guest-manifest.ts';

const MIB = 2 ** 20;
const DEFAULT_ELF_RAM_BYTES = 64 * MIB;
const DEFAULT_LINUX_RAM_BYTES = 256 * MIB;

/** What the user gives on the command line in place of the guest's own. */
export type GuestOverrides = {
  /** Path of the firmware (`--bios`). */
  firmwarePath?: string | undefined;
  /** Path of the initrd (`--initrd`). */
  initrdPath?: string | undefined;
  /**
   * Kernel command line (`--append`): added to that of a guest with a name, which is needed to start it well; the whole one for
   * an image.
   */
  append?: string | undefined;
};

type ByRole<T> = {kernel: T; firmware?: T; initrd?: T};

export type ResolvedGuest = {
  /** The guest's name, or the image's path. */
  name: string;
  boot: 'elf' | 'linux';
  images: BootImages;
  /** SHA-256 of the images, by role. */
  digests: ByRole<Uint8Array>;
  /** Where the images came from, by role. */
  paths: ByRole<string>;
  commandLine: string;
  /** How much RAM the guest is meant for. */
  ramBytes: number;
};

export type GuestSummary = {
  name: string;
  description: string;
  origin: 'built-in' | 'built';
  /** Of all its files. */
  sizeBytes: number;
  /** ISO 8601; built guests only. */
  built?: string;
  path: string;
};

/** An entry of fixtures/guests/guests.json. */
type BuiltInGuest = {
  name: string;
  description: string;
  file: string;
  sizeBytes: number;
  sha256: string;
  ramBytes?: number;
  commandLine?: string;
};

/** A guest whose files have not been read yet. */
type FoundGuest = Omit<ResolvedGuest, 'images' | 'digests'> & {
  /** The reads begin before it returns. */
  read(): Promise<ByRole<ImageFile>>;
};

/**
 * Resolves `nameOrPath`. What has no slash is a guest's name first, a file's second. Throws FtvmError `fileSystem` when there
 * is neither, `corrupt` when a guest's file is not what its manifest says, `usage` for overrides that make no sense.
 */
export async function resolveGuest(nameOrPath: string, overrides: GuestOverrides = {}): Promise<ResolvedGuest> {
  return (await findGuest(nameOrPath, overrides)).read();
}

/**
 * As `resolveGuest`, but the images are read only by `read`, whose reads have begun when it returns its promise: whoever has something else
 * to do meanwhile may do it.
 */
export async function findGuest(
  nameOrPath: string,
  overrides: GuestOverrides = {},
): Promise<Omit<ResolvedGuest, 'images' | 'digests'> & {read(): Promise<ResolvedGuest>}> {
  const {read, ...guest} = await find(nameOrPath, overrides);
  return {
    ...guest,
    async read() {
      const files = await read();
      return {...guest, images: each(files, ({bytes}) => bytes), digests: each(files, ({sha256}) => sha256)};
    },
  };
}

async function find(nameOrPath: string, overrides: GuestOverrides): Promise<FoundGuest> {
  if (!nameOrPath.includes('/')) {
    const builtIn = (await builtInGuests()).find(({name}) => name === nameOrPath);
    if (builtIn !== undefined) return findBuiltIn(builtIn, overrides);
    const folder = join(builtGuestsFolder(), nameOrPath);
    const manifest = nameOrPath.startsWith('.') ? undefined : await readManifest(folder);
    if (manifest !== undefined) return findBuilt(manifest, folder, overrides);
  }
  if (!existsSync(nameOrPath)) throw unknownGuest(nameOrPath);
  return findFile(nameOrPath, overrides);
}

/** All guests that have a name: the built-in ones, then the built ones, each by name. A damaged one is left out. */
export async function listGuests(): Promise<GuestSummary[]> {
  const root = builtInFolder();
  const builtIn = (await builtInGuests()).map(
    ({name, description, file, sizeBytes}): GuestSummary => ({
      name,
      description,
      origin: 'built-in',
      sizeBytes,
      path: join(root, file),
    }),
  );
  const built: GuestSummary[] = [];
  for (const entry of await readdir(builtGuestsFolder()).catch(() => [])) {
    if (entry.startsWith('.')) continue;
    const folder = join(builtGuestsFolder(), entry);
    const manifest = await readManifest(folder).catch(() => undefined);
    if (manifest === undefined) continue;
    const sizeBytes = [manifest.kernel, manifest.firmware, manifest.initrd].reduce((sum, it) => sum + it.sizeBytes, 0);
    built.push({
      name: entry,
      description: manifest.description,
      origin: 'built',
      sizeBytes,
      built: manifest.built,
      path: folder,
    });
  }
  const byName = (a: GuestSummary, b: GuestSummary) => (a.name < b.name ? -1 : 1);
  return [...builtIn.sort(byName), ...built.sort(byName)];
}

function findBuiltIn(guest: BuiltInGuest, overrides: GuestOverrides): FoundGuest {
  refuseLinuxOptions(guest.name, overrides);
  const artefact = {file: guest.file, sizeBytes: guest.sizeBytes, sha256: guest.sha256};
  return {
    name: guest.name,
    boot: 'elf',
    paths: {kernel: join(builtInFolder(), guest.file)},
    read: async () => ({kernel: await readArtefact(builtInFolder(), artefact, 'Install ftvm again.')}),
    commandLine: joinCommandLine(guest.commandLine, overrides.append),
    ramBytes: guest.ramBytes ?? DEFAULT_ELF_RAM_BYTES,
  };
}

function findBuilt(manifest: GuestManifest, folder: string, overrides: GuestOverrides): FoundGuest {
  const hint = 'Build it again: ftvm guest build debian --force, with the same packages and name.';
  const load = (artefact: Artefact, override: string | undefined) =>
    override === undefined ? readArtefact(folder, artefact, hint) : readImage(override);
  const {firmwarePath, initrdPath} = overrides;
  return {
    name: manifest.name,
    boot: 'linux',
    paths: {
      kernel: join(folder, manifest.kernel.file),
      firmware: firmwarePath ?? join(folder, manifest.firmware.file),
      initrd: initrdPath ?? join(folder, manifest.initrd.file),
    },
    async read() {
      const [kernel, firmware, initrd] = await Promise.all([
        load(manifest.kernel, undefined),
        load(manifest.firmware, firmwarePath),
        load(manifest.initrd, initrdPath),
      ]);
      return {kernel, firmware, initrd};
    },
    commandLine: joinCommandLine(manifest.commandLine, overrides.append),
    ramBytes: manifest.ramBytes,
  };
}

/** With firmware the file is a kernel; without, a bare-metal ELF. */
function findFile(path: string, overrides: GuestOverrides): FoundGuest {
  const {firmwarePath, initrdPath} = overrides;
  if (firmwarePath === undefined) refuseLinuxOptions(path, overrides);
  const boot = firmwarePath === undefined ? 'elf' : 'linux';
  return {
    name: path,
    boot,
    paths: {
      kernel: path,
      ...(firmwarePath === undefined ? {} : {firmware: firmwarePath}),
      ...(initrdPath === undefined ? {} : {initrd: initrdPath}),
    },
    async read() {
      const [kernel, firmware, initrd] = await Promise.all([
        readImage(path),
        firmwarePath === undefined ? undefined : readImage(firmwarePath),
        initrdPath === undefined ? undefined : readImage(initrdPath),
      ]);
      return {kernel, ...(firmware && {firmware}), ...(initrd && {initrd})};
    },
    commandLine: overrides.append ?? (boot === 'linux' ? 'console=ttyS0 earlycon' : ''),
    ramBytes: boot === 'linux' ? DEFAULT_LINUX_RAM_BYTES : DEFAULT_ELF_RAM_BYTES,
  };
}

function joinCommandLine(own = '', append = ''): string {
  return [own, append].filter((part) => part !== '').join(' ');
}

function refuseLinuxOptions(name: string, {firmwarePath, initrdPath}: GuestOverrides): void {
  const option = firmwarePath !== undefined ? '--bios' : initrdPath !== undefined ? '--initrd' : undefined;
  if (option === undefined) return;
  throw new FtvmError('usage', `${option} makes no sense for ${name}, which starts without firmware`, {
    hint: option === '--initrd' ? 'A kernel Image needs --bios too.' : `Leave ${option} out.`,
  });
}

function each<T, U>({kernel, firmware, initrd}: ByRole<T>, of: (one: T) => U): ByRole<U> {
  return {
    kernel: of(kernel),
    ...(firmware !== undefined && {firmware: of(firmware)}),
    ...(initrd !== undefined && {initrd: of(initrd)}),
  };
}

/** A file of a guest's own, which must be the manifest's. */
async function readArtefact(folder: string, artefact: Artefact, hint: string): Promise<ImageFile> {
  const path = join(folder, artefact.file);
  const image = await readImage(path);
  const actual = Buffer.from(image.sha256).toString('hex');
  if (actual === artefact.sha256) return image;
  throw new FtvmError('corrupt', `${path}: digest expected ${artefact.sha256}, got ${actual}`, {
    hint,
    details: {path, expected: artefact.sha256, actual},
  });
}

async function readImage(path: string): Promise<ImageFile> {
  try {
    return await readImageFile(path);
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    const reason =
      code === 'ENOENT' ? 'no such file' : code === 'EISDIR' ? 'a directory, not an image' : `cannot be read (${code})`;
    throw new FtvmError('fileSystem', `${path}: ${reason}`, {details: {path}, cause: error});
  }
}

function unknownGuest(name: string): FtvmError {
  if (name.includes('/')) return new FtvmError('fileSystem', `${name}: no such file`, {details: {path: name}});
  const hint = /^debian/.test(name) ? 'Build it first: ftvm guest build debian' : 'See what there is: ftvm guest list';
  return new FtvmError('fileSystem', `there is no guest and no file called ${name}`, {hint, details: {path: name}});
}

async function builtInGuests(): Promise<BuiltInGuest[]> {
  const text = await readFile(join(builtInFolder(), 'guests.json'), 'utf8').catch(() => undefined);
  return text === undefined ? [] : (JSON.parse(text) as {guests: BuiltInGuest[]}).guests;
}

/** fixtures/guests of the package that this file belongs to, from source as from dist. */
function builtInFolder(): string {
  let folder = dirname(fileURLToPath(import.meta.url));
  while (!existsSync(join(folder, 'package.json')) && folder !== dirname(folder)) folder = dirname(folder);
  return join(folder, 'fixtures', 'guests');
}
