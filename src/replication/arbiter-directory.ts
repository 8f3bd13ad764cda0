// The arbiter `dir:PATH`: a folder that both hosts share. A claim is a file LINEAGE.GENERATION that holds the claimant's id, put in
// place by link(), which exactly one caller can do. What an operation answers is not believed: the id read back decides, because a
// network file system may report an error for what it has done. Claims are never deleted or replaced.

import {randomUUID} from 'node:crypto';
import {join} from 'node:path';
import {FtvmError} from '../errors.ts';
import {HOST_SHARED_FOLDER, type SharedFolder} from '../host/shared-folder.ts';
import {
  type Arbiter,
  assertClaim,
  assertLineage,
  assertNonce,
  type Claim,
  type ClaimResult,
  isClaimant,
  unreachableArbiter,
} from './arbiter.ts';

/** One whole question. A healthy file server answers in milliseconds; a hard-mounted dead one never. */
const TIMEOUT_MS = 5000;
/** How often a name that must be there is looked for: a network file system may remember for a moment that it was not. */
const READ_ATTEMPTS = 5;
const READ_PAUSE_MS = 50;
/** Ids are shorter (`isClaimant`, `assertNonce`); more than this is damage. */
const FILE_LIMIT_BYTES = 256;

export type DirectoryArbiterOptions = {
  spec: string;
  path: string;
  folder?: SharedFolder;
  timeoutMs?: number;
  readPauseMs?: number;
};

export class DirectoryArbiter implements Arbiter {
  readonly spec: string;
  readonly #path: string;
  readonly #folder: SharedFolder;
  readonly #timeoutMs: number;
  readonly #readPauseMs: number;
  /** Unique for this object, so that two in one process do not share temporary files. */
  readonly #id = randomUUID();
  #temporaryCount = 0;
  /** The question under way. A dead file server may hold it for ever, and with it one thread: never more than one. */
  #last: Promise<unknown> = Promise.resolve();
  #closed = false;

  constructor({spec, path, folder, timeoutMs, readPauseMs}: DirectoryArbiterOptions) {
    this.spec = spec;
    this.#path = path;
    this.#folder = folder ?? HOST_SHARED_FOLDER;
    this.#timeoutMs = timeoutMs ?? TIMEOUT_MS;
    this.#readPauseMs = readPauseMs ?? READ_PAUSE_MS;
  }

  claim(claim: Claim): Promise<ClaimResult> {
    assertClaim(claim);
    return this.#ask('claim a generation', () => this.#claim(claim));
  }

  current(lineageId: string): Promise<{generation: number; claimant: string} | undefined> {
    assertLineage(lineageId);
    return this.#ask('read the generation', () => this.#current(lineageId));
  }

