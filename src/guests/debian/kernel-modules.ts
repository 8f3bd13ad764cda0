// The kernel modules that a guest may need, and the two tables by which its modprobe finds them, as depmod would write them: the
// kernel package ships none. The modules stay as Debian signed them: a machine that runs stock software runs stock modules.
// That has its price, 30 million instructions for each one's RSA signature and 130 for each byte that it covers: 910 of the 1006
// million that ext4 takes. So nothing is loaded before it is needed: a file system not before the first mount.

type KernelModule = {
  /** Modules that must be loaded before, innermost last. */
  needs: readonly string[];
  /** What the kernel, or /init with a device's modalias, asks for by another name. */
  aliases: readonly string[];
};

const MODULES: Readonly<Record<string, KernelModule>> = {
  virtio_mmio: {needs: [], aliases: []},
  virtio_net: {needs: ['net_failover', 'failover'], aliases: ['virtio:d00000001v*']},
  virtio_blk: {needs: [], aliases: ['virtio:d00000002v*']},
  'virtio-rng': {needs: [], aliases: ['virtio:d00000004v*']},
  failover: {needs: [], aliases: []},
  net_failover: {needs: ['failover'], aliases: []},
  ext4: {needs: ['jbd2', 'mbcache', 'crc16'], aliases: ['fs-ext4', 'fs-ext3', 'fs-ext2']},
  jbd2: {needs: [], aliases: []},
  mbcache: {needs: [], aliases: []},
  crc16: {needs: [], aliases: []},
  crc32c_generic: {needs: [], aliases: ['crypto-crc32c', 'crypto-crc32c-generic']},
  libcrc32c: {needs: ['crc32c_generic'], aliases: []},
};

export const MODULE_NAMES: readonly string[] = Object.keys(MODULES);

/** Without it the kernel does not look at the machine's slots. */
export const BUS_MODULE = 'virtio_mmio';

/** modules.dep: each file with those that it needs, relative to the folder of the modules. */
export function modulesDep(): string {
  const file = (name: string) => `${name}.ko`;
  return Object.entries(MODULES)
    .map(([name, {needs}]) => `${[`${file(name)}:`, ...needs.map(file)].join(' ')}\n`)
    .join('');
}

/** modules.alias: how the kernel comes to load ext4 when the first file system is mounted. */
export function modulesAlias(): string {
  return Object.entries(MODULES)
    .flatMap(([name, {aliases}]) => aliases.map((alias) => `alias ${alias} ${name.replaceAll('-', '_')}\n`))
    .join('');
}
