// The "newc" cpio archive that the Linux kernel unpacks as its initramfs (Documentation/driver-api/early-userspace/
// buffer-format.rst). Written here because a minimal Debian has no cpio, and because device nodes and owners then need no
// root. The archive depends on its entries alone: times are 0 and inode numbers count up, so equal input gives equal bytes.

import {assert} from '../errors.ts';

/** One file of the archive; `path` is relative, without a leading slash or dot. */
export type CpioEntry = {path: string; mode: number} & (
  | {kind: 'directory'}
  | {kind: 'file'; bytes: Uint8Array}
  | {kind: 'symlink'; target: string}
  | {kind: 'characterDevice'; major: number; minor: number}
);

const FILE_TYPE_BITS = {directory: 0o040000, file: 0o100000, symlink: 0o120000, characterDevice: 0o020000} as const;
const TRAILER = 'TRAILER!!!';

/** Encodes the entries in the order given: a directory must come before what is in it. */
export function encodeCpio(entries: Iterable<CpioEntry>): Uint8Array {
  const parts: Uint8Array[] = [];
  let inode = 1;
  for (const entry of entries) {
    assert(entry.path !== '' && !entry.path.startsWith('/'), `cpio path ${JSON.stringify(entry.path)}`);
    addMember(parts, entry, inode);
    inode += 1;
  }
  addMember(parts, {kind: 'file', path: TRAILER, mode: 0, bytes: new Uint8Array(0)}, 0);
  return Buffer.concat(parts);
}

/** Adds header, name and data, name and data each padded with zeros to a multiple of 4 bytes. */
function addMember(parts: Uint8Array[], entry: CpioEntry, inode: number): void {
  const data = dataOf(entry);
  const name = Buffer.from(`${entry.path}\0`);
  const isTrailer = inode === 0;
  const device = entry.kind === 'characterDevice' ? entry : {major: 0, minor: 0};
  const fields = [
    inode,
    isTrailer ? 0 : FILE_TYPE_BITS[entry.kind] | (entry.mode & 0o7777),
    0, // uid
    0, // gid
    entry.kind === 'directory' ? 2 : 1, // links
    0, // mtime
    data.length,
    0, // major number of the device that holds the file
    0, // minor number of it
    device.major,
    device.minor,
    name.length,
    0, // checksum: only the "crc" variant has one
  ];
  const header = `070701${fields.map((field) => field.toString(16).padStart(8, '0')).join('')}`;
  parts.push(Buffer.from(header, 'latin1'), name, padding(header.length + name.length), data, padding(data.length));
}

function dataOf(entry: CpioEntry): Uint8Array {
  switch (entry.kind) {
    case 'file':
      return entry.bytes;
    case 'symlink':
      return Buffer.from(entry.target);
    default:
      return new Uint8Array(0);
  }
}

function padding(lengthBytes: number): Uint8Array {
  return new Uint8Array(-lengthBytes & 3);
}
