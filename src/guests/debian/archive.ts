// Reading Debian archives with dpkg-deb: the files of a package, and a bare .xz stream, for which a minimal Debian has no tool
// of its own: dpkg-deb unpacks it when it is dressed up as the data member of a package.

import {rm, writeFile} from 'node:fs/promises';
import {FtvmError} from '../../errors.ts';
import {streamTool} from '../subprocess.ts';
import {readTar, type TarEntry} from '../tar.ts';

/** Yields the entries of a .deb whose paths `wanted` accepts. Throws FtvmError `package` when it cannot be read. */
export async function* readDebianArchive(
  path: string,
  options: {wanted: (path: string) => boolean; signal?: AbortSignal | undefined},
): AsyncGenerator<TarEntry> {
  const {stdout, ended} = streamTool('dpkg-deb', ['--fsys-tarfile', path], {signal: options.signal});
  yield* readTar(stdout, {source: path, wanted: options.wanted});
  await requireSuccess(ended, path);
}

/** Unpacks .xz data; `scratchPath` is a file that may be written and is removed again. */
export async function decompressXz(data: Uint8Array, scratchPath: string): Promise<Uint8Array> {
  await writeFile(
    scratchPath,
    Buffer.concat([
      Buffer.from('!<arch>\n'),
      ...arMember('debian-binary', Buffer.from('2.0\n')),
      ...arMember('control.tar', new Uint8Array(10_240)),
      ...arMember('data.tar.xz', data),
    ]),
  );
  try {
    const {stdout, ended} = streamTool('dpkg-deb', ['--fsys-tarfile', scratchPath]);
    const chunks: Uint8Array[] = [];
    for await (const chunk of stdout) chunks.push(chunk);
    await requireSuccess(ended, scratchPath);
    return Buffer.concat(chunks);
  } finally {
    await rm(scratchPath, {force: true});
  }
}

/** A member of an ar archive: name 16 bytes, mtime 12, owner 6, group 6, mode 8, size 10, magic 2; data padded to 2 bytes. */
function arMember(name: string, data: Uint8Array): Uint8Array[] {
  const header = `${name.padEnd(16)}${'0'.padEnd(12)}${'0'.padEnd(6)}${'0'.padEnd(6)}${'100644'.padEnd(8)}${String(data.length).padEnd(10)}\`\n`;
  return [Buffer.from(header, 'latin1'), data, Buffer.from(data.length % 2 === 1 ? '\n' : '')];
}

async function requireSuccess(ended: Promise<{exitCode: number; stderr: string}>, path: string): Promise<void> {
  const {exitCode, stderr} = await ended;
  if (exitCode !== 0) {
    const complaint = stderr.trim().split('\n')[0] ?? '';
    throw new FtvmError('package', `${path}: dpkg-deb cannot unpack it: ${complaint}`, {
      hint: 'Build again with --force.',
    });
  }
}
