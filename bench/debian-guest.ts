// The guest `debian` with the benchmark programs in it: the same kernel and firmware, and its initrd with a second archive behind it,
// which Linux unpacks as well (Documentation/driver-api/early-userspace/buffer-format.rst). The programs are run by its /init.

import {readFileSync, writeFileSync} from 'node:fs';
import {join} from 'node:path';
import {fileURLToPath} from 'node:url';
import {encodeCpio} from '../src/guests/cpio.ts';
import {FIRST_PROCESS_MARKER} from '../src/guests/debian/init-script.ts';
import {type ResolvedGuest, resolveGuest} from '../src/guests/manifest.ts';
import type {GuestSpec, Step} from './job.ts';
import type {QemuGuest} from './qemu-run.ts';

export const DEBIAN = 'debian';
export const DEBIAN_COMMAND = 'ftvm guest build debian';
const LAST_WAIT_S = 0.5;
const GUESTS = fileURLToPath(new URL('./guests/', import.meta.url));

/** What a program stresses; `short` has no time to be translated. */
export type ProgramClass = 'short' | 'integer' | 'floating point' | 'memory-bound' | 'system';
export type DebianProgram = {name: string; class: ProgramClass; description: string; checksum: string};
export type DebianGuest = {ftvm: GuestSpec; qemu: QemuGuest};

type Manifest = {linux: {file: string; programs: DebianProgram[]}};

export function readDebianPrograms(): DebianProgram[] {
  return manifest().linux.programs;
}

/** Undefined where no guest `debian` is built. */
export function findDebian(): Promise<ResolvedGuest | undefined> {
  return resolveGuest(DEBIAN).catch(() => undefined);
}

/** The guest that runs these programs, one after the other, and ends. Its initrd is written into `folder`. */
export function guestRunning(
  programs: readonly DebianProgram[],
  {debian, folder}: {debian: ResolvedGuest; folder: string},
): DebianGuest {
  const {images, paths, commandLine, ramBytes} = debian;
  const initrdPath = join(folder, 'bench-initrd.cpio');
  const bytes = readFileSync(join(GUESTS, manifest().linux.file));
  writeFileSync(initrdPath, initrdWith(images.initrd!, [{path: 'usr/local/bin/bench', mode: 0o755, bytes}]));
  // A process each, as a user would start them: what one has mapped is no burden to the next.
  // Behind the last the guest waits, or QEMU would be gone before anybody has asked what it used.
  const commands = [...programs.map(({name}) => `bench ${name}`), `sleep ${LAST_WAIT_S}`];
  const append = `ftvm.run="${commands.join(';')}"`;
  return {
    ftvm: {image: DEBIAN, append, initrdPath, endsItself: true},
    qemu: {...paths, initrd: initrdPath, commandLine: `${commandLine} ${append}`, ramBytes, endsItself: true},
  };
}

/** An initrd with more files in it. */
export function initrdWith(
  initrd: Uint8Array,
  files: readonly {path: string; mode: number; bytes: Uint8Array}[],
): Uint8Array {
  const folders = new Set<string>();
  for (const {path} of files) {
    for (let at = path.indexOf('/'); at > 0; at = path.indexOf('/', at + 1)) folders.add(path.slice(0, at));
  }
  const archive = encodeCpio([
    ...[...folders].map((path) => ({kind: 'directory' as const, path, mode: 0o755})),
    ...files.map((file) => ({kind: 'file' as const, ...file})),
  ]);
  return Buffer.concat([initrd, archive]);
}

/** The marks of a run: `user`, and `NAME begins` and `NAME` of each program. A wrong checksum never comes. */
export function stepsOf(programs: readonly DebianProgram[]): Step[] {
  return [
    {name: 'firmware', waitFor: 'OpenSBI v'},
    {name: 'user', waitFor: FIRST_PROCESS_MARKER},
    ...programs.flatMap(({name, checksum}) => [
      {name: `${name} begins`, waitFor: `${name}: begin`},
      {name, waitFor: `${name}: checksum ${checksum}`},
    ]),
  ];
}

function manifest(): Manifest {
  return JSON.parse(readFileSync(join(GUESTS, 'programs.json'), 'utf8')) as Manifest;
}
