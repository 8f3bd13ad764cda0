// Speed on the bare-metal programs of guests/: each column (engines of ftvm, QEMU) runs the same ELF, and must print the checksum
// that the manifest names. Seconds are CPU seconds of the whole process between the program's first and last output: on a quiet
// host that is the time it took, and on a busy one the only figure that says something.

import {existsSync, readFileSync} from 'node:fs';
import {join} from 'node:path';
import {fileURLToPath} from 'node:url';
import {type Bench, repeat} from './bench-context.ts';
import {runFtvm} from './ftvm-run.ts';
import {between, type Engine, markOf, type Run, type Step} from './job.ts';
import {runQemu} from './qemu-run.ts';

const GUESTS = fileURLToPath(new URL('./guests/', import.meta.url));
/** More than enough: the programs use a few MiB. */
const QEMU_RAM_BYTES = 128 * 2 ** 20;

export type Program = {name: string; description: string; file: string; instructions: number; checksum: string};

/** The one whose speed is judged and recorded: loads, stores, branches and arithmetic in the proportions of ordinary code. */
export const JUDGED_PROGRAM = 'sort';
/** Those of a quick run. */
export const QUICK_PROGRAMS: readonly string[] = ['loop', JUDGED_PROGRAM];

/** Millions of instructions a CPU second, one value a repetition. */
export type ProgramSpeeds = {program: Program; engines: Map<Engine, number[]>; qemu: number[]};
/** One value a repetition. `speed`: MIPS; `wallS`: of the whole process. */
export type ModeSamples = {speed: number[]; wallS: number[]; cpuS: number[]};
export type ProgramModes = {plain: ModeSamples; record: ModeSamples; replay: ModeSamples};

export function readPrograms(): Program[] {
  return (JSON.parse(readFileSync(join(GUESTS, 'programs.json'), 'utf8')) as {programs: Program[]}).programs;
}

/** Every program without a log, on every engine and QEMU. */
export async function measureSpeeds(
  bench: Bench,
  {programs, untilS}: {programs: readonly Program[]; untilS: number},
): Promise<ProgramSpeeds[]> {
  const all = programs.map((program): ProgramSpeeds => {
    return {program, engines: new Map(bench.engines.map((engine) => [engine, []])), qemu: []};
  });
  await repeat(bench, {untilS}, async (repetition) => {
    for (const {program, engines, qemu} of all) {
      for (const engine of bench.engines) {
        bench.progress(`${program.name}, ${engine}`, repetition);
        engines.get(engine)?.push(speedOf(await runPlain(bench, {program, engine}), program));
      }
      if (bench.qemu === undefined) continue;
      bench.progress(`${program.name}, QEMU`, repetition);
      qemu.push(speedOf(await runUnderQemu(bench, program), program));
    }
  });
  return all;
}

/** One program without a log, recorded, and replayed, by turns. */
export async function measureModes(
  bench: Bench,
  {program, untilS}: {program: Program; untilS: number},
): Promise<ProgramModes> {
  const none = (): ModeSamples => ({speed: [], wallS: [], cpuS: []});
  const modes: ProgramModes = {plain: none(), record: none(), replay: none()};
  const take = (samples: ModeSamples, run: Run) => {
    samples.wallS.push(run.wallS);
    samples.cpuS.push(run.cpuS);
  };
  const logPath = join(bench.folder, 'program.ftlog');
  const engine = bench.defaultEngine;
  await repeat(bench, {untilS}, async (repetition) => {
    bench.progress(`${program.name} without a log, recorded, replayed`, repetition);
    const plain = await runPlain(bench, {program, engine});
    take(modes.plain, plain);
    modes.plain.speed.push(speedOf(plain, program));
    const job = {mode: 'record', guest: guestOf(program), steps: stepsOf(program), logPath} as const;
    const recorded = await runFtvm(job, {engine, signal: bench.signal});
    take(modes.record, recorded);
    modes.record.speed.push(speedOf(recorded, program));
    take(modes.replay, await runFtvm({mode: 'replay', logPath, marks: []}, {engine, signal: bench.signal}));
  });
  return modes;
}

function runPlain(bench: Bench, what: {program: Program; engine: Engine}): Promise<Run> {
  const {program, engine} = what;
  const job = {mode: 'plain', guest: guestOf(program), steps: stepsOf(program)} as const;
  return runFtvm(job, {engine, signal: bench.signal});
}

function runUnderQemu(bench: Bench, program: Program): Promise<Run> {
  const kernel = join(GUESTS, program.file);
  return runQemu(
    {kernel, commandLine: '', ramBytes: QEMU_RAM_BYTES, endsItself: true},
    {mode: 'tcg', steps: stepsOf(program), rrPath: '', signal: bench.signal},
  );
}

function guestOf(program: Program): {image: string; endsItself: boolean} {
  const image = join(GUESTS, program.file);
  if (!existsSync(image)) throw new Error(`${image} is missing: build it with bench/guests/build.sh`);
  return {image, endsItself: true};
}

function stepsOf({name, checksum}: Program): Step[] {
  return [
    {name: 'begin', waitFor: `${name}: `},
    {name: 'checksum', waitFor: `checksum ${checksum}`},
  ];
}

function speedOf(run: Run, {instructions}: Program): number {
  markOf(run, 'checksum');
  return instructions / between(run, 'begin', 'end').cpuS / 1e6;
}
