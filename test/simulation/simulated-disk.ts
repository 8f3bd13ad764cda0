// A host's files: they survive its processes. An append completes later; a process that is killed at an append leaves none of it,
// a part of it, or all of it.

import type {LogBytes} from '../../src/replication/follower-link.ts';
import type {LogStore} from '../../src/session/log-sink.ts';
import type {Random} from './random.ts';
import type {SimulatedProcess, VirtualTime} from './virtual-time.ts';

const READ_BYTES = 65_536;

/** Where a process may be killed. */
export type CrashPoint = 'beforeAppend' | 'inAppend' | 'afterAppend' | 'beforeShow' | 'afterShow' | 'beforeSend';
export const CRASH_POINTS: readonly CrashPoint[] = [
  'beforeAppend',
  'inAppend',
  'afterAppend',
  'beforeShow',
  'afterShow',
  'beforeSend',
];

export class SimulatedFile {
  #bytes = new Uint8Array(4096);
  sizeBytes = 0;

  append(bytes: Uint8Array): void {
    const needed = this.sizeBytes + bytes.length;
    if (needed > this.#bytes.length) {
      const larger = new Uint8Array(2 * needed);
      larger.set(this.#bytes.subarray(0, this.sizeBytes));
      this.#bytes = larger;
    }
    this.#bytes.set(bytes, this.sizeBytes);
    this.sizeBytes = needed;
  }

  truncate(sizeBytes: number): void {
    this.sizeBytes = sizeBytes;
  }

  read(offset: number, limitBytes = this.sizeBytes): Uint8Array {
    return this.#bytes.slice(offset, Math.min(offset + limitBytes, this.sizeBytes));
  }
}

export type StoreParts = {
  file: SimulatedFile;
  time: VirtualTime;
  random: Random;
  process: SimulatedProcess;
  /** The process may be killed here. */
  reached(point: CrashPoint): void;
};

/** Writes complete in order. */
export function simulatedStore({file, time, random, process, reached}: StoreParts): LogStore {
  let ready = 0;
  const done = (ms: number): Promise<void> => {
    ready = Math.max(ready, time.nowMs + ms);
    return new Promise((resolve) => time.after(ready - time.nowMs, process, resolve));
  };
  const alive = (): boolean => process.state !== 'dead';
  return {
    async append(bytes) {
      const copy = Uint8Array.from(bytes);
      await done(0.05 + random.unit() * 0.5);
      reached('beforeAppend');
      if (!alive()) return never();
      reached('inAppend');
      file.append(alive() ? copy : copy.subarray(0, random.below(copy.length)));
      reached('afterAppend');
      if (!alive()) return never();
    },
    sync: () => done(1 + random.unit() * 5),
    close: () => done(0),
    get sizeBytes() {
      return file.sizeBytes;
    },
  };
}

export function simulatedReader(file: SimulatedFile, offset: number): LogBytes {
  let at = offset;
  return {
    async next() {
      const bytes = file.read(at, READ_BYTES);
      at += bytes.length;
      return bytes;
    },
    close: async () => {},
  };
}

/** What a dead process waits for. */
export function never(): Promise<never> {
  return new Promise(() => {});
}
