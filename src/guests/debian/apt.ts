// A private apt: its configuration, state, lists and archives live in folders of its own, for a foreign architecture, without
// root. apt verifies the index's signature with Debian's keyring; every archive's SHA256 is checked here against that index,
// because apt does not hash again what it finds in its cache.

import {createHash} from 'node:crypto';
import {createReadStream} from 'node:fs';
import {mkdir, rm, writeFile} from 'node:fs/promises';
import {join} from 'node:path';
import {assert, FtvmError} from '../../errors.ts';
import {runTool, type ToolResult} from '../subprocess.ts';

export const ARCHITECTURE = 'riscv64';
export const SUITE = 'trixie';

/** What a kernel package and others ask for that our initramfs replaces, so that apt does not pull in 48 packages more. */
const PROVIDED_PACKAGES = [
  'initramfs-tools',
  'linux-initramfs-tool',
  'kmod',
  'linux-base',
  'adduser',
  'passwd',
  'debconf',
  'debconf-2.0',
  'init-system-helpers',
  'systemd',
  'udev',
];

/** Debian policy 5.6.1. It also keeps options of apt-get out of the list of packages. */
const PACKAGE_NAME = /^[a-z0-9][a-z0-9+.-]+$/;

export type DebianPackage = {name: string; version: string; sizeBytes: number; sha256: string; path: string};

/** Told what is being done at the moment, in a few words. */
export type Report = (text: string) => void;

export class PrivateApt {
  readonly #root: string;
  readonly #configPath: string;
  readonly #signal: AbortSignal | undefined;

  private constructor(root: string, signal: AbortSignal | undefined) {
    this.#root = root;
    this.#configPath = join(root, 'apt.conf');
    this.#signal = signal;
  }

