// Builds a Debian 13 guest from the distribution's riscv64 packages, without root, in steps that report their progress. All work
// happens in a folder of its own that takes its final name at the very end: whenever the build is interrupted, there is either
// no guest or a whole one, and the downloads so far are kept.

import {createHash} from 'node:crypto';
import {existsSync} from 'node:fs';
import {mkdir, readdir, rename, rm, writeFile} from 'node:fs/promises';
import {join} from 'node:path';
import {assert, FtvmError} from '../../errors.ts';
import {aptFolder, builtGuestsFolder} from '../cache.ts';
import {type Artefact, type GuestManifest, MANIFEST_FILE, MANIFEST_FORMAT, readManifest} from '../guest-manifest.ts';
import {type DebianPackage, PrivateApt, type Report, sha256OfFile} from './apt.ts';
import {decompressXz, readDebianArchive} from './archive.ts';
import {findHostTools, type HostTools} from './host-tools.ts';
import {initScript} from './init-script.ts';
import {InitramfsTree} from './initramfs.ts';
import {MODULE_NAMES, modulesAlias, modulesDep} from './kernel-modules.ts';

/** The kernel, the firmware, and a shell that needs no library. */
const BASE_PACKAGES = ['linux-image-riscv64', 'opensbi', 'busybox-static'];
const FIRMWARE_PATH = 'usr/lib/riscv64-linux-gnu/opensbi/generic/fw_dynamic.bin';
const KERNEL_PATH = /^boot\/vmlinu[xz]-/;
const MODULE_PATH = /^(?:usr\/)?lib\/modules\/([^/]+)\/kernel\/.*\/([^/]+)\.ko(\.xz)?$/;

/**
 * Options that spare a boot 40 % of its instructions (measured with QEMU's -icount: 331 million instead of 590 until /init,
 * and 700 million less after it) and cost only diagnostics: self-tests of cryptographic algorithms, the statistical test of
 * the jitter entropy source, which needs a finer clock than this machine has, and names of enumerations in the kernel's traces.
 */
const COMMAND_LINE = [
  'console=ttyS0',
  'earlycon', // Shows the kernel's messages from the start, not only once its console driver is there.
  'cryptomgr.notests',
  'initcall_blacklist=jent_mod_init,trace_eval_init',
].join(' ');
const MIB = 1024 * 1024;
const MINIMUM_RAM_BYTES = 256 * MIB;
const BUILDING_PREFIX = '.building-';

export type DebianGuestOptions = {
  /** Packages to put in besides the base, by name. */
  packages: readonly string[];
  /** Name of the guest; by default `debian`, or `debian-` and the packages. */
  name?: string | undefined;
  /** Ends the tools that run at the moment; the step then rejects with the signal's AbortError. */
  signal?: AbortSignal | undefined;
};

export type BuiltGuest = {folder: string; manifest: GuestManifest /** It was there already. */; reused: boolean};

/** One step for the progress display; the steps run in order, each once. */
export type BuildStep = {title: string; run: (report: Report) => Promise<void>};

export class DebianGuestBuild {
  readonly name: string;
  readonly #packages: readonly string[];
  readonly #recipe: string;
  readonly #signal: AbortSignal | undefined;
  readonly #folder: string;
  readonly #workFolder: string;
  #host: HostTools | undefined;
  #apt: PrivateApt | undefined;
  #resolved: DebianPackage[] = [];
  #result: BuiltGuest | undefined;

