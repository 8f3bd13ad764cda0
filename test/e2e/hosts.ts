// Hosts of one guest, one after another, each a process of its own: a primary, and a backup that becomes the next primary. Where their network
// card is plugged in is the caller's.

import assert from 'node:assert/strict';
import {setTimeout as sleep} from 'node:timers/promises';
import {askStatus} from '../../src/replication/session-status.ts';
import {FtvmProcess, type TemporaryFolder} from '../support/ftvm.ts';

export const BOOT_TIMEOUT_MS = 120_000;

/** Where a host is: what it is started with, where its guest's network card is plugged in, where it serves its log. */
export type Place = {
  /** Words in front of the command line. */
  prefix?: readonly string[];
  net: string;
  listen: string;
  /** For the primary and for the backup. */
  flags?: readonly string[];
};

/** Hosts, one after another, in one place after another: a primary, and a backup that becomes it. */
export class Hosts implements AsyncDisposable {
  readonly #folder: TemporaryFolder;
  readonly #places: readonly Place[];
  readonly #arbiter: string;
  readonly #mac: string | undefined;
  readonly #former: {process: FtvmProcess; logPath: string}[] = [];
  #count = 0;
  #primary: {process: FtvmProcess; logPath: string; address: string} | undefined;
  #backup: {process: FtvmProcess; logPath: string} | undefined;

  /** `arbiter`: by default the folder. `mac`: the guest's, by default its own choice. */
  constructor(parts: {folder: TemporaryFolder; places: readonly Place[]; arbiter?: string; mac?: string}) {
    this.#folder = parts.folder;
    this.#places = parts.places;
    this.#arbiter = parts.arbiter ?? `dir:${parts.folder.path}`;
    this.#mac = parts.mac;
  }

  get primary(): FtvmProcess {
    assert.ok(this.#primary !== undefined);
    return this.#primary.process;
  }

  get logPath(): string {
    assert.ok(this.#primary !== undefined);
    return this.#primary.logPath;
  }

  /** Of all that have been the primary, in that order. */
  get logPaths(): string[] {
    return [...this.#former.map(({logPath}) => logPath), this.logPath];
  }

  /** Starts a guest with this on its kernel's command line. `preload`: a module that changes ftvm before it starts. */
  async power(guest: string, append: string, options: {ram?: string; preload?: URL} = {}): Promise<void> {
    const {ram, preload} = options;
    const {logPath, start} = this.#next();
    const process = start(
      [
        ...['record', guest, '-o', logPath, '--append', append, '--arbiter', this.#arbiter],
        ...(ram === undefined ? [] : ['--ram', ram]),
      ],
      {
        card: this.#mac === undefined ? '' : `,mac=${this.#mac}`,
        environment: preload === undefined ? {} : {NODE_OPTIONS: `--import=${preload}`, FTVM_FROM_SOURCE: '1'},
      },
    );
    this.#primary = {process, logPath, address: ''};
    this.#primary.address = await addressOf(process);
  }

  /** The port at which the primary serves its log. */
  get port(): number {
    return Number(this.#primary?.address.split(':')[1]);
  }

  /** Starts a backup and waits until it is one, and knows it. */
  async addBackup(at: {address?: string} = {}): Promise<void> {
    const process = this.#follow(at.address, ['--auto-promote']);
    await this.primary
      .waitFor(/backup joined: /, {stream: 'stderr', timeoutMs: BOOT_TIMEOUT_MS})
      .catch((error: Error) => {
        throw new Error(`${error.message}\n--- the backup's stderr\n${process.stderr}`, {cause: error});
      });
    assert.ok(this.#backup !== undefined);
    const {logPath} = this.#backup;
    for (;;) {
      const status = await askStatus(logPath);
      if (status.role === 'follower' && status.backup) return;
      await sleep(10);
    }
  }

  async promoted(): Promise<void> {
    assert.ok(this.#backup !== undefined);
    const {process, logPath} = this.#backup;
    const address = await addressOf(process);
    await process.waitFor(/live from position/, {stream: 'stderr', timeoutMs: BOOT_TIMEOUT_MS});
    assert.ok(this.#primary !== undefined);
    this.#former.push(this.#primary);
    this.#primary = {process, logPath, address};
    this.#backup = undefined;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#primary?.process[Symbol.asyncDispose]();
    await this.#backup?.process[Symbol.asyncDispose]();
    for (const {process} of this.#former) await process[Symbol.asyncDispose]();
  }

  #follow(address: string | undefined, argv: readonly string[]): FtvmProcess {
    const {logPath, start} = this.#next();
    const process = start(['tail', `tcp://${address ?? this.#primary?.address}`, '-o', logPath, ...argv]);
    this.#backup = {process, logPath};
    return process;
  }

  /** The next host: its log, and how something is started there. */
  #next(): {
    logPath: string;
    start(argv: readonly string[], how?: {card?: string; environment?: Record<string, string>}): FtvmProcess;
  } {
    const {net, listen, prefix = [], flags = []} = this.#places[this.#count % this.#places.length];
    this.#count += 1;
    return {
      logPath: this.#folder.join(`host-${this.#count}.ftlog`),
      start: (argv, {card = '', environment = {}} = {}) =>
        new FtvmProcess([...argv, '--net', `${net}${card}`, '--listen', listen, ...flags], {prefix, environment}),
    };
  }
}

async function addressOf(process: FtvmProcess): Promise<string> {
  const [, address] = await process.waitFor(/listening on (\S+:\d+)/, {stream: 'stderr', timeoutMs: BOOT_TIMEOUT_MS});
  return address;
}
