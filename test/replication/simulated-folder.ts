// A shared folder on a simulated file server: each host has a view of its own, whose operations take time, fail before or after they
// were done, forget nothing of names that were not there, and stall. The server may crash, losing names that were not synchronised.

import type {SharedFolder} from '../../src/host/shared-folder.ts';
import type {Random} from '../differential/random.ts';

export type FolderFaults = {
  /** Chances of each operation, from 0 to 1. */
  failBefore: number;
  failAfter: number;
  crash: number;
  /** A name once not found stays not found on this host until it changes the folder. */
  remembersAbsence: boolean;
  /** Planted faults: what no correct file server does. */
  linkReplaces: boolean;
  syncLies: boolean;
};

export const NO_FAULTS: FolderFaults = {
  failBefore: 0,
  failAfter: 0,
  crash: 0,
  remembersAbsence: false,
  linkReplaces: false,
  syncLies: false,
};

const ERRNOS = ['EIO', 'ESTALE', 'ETIMEDOUT', 'EACCES', 'ENOENT', 'EEXIST'];

export class SimulatedFileServer {
  readonly #random: Random;
  readonly names = new Map<string, {text: string; isStable: boolean}>();
  faults: FolderFaults;

  constructor(random: Random, faults: FolderFaults) {
    this.#random = random;
    this.faults = faults;
  }

  crash(): void {
    for (const [name, {isStable}] of this.names) {
      if (!isStable && this.#random.below(2) === 0) this.names.delete(name);
    }
  }

  host(): SharedFolder {
    const absent = new Set<string>();
    const {names} = this;
    const change = (): void => absent.clear();
    const found = (path: string): {text: string; isStable: boolean} => {
      const file = absent.has(path) ? undefined : names.get(path);
      if (file !== undefined) return file;
      if (this.faults.remembersAbsence) absent.add(path);
      throw errno('ENOENT');
    };
    return {
      createFile: (path, text) =>
        this.#operation(() => {
          change();
          if (names.has(path)) throw errno('EEXIST');
          names.set(path, {text, isStable: false});
        }),
      touch: (path) =>
        this.#operation(() => {
          change();
          if (names.has(path)) throw errno('EEXIST');
        }),
      link: (from, to) =>
        this.#operation(() => {
          change();
          const file = found(from);
          if (names.has(to) && !this.faults.linkReplaces) throw errno('EEXIST');
          names.set(to, {...file, isStable: false});
        }),
      rename: (from, to) =>
        this.#operation(() => {
          change();
          names.set(to, {...found(from), isStable: false});
          names.delete(from);
        }),
      unlink: (path) =>
        this.#operation(() => {
          change();
          if (!names.delete(path)) throw errno('ENOENT');
        }),
      readFile: (path) => this.#operation(() => found(path).text),
      list: (folder) =>
        this.#operation(() =>
          [...names.keys()]
            .filter((name) => name.startsWith(`${folder}/`))
            .map((name) => name.slice(folder.length + 1)),
        ),
      syncFolder: () =>
        this.#operation(() => {
          if (this.faults.syncLies) return;
          for (const file of names.values()) file.isStable = true;
        }),
    };
  }

  async #operation<T>(work: () => T): Promise<T> {
    await this.#turns();
    if (this.#happens(this.faults.crash)) this.crash();
    if (this.#happens(this.faults.failBefore)) throw this.#anyError();
    const result = work();
    await this.#turns();
    if (this.#happens(this.faults.failAfter)) throw this.#anyError();
    return result;
  }

  async #turns(): Promise<void> {
    for (let count = this.#random.below(6); count > 0; count--) await Promise.resolve();
  }

  #happens(chance: number): boolean {
    return this.#random.below(1_000_000) < chance * 1_000_000;
  }

  #anyError(): Error {
    return errno(ERRNOS[this.#random.below(ERRNOS.length)]!);
  }
}

function errno(code: string): NodeJS.ErrnoException {
  return Object.assign(new Error(code), {code});
}
