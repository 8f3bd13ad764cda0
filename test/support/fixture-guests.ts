// The guests in fixtures/guests, as guests.json describes them (the fields are explained in fixtures/guests/README.md).

import {readFileSync} from 'node:fs';
import type {ConsoleStep} from './qemu.ts';

export type FixtureGuest = {
  name: string;
  description: string;
  /** Paths below fixtures/guests. */
  file: string;
  source: string;
  flags?: string[];
  sizeBytes: number;
  sha256: string;
  exitCode?: number;
  /** A file with exactly what the console shows; absent where that depends on time. */
  expectedConsole?: string;
  /** false: the expectation is the specification's, written by hand, and QEMU is known to differ. */
  oracle?: boolean;
  /** `hash-chain`: every line carries the hash of all bytes before it. */
  consoleCheck?: 'hash-chain';
  input?: ConsoleStep[];
  diskBytes?: number;
};

export const FIXTURE_GUESTS = new URL('../../fixtures/guests/', import.meta.url);

/** `harness` is no guest of its own: test/differential adds sequences to it. */
export type Manifest = {
  compiler: string;
  guests: FixtureGuest[];
  harness: Pick<FixtureGuest, 'file' | 'sizeBytes' | 'sha256'>;
};

export function readManifest(): Manifest {
  return JSON.parse(readFileSync(new URL('guests.json', FIXTURE_GUESTS), 'utf8'));
}

export function readGuestFile(path: string): Uint8Array {
  return new Uint8Array(readFileSync(new URL(path, FIXTURE_GUESTS)));
}

const FNV_OFFSET = 0xcbf29ce484222325n;
const FNV_PRIME = 0x100000001b3n;

/**
 * Checks a transcript of the counter guest: line numbers without a gap, and in each line the FNV-1a hash of all bytes before it.
 * Returns how many lines there were; throws at the first that contradicts.
 */
export function checkHashChain(transcript: Uint8Array): number {
  let hash = FNV_OFFSET;
  let count = 0;
  for (const line of Buffer.from(transcript)
    .toString('latin1')
    .split(/(?<=\n)/)) {
    const match = /^line (\d{6}) ([0-9a-f]{16})\n$/.exec(line);
    if (match) {
      count++;
      const expected = `line ${String(count).padStart(6, '0')} ${hash.toString(16).padStart(16, '0')}\n`;
      if (line !== expected) throw new Error(`the transcript contradicts itself: expected ${expected}, got ${line}`);
    }
    for (const byte of Buffer.from(line, 'latin1')) hash = ((hash ^ BigInt(byte)) * FNV_PRIME) & 0xffffffffffffffffn;
  }
  return count;
}