  /**
   * Lays out the folders below `root` (kept between builds: lists and archives are the download cache), then fetches the package
   * index and verifies its signature: from the first mirror that has it, since the host's apt may use others besides Debian's.
   * Throws FtvmError `unsupportedHost` when none has it, `network` when one cannot be reached, `package` for a bad signature.
   */
  static async open(
    root: string,
    options: {keyring: string; mirrors: readonly string[]; signal?: AbortSignal | undefined},
    report: Report,
  ): Promise<PrivateApt> {
    const apt = new PrivateApt(root, options.signal);
    for (const folder of ['lists/partial', 'archives/partial', 'empty']) {
      await mkdir(join(root, folder), {recursive: true, mode: 0o755});
    }
    await writeFile(join(root, 'status'), pseudoPackage());
    await writeFile(apt.#configPath, aptConfig(root));
    const failures: FtvmError[] = [];
    for (const mirror of options.mirrors) {
      const source = `deb [arch=${ARCHITECTURE} signed-by=${options.keyring}] ${mirror} ${SUITE} main\n`;
      await writeFile(join(root, 'sources.list'), source);
      const result = await apt.#apt('apt-get', ['-q', 'update'], report);
      if (result.exitCode === 0) return apt;
      failures.push(aptError('fetch the package index', result));
    }
    // A mirror that could not be reached, or was forged, may be the one that has it.
    const telling = failures.find(({code}) => code !== 'unsupportedHost') ?? failures[0];
    assert(telling !== undefined, 'there is no mirror to try');
    throw telling;
  }

  /** All packages that installing `names` takes, with what the signed index says of them. Throws FtvmError `package`. */
  async resolve(names: readonly string[]): Promise<DebianPackage[]> {
    for (const name of names) {
      if (!PACKAGE_NAME.test(name)) {
        throw new FtvmError('package', `${JSON.stringify(name)} is no Debian package name`, {
          hint: 'Give names separated by commas: --packages redis-server,htop',
        });
      }
    }
    const plan = await this.#apt('apt-get', ['-q', '--simulate', 'install', ...names]);
    if (plan.exitCode !== 0) throw aptError('work out the packages', plan);
    const wanted = [...plan.stdout.matchAll(/^Inst (\S+) \((\S+) /gm)].map(([, name, version]) => ({
      name: name!.replace(/:.*/, ''),
      version: version!,
    }));
    const shown = await this.#apt('apt-cache', ['show', ...wanted.map(({name, version}) => `${name}=${version}`)]);
    if (shown.exitCode !== 0) throw aptError('read the package index', shown);
    const stanzas = shown.stdout.split(/\n\n+/).map(parseStanza);
    return wanted.map(({name, version}) => {
      const stanza = stanzas.find((fields) => fields.get('Package') === name && fields.get('Version') === version);
      const sha256 = stanza?.get('SHA256');
      if (stanza === undefined || sha256 === undefined || !/^[0-9a-f]{64}$/.test(sha256)) {
        throw new FtvmError('package', `the package index has no SHA256 of ${name} ${version}`);
      }
      const file = `${name}_${version.replaceAll(':', '%3a')}_${stanza.get('Architecture')}.deb`;
      return {name, version, sizeBytes: Number(stanza.get('Size')), sha256, path: join(this.#root, 'archives', file)};
    });
  }

  /** Downloads what is missing; what an interrupted download left is carried on. Checks every archive's digest. */
  async download(packages: readonly DebianPackage[], report: Report): Promise<void> {
    await this.#removeDamaged(packages);
    const names = packages.map(({name, version}) => `${name}=${version}`);
    const result = await this.#apt('apt-get', ['-q', '-y', '--download-only', 'install', ...names], report);
    if (result.exitCode !== 0) throw aptError('download the packages', result);
    const damaged = await this.#removeDamaged(packages);
    if (damaged.length > 0) {
      throw new FtvmError('package', `${damaged[0]!.name}: the downloaded archive does not match the signed index`, {
        hint: 'The mirror or the network altered it. Try again; if it persists, use another mirror.',
        details: {packages: damaged.map(({name}) => name)},
      });
    }
  }

  async #removeDamaged(packages: readonly DebianPackage[]): Promise<DebianPackage[]> {
    const damaged: DebianPackage[] = [];
    for (const item of packages) {
      if ((await sha256OfFile(item.path)) === item.sha256) continue;
      damaged.push(item);
      await rm(item.path, {force: true});
    }
    return damaged;
  }

  #apt(command: 'apt-get' | 'apt-cache', args: string[], report?: Report): Promise<ToolResult> {
    return runTool(command, ['-c', this.#configPath, ...args], {
      signal: this.#signal,
      ...(report === undefined ? {} : {onStatusLine: (line) => reportStatus(line, report)}),
    });
  }
}

/** SHA256 of a file in hex, or undefined when there is none. */
export async function sha256OfFile(path: string): Promise<string | undefined> {
  const hash = createHash('sha256');
  try {
    for await (const chunk of createReadStream(path, {highWaterMark: 1 << 20})) hash.update(chunk);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
  return hash.digest('hex');
}

/** One paragraph of control data (deb822): field name to first line of its value. */
function parseStanza(text: string): Map<string, string> {
  const fields = new Map<string, string>();
  for (const line of text.split('\n')) {
    const match = /^([A-Za-z0-9-]+):\s*(.*)$/.exec(line);
    if (match !== null) fields.set(match[1]!, match[2]!);
  }
  return fields;
}

/** Lines like `dlstatus:3:47.5:Retrieving file 3 of 19 (12s remaining)`. */
function reportStatus(line: string, report: Report): void {
  const match = /^dlstatus:[^:]*:([\d.]+):(.*)$/.exec(line);
  if (match !== null) report(`${Math.min(100, Math.floor(Number(match[1])))} %, ${match[2]!.toLowerCase()}`);
}

function pseudoPackage(): string {
  return [
    'Package: ftvm-guest',
    'Status: install ok installed',
    'Priority: optional',
    'Section: misc',
    'Installed-Size: 0',
    'Maintainer: ftvm <ftvm@localhost>',
    `Architecture: ${ARCHITECTURE}`,
    'Version: 999',
    `Provides: ${PROVIDED_PACKAGES.map((name) => `${name} (= 999)`).join(', ')}`,
    'Description: stands for what an ftvm guest does without',
    '',
    '',
  ].join('\n');
}

/**
 * Read by apt after the machine's own configuration, whose proxy and authentication therefore stay in force; what would act on
 * the machine itself is cleared.
 */
function aptConfig(root: string): string {
  const quoted = (path: string) => JSON.stringify(join(root, path));
  return [
    '#clear APT::Architectures;',
    '#clear APT::Update::Pre-Invoke;',
    '#clear APT::Update::Post-Invoke;',
    '#clear APT::Update::Post-Invoke-Success;',
    '#clear DPkg::Pre-Invoke;',
    '#clear DPkg::Post-Invoke;',
    '#clear DPkg::Pre-Install-Pkgs;',
    '#clear APT::Default-Release;',
    `APT::Architecture "${ARCHITECTURE}";`,
    `APT::Architectures {"${ARCHITECTURE}";};`,
    'APT::Install-Recommends "false";',
    'APT::Install-Suggests "false";',
    'APT::Status-Fd "3";',
    'APT::Update::Error-Mode "any";',
    'APT::Sandbox::Seccomp "false";',
    ...(process.getuid?.() === 0 ? ['APT::Sandbox::User "root";'] : []),
    'APT::Keep-Downloaded-Packages "true";',
    'Acquire::Languages "none";',
    'Acquire::Retries "2";',
    'Acquire::http::Timeout "30";',
    'Acquire::https::Timeout "30";',
    'Debug::NoLocking "false";',
    `Dir::State ${quoted('')};`,
    `Dir::State::lists ${quoted('lists')};`,
    `Dir::State::status ${quoted('status')};`,
    `Dir::State::extended_states ${quoted('extended_states')};`,
    `Dir::Cache ${quoted('')};`,
    `Dir::Cache::archives ${quoted('archives')};`,
    `Dir::Etc::sourcelist ${quoted('sources.list')};`,
    `Dir::Etc::sourceparts ${quoted('empty')};`,
    'Dir::Etc::trusted "/dev/null";',
    `Dir::Etc::trustedparts ${quoted('empty')};`,
    'Dir::Etc::preferences "/dev/null";',
    `Dir::Etc::preferencesparts ${quoted('empty')};`,
    '',
  ].join('\n');
}

/** Turns what apt printed into a named error. */
function aptError(what: string, {stdout, stderr, exitCode}: ToolResult): FtvmError {
  const complaints = stderr.split('\n').filter((line) => /^[EW]:/.test(line));
  const first = (
    complaints.find((line) => line.startsWith('E:')) ??
    complaints[0] ??
    `apt ended with ${exitCode}`
  ).replace(/^[EW]:\s*/, '');
  const details = {complaints: complaints.slice(0, 20)};
  const unknown = /Unable to locate package (\S+)|Package '?(\S+?)'? has no installation candidate/.exec(stderr);
  if (unknown !== null) {
    const name = unknown[1] ?? unknown[2];
    return new FtvmError('package', `Debian has no package ${name} for ${ARCHITECTURE}`, {
      hint: 'Check the name at the spelling that `apt-cache search` shows.',
      details,
    });
  }
  if (/Could not get lock|Unable to acquire|is held by process/.test(stderr)) {
    return new FtvmError('alreadyRunning', `cannot ${what}: another ftvm is building a guest`, {
      hint: 'Wait until it has finished.',
      details,
    });
  }
  if (/unmet dependencies|held broken packages/.test(stdout + stderr)) {
    return new FtvmError('package', `cannot ${what}: dependencies cannot be met: ${first}`, {details});
  }
  if (/NO_PUBKEY|not signed|GPG error|BADSIG|EXPKEYSIG|signature/i.test(stderr)) {
    return new FtvmError('package', `cannot ${what}: the signature does not verify: ${first}`, {
      hint: 'Update the package debian-archive-keyring, or use another mirror.',
      details,
    });
  }
  if (/does not have a Release file|no longer has a Release file/.test(stderr)) {
    return new FtvmError('unsupportedHost', `cannot ${what}: no mirror that apt uses here has Debian 13 (${SUITE})`, {
      hint: 'Add a Debian mirror to /etc/apt/sources.list.d.',
      details,
    });
  }
  if (/No space left|not enough free space/i.test(stderr)) {
    return new FtvmError('fileSystem', `cannot ${what}: ${first}`, {hint: 'Free 400 MB in the cache folder.', details});
  }
  if (
    /Temporary failure|Could not (resolve|connect)|Failed to fetch|Connection (failed|timed out|refused)|Unable to connect|unreachable/i.test(
      stderr,
    )
  ) {
    return new FtvmError('network', `cannot ${what}: ${first}`, {
      hint: 'Check the network and the mirror that apt is set up with; a second try carries on where this one stopped.',
      details,
    });
  }
  return new FtvmError('package', `cannot ${what}: ${first}`, {details});
}
