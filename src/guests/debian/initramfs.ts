// Makes the guest's initramfs out of packages: their files as they are (without documentation), the links of a merged /usr,
// kernel modules, device nodes and /init. No package's scripts are run: they would need the guest's own processor and root.

import {FtvmError} from '../../errors.ts';
import {type CpioEntry, encodeCpio} from '../cpio.ts';
import type {TarEntry} from '../tar.ts';
import {initScript} from './init-script.ts';
import {modulesAlias, modulesDep} from './kernel-modules.ts';

/** Documentation, translations and packaging data: a guest in memory has no use for them. */
const LEFT_OUT =
  /^usr\/(share\/(doc|man|info|locale|lintian|bug|initramfs-tools|bash-completion)|lib\/(systemd|debug))(\/|$)/;

const MERGED_USR_LINKS = ['bin', 'sbin', 'lib', 'lib64'];
const DIRECTORIES = [
  'dev',
  'etc',
  'mnt',
  'proc',
  'root',
  'run',
  'sys',
  'tmp',
  'usr',
  'usr/bin',
  'usr/sbin',
  'usr/lib',
  'usr/lib64',
  'var',
  'var/log',
];

/** Numbers from the kernel's Documentation/admin-guide/devices.txt. */
const DEVICE_NODES = [
  {path: 'dev/console', mode: 0o600, major: 5, minor: 1},
  {path: 'dev/null', mode: 0o666, major: 1, minor: 3},
  {path: 'dev/zero', mode: 0o666, major: 1, minor: 5},
  {path: 'dev/urandom', mode: 0o666, major: 1, minor: 9},
  {path: 'dev/tty', mode: 0o666, major: 5, minor: 0},
  {path: 'dev/ttyS0', mode: 0o600, major: 4, minor: 64},
] as const;

const SMALL_FILES: Record<string, string> = {
  'etc/passwd': 'root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n',
  'etc/group': 'root:x:0:\ntty:x:5:\nnogroup:x:65534:\n',
  'etc/hosts': '127.0.0.1 localhost\n::1 localhost\n',
  'etc/hostname': 'debian\n',
  // What mount tries when no type is given; the kernel names ext4 only once it is loaded.
  'etc/filesystems': 'ext4\n*\n',
};

/** Collects files by path; a later file takes an earlier one's place, a directory stays where it is. */
export class InitramfsTree {
  readonly #entries = new Map<string, CpioEntry>();

  constructor() {
    for (const path of DIRECTORIES) this.#add({kind: 'directory', path, mode: path === 'tmp' ? 0o1777 : 0o755});
    for (const path of MERGED_USR_LINKS) this.#add({kind: 'symlink', path, mode: 0o777, target: `usr/${path}`});
    for (const node of DEVICE_NODES) this.#add({kind: 'characterDevice', ...node});
    for (const [path, text] of Object.entries(SMALL_FILES)) this.addFile(path, Buffer.from(text), 0o644);
    this.addFile('init', Buffer.from(initScript()), 0o755);
  }

  /** Whether a package's file belongs into the guest. */
  static wants(path: string): boolean {
    return !LEFT_OUT.test(path) && !path.startsWith('boot/');
  }

  /** The kernel's modules, by name and uncompressed: unpacking xz in the guest costs more than the memory is worth. */
  addModules(kernelVersion: string, modules: ReadonlyMap<string, Uint8Array>): void {
    const folder = `usr/lib/modules/${kernelVersion}`;
    for (const [name, bytes] of modules) this.addFile(`${folder}/${name}.ko`, bytes, 0o644);
    this.addFile(`${folder}/modules.dep`, Buffer.from(modulesDep()), 0o644);
    this.addFile(`${folder}/modules.alias`, Buffer.from(modulesAlias()), 0o644);
  }

  addFile(path: string, bytes: Uint8Array, mode: number): void {
    this.#add({kind: 'file', path, mode, bytes});
  }

  addPackageEntry(entry: TarEntry): void {
    const path = mergedPath(entry.path);
    if (entry.kind === 'hardlink') {
      const target = this.#entries.get(mergedPath(entry.target));
      if (target === undefined || target.kind !== 'file') {
        throw new FtvmError('package', `${entry.path}: hard link to ${entry.target}, which is not in the package`);
      }
      this.#add({...target, path});
    } else {
      this.#add({...entry, path});
    }
  }

  /** The archive, sorted by path, so that it does not depend on the order in which packages were unpacked. */
  encode(): Uint8Array {
    return encodeCpio([...this.#entries.values()].sort((a, b) => (a.path < b.path ? -1 : a.path > b.path ? 1 : 0)));
  }

  #add(entry: CpioEntry): void {
    const parent = entry.path.slice(0, Math.max(0, entry.path.lastIndexOf('/')));
    if (parent !== '' && !this.#entries.has(parent)) this.#add({kind: 'directory', path: parent, mode: 0o755});
    if (entry.kind === 'directory' && this.#entries.has(entry.path)) return;
    this.#entries.set(entry.path, entry);
  }
}

/** `bin/x` is `usr/bin/x`: Debian 13 has a merged /usr, and the links are ours. */
function mergedPath(path: string): string {
  const [first] = path.split('/', 1);
  return MERGED_USR_LINKS.includes(first!) ? `usr/${path}` : path;
}
