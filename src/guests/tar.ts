// A streaming reader of tar archives as `dpkg-deb --fsys-tarfile` writes them (POSIX ustar with GNU long names). It keeps only
// what the caller wants, so that the 100 MB of a kernel package pass through without being held. It never touches the disk:
// owners, modes and device nodes of a package need no privilege this way.

import {FtvmError} from '../errors.ts';

const BLOCK_BYTES = 512;
/** No file of a guest is larger; a larger one would not fit its memory. */
const FILE_LIMIT_BYTES = 1 << 30;

export type TarEntry = {path: string; mode: number} & (
  | {kind: 'directory'}
  | {kind: 'file'; bytes: Uint8Array}
  | {kind: 'symlink'; target: string}
  /** `target` is the path of an earlier entry of the archive. */
  | {kind: 'hardlink'; target: string}
);

type Header = {path: string; mode: number; sizeBytes: number; type: string; linkName: string};

/**
 * Reads the archive to its end and yields the entries whose path `wanted` accepts. Paths have no leading `./` and no trailing
 * slash. Throws FtvmError `package` when the stream is no tar archive or ends early; `source` names it in the message.
 */
export async function* readTar(
  stream: AsyncIterable<Uint8Array>,
  options: {source: string; wanted: (path: string) => boolean},
): AsyncGenerator<TarEntry> {
  const input = new BlockInput(stream, options.source);
  let longName: string | undefined;
  let longLink: string | undefined;
  for (;;) {
    const block = await input.take(BLOCK_BYTES, 'keep');
    if (block === undefined || block.every((byte) => byte === 0)) break;
    const header = parseHeader(block, options.source);
    const paddedBytes = Math.ceil(header.sizeBytes / BLOCK_BYTES) * BLOCK_BYTES;
    if (header.type === 'L' || header.type === 'K') {
      const text = cString((await input.take(paddedBytes, 'keep'))!.subarray(0, header.sizeBytes));
      if (header.type === 'L') longName = text;
      else longLink = text;
      continue;
    }
    const path = normalize(longName ?? header.path);
    const linkName = longLink ?? header.linkName;
    longName = undefined;
    longLink = undefined;
    const keep = path !== '' && options.wanted(path);
    const data = await input.take(paddedBytes, keep ? 'keep' : 'skip');
    if (!keep) continue;
    const entry = toEntry(header, {path, linkName, data: data!.subarray(0, header.sizeBytes)});
    if (entry !== undefined) yield entry;
  }
  await input.drain();
}

function toEntry(
  header: Header,
  {path, linkName, data}: {path: string; linkName: string; data: Uint8Array},
): TarEntry | undefined {
  const {mode} = header;
  switch (header.type) {
    case '0':
    case '\0':
      return {kind: 'file', path, mode, bytes: data};
    case '1':
      return {kind: 'hardlink', path, mode, target: normalize(linkName)};
    case '2':
      return {kind: 'symlink', path, mode, target: linkName};
    case '5':
      return {kind: 'directory', path, mode};
    default:
      return undefined; // Device nodes and extended headers: no package of ours needs them.
  }
}

/** Fields by offset: name 0 (100), mode 100 (8), size 124 (12), checksum 148 (8), type 156, link 157 (100), magic 257, prefix 345 (155). */
function parseHeader(block: Uint8Array, source: string): Header {
  let sum = 0;
  for (let i = 0; i < BLOCK_BYTES; i++) sum += i >= 148 && i < 156 ? 0x20 : block[i]!;
  const sizeBytes = octal(block.subarray(124, 136));
  if (octal(block.subarray(148, 156)) !== sum || !(sizeBytes <= FILE_LIMIT_BYTES)) {
    throw new FtvmError('package', `${source}: not a tar archive`, {hint: 'Build again with --force.'});
  }
  const prefix = cString(block.subarray(345, 500));
  const isUstar = cString(block.subarray(257, 263)) === 'ustar'; // GNU's magic is "ustar  ", without a prefix.
  const name = cString(block.subarray(0, 100));
  return {
    path: isUstar && prefix !== '' ? `${prefix}/${name}` : name,
    mode: octal(block.subarray(100, 108)) & 0o7777,
    sizeBytes,
    type: String.fromCharCode(block[156]!),
    linkName: cString(block.subarray(157, 257)),
  };
}

function octal(field: Uint8Array): number {
  return Number.parseInt(cString(field).trim() || '0', 8);
}

function cString(field: Uint8Array): string {
  const end = field.indexOf(0);
  return Buffer.from(end < 0 ? field : field.subarray(0, end)).toString('utf8');
}

function normalize(path: string): string {
  return path
    .replace(/^\.?\/+/, '')
    .replace(/\/+$/, '')
    .replace(/^\.$/, '');
}

/** Cuts a stream of chunks into the lengths asked for. */
class BlockInput {
  readonly #source: string;
  readonly #chunks: AsyncIterator<Uint8Array>;
  #rest: Uint8Array = new Uint8Array(0);

  constructor(stream: AsyncIterable<Uint8Array>, source: string) {
    this.#source = source;
    this.#chunks = stream[Symbol.asyncIterator]();
  }

  /** The next `lengthBytes`: a copy, or undefined where they were skipped or the stream had already ended. */
  async take(lengthBytes: number, mode: 'keep' | 'skip'): Promise<Uint8Array | undefined> {
    const kept = mode === 'keep' ? new Uint8Array(lengthBytes) : undefined;
    let done = 0;
    while (done < lengthBytes) {
      if (this.#rest.length === 0) {
        const next = await this.#chunks.next();
        if (next.done === true) {
          if (done === 0 && lengthBytes === BLOCK_BYTES) return undefined;
          throw new FtvmError('package', `${this.#source}: the archive ends early`, {
            hint: 'Build again with --force.',
          });
        }
        this.#rest = next.value;
      }
      const part = this.#rest.subarray(0, lengthBytes - done);
      kept?.set(part, done);
      done += part.length;
      this.#rest = this.#rest.subarray(part.length);
    }
    return kept;
  }

  async drain(): Promise<void> {
    while ((await this.#chunks.next()).done !== true);
  }
}
