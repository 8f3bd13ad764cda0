// Digests: of the machine's whole state, incremental over the pages written since the last one; and of its outputs. XXH3-128: fast,
// and no shield against forgers, which a comparison of two honest runs does not need.

import type {IHasher} from 'hash-wasm';
import hashes from 'hash-wasm/dist/xxhash128.umd.min.js';
import type {MachineInterface} from '../emulator/machine-interface.ts';
import type {Output} from '../emulator/output.ts';
import {PAGE_BYTES, type PagedMemory} from '../emulator/paged-memory.ts';
import {DirtyPages} from './dirty-pages.ts';

export const DIGEST_BYTES = 16;
const ZERO_PAGE = Buffer.alloc(PAGE_BYTES);
/** They take a millisecond or two. */
const SAMPLE_PAGES = 256;

/**
 * Digest of a machine's state: of every entry of the state table, and of each paged memory. A memory's part is the exclusive or
 * of its pages' digests (each with its index), so that a page's change costs that page; pages of zeros do not count, so that it
 * makes no difference whether a page was never written or cleared.
 */
export class StateDigest {
  readonly #machine: MachineInterface;
  readonly #hasher: IHasher;
  readonly #memories: MemoryDigest[];
  /** One for each of the machine's memories: whoever else wants to know what was written subscribes here. */
  readonly dirtyPages: readonly DirtyPages[];

  private constructor(machine: MachineInterface, hasher: IHasher) {
    this.#machine = machine;
    this.#hasher = hasher;
    this.dirtyPages = machine.memories.map((memory) => new DirtyPages(memory));
    this.#memories = this.dirtyPages.map((dirty) => new MemoryDigest(dirty, hasher));
  }

  static async create(machine: MachineInterface): Promise<StateDigest> {
    return new StateDigest(machine, await hashes.createXXHash128());
  }

  /** 16 bytes. Pages that were written since the last call are read again. */
  compute(): Uint8Array {
    for (const memory of this.#memories) memory.update();
    const hasher = this.#hasher.init();
    const length = new Uint32Array(1);
    for (const entry of this.#machine.state.entries) {
      const bytes = entry.read();
      length[0] = bytes.length;
      hasher.update(new Uint8Array(length.buffer));
      hasher.update(bytes);
    }
    for (const memory of this.#memories) hasher.update(memory.bytes);
    return hasher.digest('binary');
  }

  /** What the first digest, which reads every page that was ever written, would take now: by the time that some of them take. Once there was one, 0. */
  firstDigestNs(clock: {nowNs(): bigint}): bigint {
    return this.#memories.reduce((sum, memory) => sum + memory.firstDigestNs(clock), 0n);
  }

  /** The next digest takes all pages anew: after a restore. */
  invalidate(): void {
    for (const memory of this.#memories) memory.invalidate();
  }
}

class MemoryDigest {
  readonly #memory: PagedMemory;
  readonly #written: {take(): number[]};
  readonly #hasher: IHasher;
  readonly #sum = new Uint8Array(DIGEST_BYTES);
  /** Digests of pages. */
  #pages = new Map<number, Uint8Array>();
  /** No page has been read yet: nothing but the first digest needs them, and most are written until then. */
  #isUnread = true;
  /** What a page's digest is of: its index, and the page. */
  readonly #hashed = new Uint8Array(4 + PAGE_BYTES);
  readonly #index = new Uint32Array(this.#hashed.buffer, 0, 1);

  constructor(dirty: DirtyPages, hasher: IHasher) {
    this.#memory = dirty.memory;
    this.#written = dirty.subscribe();
    this.#hasher = hasher;
  }

  get bytes(): Uint8Array {
    return this.#sum;
  }

  firstDigestNs(clock: {nowNs(): bigint}): bigint {
    if (!this.#isUnread) return 0n;
    const filled = this.#memory.filled();
    const sample = filled.filter((_, n) => n % Math.ceil(filled.length / SAMPLE_PAGES) === 0);
    if (sample.length === 0) return 0n;
    const fromNs = clock.nowNs();
    for (const index of sample) this.#digestOf(index);
    return ((clock.nowNs() - fromNs) * BigInt(filled.length)) / BigInt(sample.length);
  }

  update(): void {
    const written = this.#written.take();
    for (const index of this.#isUnread ? this.#memory.filled() : written) this.#updatePage(index);
    this.#isUnread = false;
  }

  invalidate(): void {
    this.#pages = new Map();
    this.#sum.fill(0);
    this.#isUnread = true;
  }

  #updatePage(index: number): void {
    const old = this.#pages.get(index);
    if (old !== undefined) this.#toggle(old);
    const digest = this.#digestOf(index);
    if (digest === undefined) {
      this.#pages.delete(index);
      return;
    }
    this.#pages.set(index, digest);
    this.#toggle(digest);
  }

  /** Undefined for zeros. */
  #digestOf(index: number): Uint8Array | undefined {
    const page = this.#memory.page(index);
    if (page === undefined || ZERO_PAGE.equals(page)) return undefined;
    this.#index[0] = index;
    this.#hashed.set(page, 4);
    return this.#hasher.init().update(this.#hashed).digest('binary');
  }

  #toggle(digest: Uint8Array): void {
    for (let n = 0; n < DIGEST_BYTES; n += 1) this.#sum[n] ^= digest[n];
  }
}

/** Digest, length and last ordinal of the outputs since the last output record. */
export class OutputDigest {
  readonly #hasher: IHasher;
  #lengthBytes = 0;
  #through = 0n;

  private constructor(hasher: IHasher) {
    this.#hasher = hasher;
    hasher.init();
  }

  static async create(): Promise<OutputDigest> {
    return new OutputDigest(await hashes.createXXHash128());
  }

  /** Whether nothing was emitted since the last `take`. */
  get empty(): boolean {
    return this.#lengthBytes === 0;
  }

  add(output: Output): void {
    if (output.kind === 'packet') {
      this.#hasher.update(Uint8Array.of(0xff, output.nic, output.bytes.length & 0xff, output.bytes.length >> 8));
      this.#through = output.ordinal;
    } else {
      this.#through = output.ordinal + BigInt(output.bytes.length - 1);
    }
    this.#hasher.update(output.bytes);
    this.#lengthBytes += output.bytes.length;
  }

  /** What there is so far, and begins anew. */
  take(): {through: bigint; lengthBytes: number; digest: Uint8Array} {
    const taken = {
      through: this.#through,
      lengthBytes: this.#lengthBytes,
      digest: this.#hasher.digest('binary').slice(),
    };
    this.#hasher.init();
    this.#lengthBytes = 0;
    return taken;
  }
}
