// What the tests of the whole program share: a guest at the keyboard, a log's records, and replays that must be identical.

import assert from 'node:assert/strict';
import {readFileSync} from 'node:fs';
import {readLog} from '../../src/logformat/log-reader.ts';
import type {LogRecord, RecordKind} from '../../src/logformat/record.ts';
import {FIXTURE_GUESTS, type FixtureGuest, readManifest} from '../support/fixture-guests.ts';
import {FtvmProcess, type FtvmResult, runFtvm} from '../support/ftvm.ts';
import type {ConsoleStep} from '../support/qemu.ts';

export const GUESTS: readonly FixtureGuest[] = readManifest().guests;

export type Recorded = FtvmResult & {shown: Buffer};

/** Types each step once the console has shown what it waits for, after what the steps before it waited for. */
export async function typeAlong(
  running: FtvmProcess,
  steps: readonly ConsoleStep[],
  timeoutMs = 20_000,
): Promise<void> {
  let seen = 0;
  for (const {after, send} of steps) {
    const escaped = after.replace(/[.*+?^${}()|[\]\\]/g, '\\$&').replaceAll('\n', '\\r?\\n');
    const match = await running.waitFor(new RegExp(`(?<=^[^]{${seen},})${escaped}`), {timeoutMs});
    seen = match.index + match[0].length;
    running.write(send);
  }
}

/** Runs `ftvm record` with the guest's own input to its end. */
export async function recordGuest(
  guest: FixtureGuest,
  options: {logPath: string; argv?: readonly string[]},
): Promise<Recorded> {
  const argv = ['record', guest.name, '-o', options.logPath, ...(options.argv ?? [])];
  await using running = new FtvmProcess(argv, guest.input === undefined ? {input: ''} : {});
  if (guest.input !== undefined) await typeAlong(running, guest.input);
  const result = await running.exit();
  return {...result, shown: running.stdoutBytes};
}

/** Replays with `--console`: what is printed must be what was shown, and the verdict `identical`. Returns the verdict's line. */
export async function replayMustShow(
  shown: Uint8Array,
  logPath: string,
  options: {exitCode?: number; timeoutMs?: number; argv?: readonly string[]} = {},
): Promise<string> {
  await using running = new FtvmProcess(['replay', logPath, '--console', ...(options.argv ?? [])], {input: ''});
  const {exitCode, stderr} = await running.exit(options.timeoutMs ?? 60_000);
  assert.equal(exitCode, options.exitCode ?? 0, stderr);
  assertSameBytes(running.stdoutBytes, shown, 'the replayed transcript');
  const verdict = /^(identical: .*|torn at byte .*)$/m.exec(stderr)?.[0];
  assert.ok(verdict !== undefined, `no verdict: ${stderr}`);
  return verdict;
}

/** Replays to a verdict, which must be `identical`. Several logs are those of hosts, in order. */
export async function replayMustBeIdentical(
  logPaths: string | readonly string[],
  options: {timeoutMs?: number; argv?: readonly string[]} = {},
): Promise<string> {
  const argv = ['replay', ...[logPaths].flat(), ...(options.argv ?? [])];
  const {exitCode, stdout, stderr} = await runFtvm(argv, {timeoutMs: options.timeoutMs ?? 60_000});
  assert.equal(exitCode, 0, `${stdout}${stderr}`);
  assert.match(stdout, /^identical: \d+ records, \d+ digests over \d+ steps$/m);
  return stdout;
}

/** The transcript that a log contains, however it ends. */
export async function transcriptOf(
  logPath: string,
  options: {exitCode?: number; timeoutMs?: number} = {},
): Promise<Buffer> {
  await using running = new FtvmProcess(['replay', logPath, '--console'], {input: ''});
  const {exitCode, stderr} = await running.exit(options.timeoutMs ?? 60_000);
  assert.equal(exitCode, options.exitCode ?? 0, stderr);
  return running.stdoutBytes;
}

/** All records up to the last whole frame. */
export function recordsOf(logPath: string): LogRecord[] {
  return readLog(new Uint8Array(readFileSync(logPath))).frames.flatMap((frame) => frame.records);
}

export function recordsOfKind<K extends RecordKind>(logPath: string, kind: K): Extract<LogRecord, {kind: K}>[] {
  return recordsOf(logPath).filter((record): record is Extract<LogRecord, {kind: K}> => record.kind === kind);
}

/** Digests of states as `POSITION HEX`, as `--digests` prints them. */
export function digestLines(logPath: string): string[] {
  return recordsOfKind(logPath, 'digest').map(
    ({position, digest}) => `${position} ${Buffer.from(digest).toString('hex')}`,
  );
}

export function expectedConsole(guest: FixtureGuest): Buffer | undefined {
  return guest.expectedConsole === undefined ? undefined : readFileSync(new URL(guest.expectedConsole, FIXTURE_GUESTS));
}

/** A message, perhaps a hint, and nothing else. */
export function assertNamed(result: FtvmResult, exitCode: number, message: RegExp): void {
  assert.equal(result.exitCode, exitCode, `${result.stdout}${result.stderr}`);
  assert.match(result.stderr, message);
  assert.match(result.stderr, /^error: .*\n(?:.*\n)*?(?:hint: .*\n)?$/);
  assert.doesNotMatch(result.stderr, /^\s+at /m);
}

/** Says where two transcripts differ, not both of them whole. */
export function assertSameBytes(actual: Uint8Array, expected: Uint8Array, what: string): void {
  if (Buffer.from(actual).equals(expected)) return;
  let same = 0;
  while (same < actual.length && same < expected.length && actual[same] === expected[same]) same += 1;
  const around = (bytes: Uint8Array): string =>
    JSON.stringify(Buffer.from(bytes.subarray(Math.max(same - 40, 0), same + 40)).toString('latin1'));
  assert.fail(
    `${what}: ${actual.length} bytes, ${expected.length} expected; they differ at byte ${same}: ${around(actual)}, expected ${around(expected)}`,
  );
}