  putNonce(lineageId: string, name: string, nonce: string): Promise<void> {
    assertLineage(lineageId);
    assertNonce(name, nonce);
    return this.#ask('write a nonce', async () => {
      await this.#withTemporaryFile(nonce, (temporary) =>
        this.#folder.rename(temporary, this.#noncePath(lineageId, name)),
      );
      await this.#folder.syncFolder(this.#path);
    });
  }

  getNonce(lineageId: string, name: string): Promise<string | undefined> {
    assertLineage(lineageId);
    assertNonce(name, '0');
    return this.#ask('read a nonce', async () => {
      await this.#refresh();
      return await this.#read(this.#noncePath(lineageId, name));
    });
  }

  async close(): Promise<void> {
    this.#closed = true;
  }

  async #claim({lineageId, generation, claimant}: Claim): Promise<ClaimResult> {
    const path = this.#claimPath(lineageId, generation);
    const linkError = await errorOf(
      this.#withTemporaryFile(claimant, (temporary) => this.#folder.link(temporary, path)),
    );
    // The winner relies on its claim outliving a crash of the file server. Synchronised before it is read: a claim lost in a crash
    // between the two is then not found, while the other order would believe in a claim that had meanwhile become another's.
    const syncError = await errorOf(this.#folder.syncFolder(this.#path));
    const winner = await this.#readClaim(path, {mustExist: linkError === undefined || errnoOf(linkError) === 'EEXIST'});
    if (winner === undefined) throw linkError ?? this.#unreachable('took the claim and does not show it');
    if (winner !== claimant) return {kind: 'lost', by: winner};
    if (syncError !== undefined) throw syncError;
    return {kind: 'won'};
  }

  async #current(lineageId: string): Promise<{generation: number; claimant: string} | undefined> {
    await this.#refresh();
    let generation = 0;
    for (const name of await this.#folder.list(this.#path)) {
      const match = /^([0-9a-f]{32})\.([1-9]\d{0,15})$/.exec(name);
      if (match?.[1] === lineageId) generation = Math.max(generation, Number(match[2]));
    }
    // A listing may miss a name that was added while it was made; asking for the name itself does not.
    for (;;) {
      const next = await this.#readClaim(this.#claimPath(lineageId, generation + 1), {mustExist: false});
      if (next === undefined) break;
      generation++;
    }
    if (generation === 0) return undefined;
    const claimant = await this.#readClaim(this.#claimPath(lineageId, generation), {mustExist: true});
    if (claimant === undefined) throw this.#unreachable(`lists generation ${generation} and cannot open it`);
    return {generation, claimant};
  }

  /**
   * Changes the folder, so that a network file system gives up what it remembers of its names and asks the server again. It also
   * shows that this host may still write there: whoever cannot claim must not take comfort from what it reads.
   */
  #refresh(): Promise<void> {
    return this.#folder.touch(this.#temporaryPath());
  }

  /** The id in a claim's file; undefined when there is none. */
  async #readClaim(path: string, {mustExist}: {mustExist: boolean}): Promise<string | undefined> {
    for (let attempt = 1; ; attempt++) {
      const text = await this.#read(path);
      if (text !== undefined) {
        if (isClaimant(text)) return text;
        throw this.#unreachable(`holds a damaged claim, ${path}`, {
          hint: 'Find out which host is alive. If none is, remove the file and promote one of the logs.',
        });
      }
      if (!mustExist || attempt === READ_ATTEMPTS) return undefined;
      await new Promise((resolve) => setTimeout(resolve, this.#readPauseMs));
    }
  }

  async #read(path: string): Promise<string | undefined> {
    try {
      return (await this.#folder.readFile(path, FILE_LIMIT_BYTES)).replace(/\n$/, '');
    } catch (error) {
      if (errnoOf(error) === 'ENOENT') return undefined;
      throw error;
    }
  }

  async #withTemporaryFile(text: string, use: (path: string) => Promise<void>): Promise<void> {
    const path = this.#temporaryPath();
    try {
      await this.#folder.createFile(path, `${text}\n`);
      await use(path);
    } finally {
      // After a rename it is gone; if it cannot be removed, a small file stays behind that nobody reads.
      await this.#folder.unlink(path).catch(() => {});
    }
  }

  /** Runs a question to its end, or until the time is up: it then goes on alone, and nothing else is asked before it has ended. */
  async #ask<T>(doing: string, question: () => Promise<T>): Promise<T> {
    let timer: NodeJS.Timeout | undefined;
    let isLate = false;
    const timeUp = new Promise<never>((_, reject) => {
      timer = setTimeout(() => {
        isLate = true;
        reject(this.#unreachable(`did not answer within ${this.#timeoutMs} ms (to ${doing})`));
      }, this.#timeoutMs);
    });
    const previous = this.#last;
    const answer = (async () => {
      await previous;
      if (this.#closed) throw this.#unreachable('was closed');
      // Its turn came when nobody waited for it any more.
      if (isLate) throw this.#unreachable('was busy');
      return await question();
    })();
    this.#last = answer.catch(() => {});
    try {
      return await Promise.race([answer, timeUp]);
    } catch (error) {
      throw this.#named(error, doing);
    } finally {
      clearTimeout(timer);
    }
  }

  #named(error: unknown, doing: string): unknown {
    const errno = errnoOf(error);
    if (error instanceof FtvmError || errno === undefined) return error;
    const hint = HINTS[errno];
    return this.#unreachable(`could not be asked to ${doing}: ${errno}`, {
      ...(hint === undefined ? {} : {hint}),
      cause: error,
    });
  }

  #unreachable(what: string, options: {hint?: string; cause?: unknown} = {}): FtvmError {
    return unreachableArbiter(this.spec, what, options);
  }

  #temporaryPath(): string {
    return join(this.#path, `.${this.#id}.${this.#temporaryCount++}.tmp`);
  }

  #claimPath(lineageId: string, generation: number): string {
    return join(this.#path, `${lineageId}.${generation}`);
  }

  #noncePath(lineageId: string, name: string): string {
    return join(this.#path, `${lineageId}.nonce-${name}`);
  }
}

const HINTS: Readonly<Record<string, string>> = {
  ENOENT: 'There is no such folder: create it, or mount it. ftvm does not, for an unmounted folder must not arbitrate.',
  ENOTDIR: 'It is not a folder.',
  EACCES: 'This user must be allowed to read and to write there.',
  EPERM: 'The file system must know hard links, and this user must be allowed to write there.',
  EROFS: 'The file system is mounted read-only.',
  ENOSPC: 'The file system is full.',
  EDQUOT: 'The quota is used up.',
  ENOTSUP: 'The file system must know hard links.',
};

async function errorOf(work: Promise<void>): Promise<unknown> {
  try {
    await work;
    return undefined;
  } catch (error) {
    return error;
  }
}

function errnoOf(error: unknown): string | undefined {
  const code = (error as NodeJS.ErrnoException | null)?.code;
  return typeof code === 'string' && /^E[A-Z0-9]+$/.test(code) ? code : undefined;
}