  /** Throws FtvmError `usage` for a name that cannot be a folder's. */
  constructor(options: DebianGuestOptions) {
    this.#packages = [...new Set(options.packages)].sort();
    this.name = options.name ?? ['debian', ...this.#packages].join('-');
    if (!/^[a-z0-9][\w.+-]{0,99}$/i.test(this.name)) {
      throw new FtvmError('usage', `${JSON.stringify(this.name)} cannot be a guest's name`, {
        hint: 'Use letters, digits, and . _ + - after the first.',
      });
    }
    this.#recipe = recipeOf(this.#packages);
    this.#signal = options.signal;
    this.#folder = join(builtGuestsFolder(), this.name);
    this.#workFolder = join(builtGuestsFolder(), `${BUILDING_PREFIX}${process.pid}-${this.name}`);
  }

  /** The guest that this build would make, if it is there, whole and undamaged. */
  async existing(): Promise<BuiltGuest | undefined> {
    const manifest = await readManifest(this.#folder).catch(() => undefined);
    if (manifest?.recipe !== this.#recipe) return undefined;
    for (const artefact of [manifest.kernel, manifest.firmware, manifest.initrd]) {
      if ((await sha256OfFile(join(this.#folder, artefact.file))) !== artefact.sha256) return undefined;
    }
    return {folder: this.#folder, manifest, reused: true};
  }

  get steps(): BuildStep[] {
    return [
      {title: 'Look for apt, keyring and mirror', run: () => this.#prepare()},
      {title: 'Fetch and verify the package index', run: (report) => this.#fetchIndex(report)},
      {title: 'Work out the packages', run: (report) => this.#resolve(report)},
      {title: 'Download and check the packages', run: (report) => this.#apt!.download(this.#resolved, report)},
      {title: 'Put the guest together', run: (report) => this.#assemble(report)},
    ];
  }

  /** The guest; to be asked for after the last step. */
  get result(): BuiltGuest {
    assert(this.#result !== undefined, 'the steps of the build have not been run');
    return this.#result;
  }

  async #prepare(): Promise<void> {
    this.#host = await findHostTools();
    await mkdir(builtGuestsFolder(), {recursive: true});
    await removeAbandonedWork();
  }

  async #fetchIndex(report: Report): Promise<void> {
    this.#apt = await PrivateApt.open(aptFolder(), {...this.#host!, signal: this.#signal}, report);
  }

  async #resolve(report: Report): Promise<void> {
    this.#resolved = await this.#apt!.resolve([...BASE_PACKAGES, ...this.#packages]);
    const totalBytes = this.#resolved.reduce((sum, {sizeBytes}) => sum + sizeBytes, 0);
    report(`${this.#resolved.length} packages, ${Math.ceil(totalBytes / 1e6)} MB`);
  }

  async #assemble(report: Report): Promise<void> {
    await mkdir(this.#workFolder, {recursive: true});
    try {
      const images = await this.#unpack(report);
      const manifest: GuestManifest = {
        format: MANIFEST_FORMAT,
        name: this.name,
        description: `Debian 13${this.#packages.length > 0 ? ` with ${this.#packages.join(', ')}` : ''}: kernel, OpenSBI, busybox`,
        built: new Date().toISOString(),
        recipe: this.#recipe,
        boot: 'linux',
        kernel: await this.#write('kernel', images.kernel),
        firmware: await this.#write('fw_dynamic.bin', images.firmware),
        initrd: await this.#write('initrd.cpio', images.initrd),
        commandLine: COMMAND_LINE,
        ramBytes: ramFor(images.initrd.length),
        packages: this.#resolved.map(({name, version}) => ({name, version})),
      };
      await writeFile(join(this.#workFolder, MANIFEST_FILE), `${JSON.stringify(manifest, undefined, 2)}\n`);
      await this.#install();
      this.#result = {folder: this.#folder, manifest, reused: false};
    } finally {
      await rm(this.#workFolder, {recursive: true, force: true});
    }
  }

  /** Reads every package once; kernel, firmware and modules are picked out, all else goes into the tree. */
  async #unpack(report: Report): Promise<{kernel: Uint8Array; firmware: Uint8Array; initrd: Uint8Array}> {
    const tree = new InitramfsTree();
    const modules = new Map<string, Uint8Array>();
    let kernelVersion = '';
    let kernel: Uint8Array | undefined;
    let firmware: Uint8Array | undefined;
    for (const [index, {name, path}] of this.#resolved.entries()) {
      report(`${name} (${index + 1} of ${this.#resolved.length})`);
      const isKernel = name.startsWith('linux-image-');
      const isFirmware = name === 'opensbi';
      const wanted = (file: string) =>
        isKernel
          ? KERNEL_PATH.test(file) || isNeededModule(file)
          : isFirmware
            ? file === FIRMWARE_PATH
            : InitramfsTree.wants(file);
      for await (const entry of readDebianArchive(path, {wanted, signal: this.#signal})) {
        const module = MODULE_PATH.exec(entry.path);
        if (entry.kind === 'file' && isKernel && module !== null) {
          const scratch = join(this.#workFolder, 'module.tmp');
          kernelVersion = module[1]!;
          modules.set(module[2]!, module[3] === undefined ? entry.bytes : await decompressXz(entry.bytes, scratch));
        } else if (entry.kind === 'file' && isKernel) {
          kernel = entry.bytes;
        } else if (entry.kind === 'file' && isFirmware) {
          firmware = entry.bytes;
        } else {
          tree.addPackageEntry(entry);
        }
      }
    }
    tree.addModules(kernelVersion, modules);
    const missing = MODULE_NAMES.filter((name) => !modules.has(name));
    if (kernel === undefined || firmware === undefined || missing.length > 0) {
      const what = kernel === undefined ? 'kernel' : firmware === undefined ? 'firmware' : `module ${missing[0]}`;
      throw new FtvmError('package', `Debian's packages have no ${what} where ftvm looks for it`, {
        hint: 'The packages have changed: use a newer ftvm.',
        details: {packages: this.#resolved.map(({name, version}) => `${name}=${version}`)},
      });
    }
    return {kernel, firmware, initrd: tree.encode()};
  }

  async #write(file: string, bytes: Uint8Array): Promise<Artefact> {
    await writeFile(join(this.#workFolder, file), bytes);
    return {file, sizeBytes: bytes.length, sha256: createHash('sha256').update(bytes).digest('hex')};
  }

  /** Two renames: a folder cannot replace another that is not empty. */
  async #install(): Promise<void> {
    const old = `${this.#workFolder}.old`;
    if (existsSync(this.#folder)) await rename(this.#folder, old);
    await rename(this.#workFolder, this.#folder);
    await rm(old, {recursive: true, force: true});
  }
}

/** What determines the guest besides Debian's packages. */
function recipeOf(packages: readonly string[]): string {
  const parts = [MANIFEST_FORMAT, COMMAND_LINE, initScript(), modulesDep(), modulesAlias(), BASE_PACKAGES, packages];
  return createHash('sha256').update(JSON.stringify(parts)).digest('hex');
}

function isNeededModule(path: string): boolean {
  const match = MODULE_PATH.exec(path);
  return match !== null && MODULE_NAMES.includes(match[2]!);
}

/** The archive and its unpacked files are both in memory for a moment. */
function ramFor(initrdBytes: number): number {
  const step = 64 * MIB;
  return Math.max(MINIMUM_RAM_BYTES, Math.ceil((128 * MIB + 3 * initrdBytes) / step) * step);
}

/** Removes the work folders of builds whose process is gone. */
async function removeAbandonedWork(): Promise<void> {
  for (const name of await readdir(builtGuestsFolder())) {
    const match = /^\.building-(\d+)-/.exec(name);
    if (match !== null && !isRunning(Number(match[1]))) {
      await rm(join(builtGuestsFolder(), name), {recursive: true, force: true});
    }
  }
}

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}
