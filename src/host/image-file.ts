// Files that a machine boots from: read whole, and hashed. The reads are requests to Node's own threads, made before anything is awaited,
// and large files are hashed by a thread that shares their bytes: so both go on while this thread does something else, such as load
// the rest of the program, and what was hashed is what is booted.

import {createHash} from 'node:crypto';
import {once} from 'node:events';
import {closeSync, fstatSync, openSync, read, readFileSync} from 'node:fs';
import {promisify} from 'node:util';
import {MessageChannel, type MessagePort, Worker} from 'node:worker_threads';

const readInto = promisify(read);

/** Hashing so many bytes takes some milliseconds; starting a thread, 30. */
const THREAD_BYTES = 4 << 20;

/** `bytes` must not be changed. */
export type ImageFile = {bytes: Uint8Array; sha256: Promise<Uint8Array>};

/** Reads the files of one machine. Whoever is done with the digests closes it. */
export class ImageReader {
  #thread: HashThread | undefined;

  /** Throws what the operating system says. */
  async read(path: string): Promise<ImageFile> {
    const descriptor = openSync(path, 'r');
    try {
      const stats = fstatSync(descriptor);
      // A pipe's size is not known.
      if (!stats.isFile()) return hashedHere(new Uint8Array(readFileSync(descriptor)));
      if (stats.size < THREAD_BYTES) return hashedHere(await readWhole(descriptor, new Uint8Array(stats.size)));
      this.#thread ??= new HashThread();
      const bytes = await readWhole(descriptor, new Uint8Array(new SharedArrayBuffer(stats.size)));
      return {bytes, sha256: this.#thread.digest(bytes)};
    } finally {
      closeSync(descriptor);
    }
  }

  close(): void {
    this.#thread?.close();
  }
}

async function readWhole(descriptor: number, bytes: Uint8Array): Promise<Uint8Array> {
  let end = 0;
  while (end < bytes.length) {
    const {bytesRead} = await readInto(descriptor, bytes, end, bytes.length - end, end);
    if (bytesRead === 0) return bytes.subarray(0, end);
    end += bytesRead;
  }
  return bytes;
}

function hashedHere(bytes: Uint8Array): ImageFile {
  return {bytes, sha256: Promise.resolve(sha256Of(bytes))};
}

function sha256Of(bytes: Uint8Array): Uint8Array {
  return new Uint8Array(createHash('sha256').update(bytes).digest());
}

class HashThread {
  readonly #port: MessagePort;
  readonly #failed: Promise<void>;
  /** One after the other: an answer is the last question's. */
  #last: Promise<unknown> = Promise.resolve();

  constructor() {
    const {port1, port2} = new MessageChannel();
    const extension = import.meta.url.endsWith('.ts') ? 'ts' : 'js';
    const entry = new URL(`./sha256-worker.${extension}`, import.meta.url);
    const worker = new Worker(entry, {workerData: {port: port2}, transferList: [port2]});
    this.#port = port1;
    this.#failed = new Promise((resolve) => worker.once('error', () => resolve()));
  }

  digest(bytes: Uint8Array): Promise<Uint8Array> {
    const digest = this.#last.then(async () => {
      this.#port.postMessage(bytes);
      const [answer] = (await Promise.race([once(this.#port, 'message'), this.#failed])) ?? [];
      // Without its thread it takes longer, and nothing else.
      return (answer as Uint8Array | undefined) ?? sha256Of(bytes);
    });
    this.#last = digest;
    return digest;
  }

  /** The thread ends when its port is closed. */
  close(): void {
    this.#port.close();
  }
}
