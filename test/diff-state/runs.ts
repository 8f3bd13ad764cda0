// Runs of fixture guests for tests of states: a machine at a position, driven by a list of inputs alone, and a log of such a run.

import {createHash} from 'node:crypto';
import {resolve} from 'node:path';
import {fileURLToPath} from 'node:url';
import type {BaseImage, MachineConfig} from '../../src/emulator/config.ts';
import type {Input} from '../../src/emulator/input.ts';
import {MACHINE_VERSION, Machine} from '../../src/emulator/machine.ts';
import {FORMAT_VERSION} from '../../src/logformat/limits.ts';
import type {LogHeader, LogRecord} from '../../src/logformat/record.ts';
import {FIXTURE_GUESTS, readGuestFile, readManifest} from '../support/fixture-guests.ts';
import {writeRecords} from './edited-log.ts';

export type TimedInput = {position: bigint; input: Input};

export function configOf(changes: Partial<MachineConfig> = {}): MachineConfig {
  return {
    ramBytes: 16 << 20,
    boot: 'elf',
    commandLine: '',
    epochNs: 0n,
    rngSeed: new Uint8Array(32),
    stepsPerTick: 20,
    clock: 'virtual',
    disks: [],
    nics: [],
    entropy: false,
    reboot: true,
    ...changes,
  };
}

export function fileOf(guest: string): string {
  const found = readManifest().guests.find(({name}) => name === guest);
  if (found === undefined) throw new Error(`no fixture guest ${guest}`);
  return found.file;
}

export function kernelOf(guest: string): Uint8Array {
  return readGuestFile(fileOf(guest));
}

export function headerOf(guest: string, config: MachineConfig = configOf()): LogHeader {
  const kernel = kernelOf(guest);
  return {
    formatVersion: FORMAT_VERSION,
    machineVersion: MACHINE_VERSION,
    ftvmVersion: '0.0.0-test',
    config,
    artefacts: [
      {
        role: 'kernel',
        sha256: new Uint8Array(createHash('sha256').update(kernel).digest()),
        sizeBytes: kernel.length,
        pathHint: resolve(fileURLToPath(new URL(fileOf(guest), FIXTURE_GUESTS))),
      },
    ],
    disks: [],
    lineageId: new Uint8Array(16).fill(7),
    arbiter: null,
    host: {hostname: 'test', bootId: '', pid: 1},
    controlSocket: null,
  };
}

/** A log of inputs alone, which says that it was stopped at `end`. */
export function writeRun(
  path: string,
  run: {guest: string; inputs: readonly TimedInput[]; end: bigint; config?: MachineConfig},
): void {
  const records: LogRecord[] = [{kind: 'header', position: 0n, ...headerOf(run.guest, run.config)}];
  for (const {position, input} of run.inputs) records.push({kind: 'input', position, input});
  records.push({kind: 'end', position: run.end, reason: 'stopped', ending: null});
  writeRecords(path, records);
}

/** A machine at power-on. */
export function machineOf(guest: string, config: MachineConfig = configOf()): Machine {
  return new Machine(config, {kernel: kernelOf(guest)});
}

/** Runs to `position` and delivers what stands up to there, at it included. Requests are answered by nobody. */
export function runInputs(machine: Machine, inputs: readonly TimedInput[], position: bigint): void {
  const from = machine.position;
  for (const each of inputs) {
    if (each.position < from || each.position > position) continue;
    runTo(machine, each.position);
    if (machine.ending === undefined) machine.deliver(each.input);
  }
  runTo(machine, position);
}

/** To the position, or as far as the guest goes. */
export function runTo(machine: Machine, position: bigint): void {
  while (machine.position < position) {
    const stop = machine.runUntil(position);
    machine.takeOutputs();
    if (stop.kind === 'halted' || (stop.kind === 'idle' && stop.deadlineTicks === undefined)) return;
  }
}

export function text(value: string): Input {
  return {kind: 'console', bytes: new Uint8Array(Buffer.from(value))};
}

/** xorshift32 (Marsaglia, 2003): numbers from 0 to 2^32 - 1. */
export function randomNumbers(seed: number): () => number {
  let state = seed >>> 0 || 1;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    state >>>= 0;
    return state;
  };
}

const SLICE_STEPS = 10_000n;

/** Runs a fixture guest as its manifest says, typing and completing disk requests; what was delivered when is the result. */
export function recordRun(guest: string): {
  inputs: TimedInput[];
  end: bigint;
  config: MachineConfig;
  disks: BaseImage[];
} {
  const found = readManifest().guests.find(({name}) => name === guest);
  if (found === undefined) throw new Error(`no fixture guest ${guest}`);
  const disks = found.diskBytes === undefined ? [] : [zeroDisk(found.diskBytes)];
  const config = configOf({disks: disks.map(({sizeBytes}) => ({sizeBytes}))});
  const machine = new Machine(config, {kernel: kernelOf(guest)}, disks);
  const inputs: TimedInput[] = [];
  const typed = [...(found.input ?? [])];
  let seen = '';
  for (;;) {
    const stop = machine.runUntil(machine.position + SLICE_STEPS);
    for (const output of machine.takeOutputs())
      if (output.kind === 'console') seen += Buffer.from(output.bytes).toString('latin1');
    if (stop.kind === 'halted') return {inputs, end: machine.position, config, disks};
    const arrived: Input[] = machine
      .pendingRequests()
      .disks.flatMap((requests, disk) =>
        requests.length === 0 ? [] : [{kind: 'disk' as const, disk, count: requests.length, status: 'ok' as const}],
      );
    const [next] = typed;
    if (next !== undefined && seen.includes(next.after)) {
      seen = seen.slice(seen.indexOf(next.after) + next.after.length);
      typed.shift();
      arrived.push({kind: 'console', bytes: new Uint8Array(Buffer.from(next.send as string, 'latin1'))});
    }
    if (stop.kind === 'idle' && stop.deadlineTicks === undefined && arrived.length === 0)
      throw new Error(`${guest} waits for ever`);
    for (const input of arrived) {
      machine.deliver(input);
      inputs.push({position: machine.position, input});
    }
  }
}

function zeroDisk(sizeBytes: number): BaseImage {
  return {sizeBytes, read: (_offset, into) => void into.fill(0)};
}
