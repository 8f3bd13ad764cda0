// Runs one guest with several engines, and compares the machine's whole state at the same positions. The interpreter's run is the
// reference: it decides where inputs are delivered; the others get the same inputs at the same positions, in slices of their own.

import type {BootImages, MachineConfig} from '../../src/emulator/config.ts';
import type {Engine} from '../../src/emulator/hart/hart.ts';
import type {Input} from '../../src/emulator/input.ts';
import {Machine} from '../../src/emulator/machine.ts';
import {translate} from '../../src/emulator/wasm/translate.ts';
import {fusesMultiplyAdd} from '../../src/host/fused-multiply-add.ts';
import {StateDigest} from '../../src/session/digests.ts';
import type {Random} from '../differential/random.ts';
import type {ConsoleStep} from '../support/qemu.ts';

export type Guest = {
  name: string;
  config: MachineConfig;
  images: BootImages;
  /** Bytes of the empty disk, if it has one. */
  typed?: readonly ConsoleStep[];
};

/** What the reference run found out. */
export type Script = {
  inputs: {position: bigint; inputs: Input[]}[];
  end: bigint;
  checkpoints: {position: bigint; digest: string}[];
  console: string;
};

export type Variant = {
  name: string;
  engine: Engine;
  /** For a queueing translator: the probability that a boundary installs what waits. */
  installChance?: number;
};

/** What this host can do; the last variant does without. */
const arithmetic = {fusesMultiplyAdd: fusesMultiplyAdd()};

export const VARIANTS: readonly Variant[] = [
  {name: 'translator only', engine: {kind: 'translator', threshold: 0, compiler: translate, arithmetic}},
  {name: 'mixed', engine: {kind: 'translator', threshold: 7, compiler: translate, arithmetic}},
  {
    name: 'installed at random times',
    engine: {kind: 'translator', threshold: 3, period: 23, compiler: 'queue'},
    installChance: 0.3,
  },
];

export function newMachine(guest: Guest, engine: Engine): Machine {
  const disks = guest.config.disks.map(({sizeBytes}) => ({
    sizeBytes,
    read: (_offset: number, into: Uint8Array) => void into.fill(0),
  }));
  return new Machine(guest.config, guest.images, disks, engine);
}

const LONGEST_SLICE = 200_000;

/** Runs the guest with the interpreter to its end or `limit`; digests at about `checkpoints` boundaries of random slices, and at the end. */
export async function reference(
  guest: Guest,
  options: {random: Random; checkpoints: number; limit?: bigint},
): Promise<Script> {
  const {random} = options;
  const machine = newMachine(guest, {kind: 'interpreter'});
  const digest = await StateDigest.create(machine);
  const limit = options.limit ?? 20_000_000_000n;
  const typed = [...(guest.typed ?? [])];
  const script: Script = {inputs: [], end: 0n, checkpoints: [], console: ''};
  const checkpoint = (): void => {
    const {position} = machine;
    script.checkpoints.push({position, digest: `${position} ${Buffer.from(digest.compute()).toString('hex')}`});
  };
  let seen = '';
  for (let boundary = 0; machine.position < limit; boundary += 1) {
    const next = machine.position + BigInt(random.between(1, LONGEST_SLICE));
    const stop = machine.runUntil(next < limit ? next : limit);
    for (const output of machine.takeOutputs())
      if (output.kind === 'console') seen += Buffer.from(output.bytes).toString('latin1');
    if (stop.kind === 'halted') break;
    const inputs: Input[] = [];
    const [step] = typed;
    if (step !== undefined && seen.includes(step.after)) {
      script.console += seen.slice(0, seen.indexOf(step.after) + step.after.length);
      seen = seen.slice(seen.indexOf(step.after) + step.after.length);
      typed.shift();
      const bytes = typeof step.send === 'string' ? Buffer.from(step.send, 'latin1') : step.send;
      inputs.push({kind: 'console', bytes: new Uint8Array(bytes)});
    }
    const pending = machine.pendingRequests();
    pending.disks.forEach((requests, disk) => {
      if (requests.length > 0) inputs.push({kind: 'disk', disk, count: requests.length, status: 'ok'});
    });
    if (pending.entropyBytes > 0) inputs.push({kind: 'entropy', bytes: new Uint8Array(pending.entropyBytes).fill(7)});
    for (const input of inputs) machine.deliver(input);
    if (inputs.length > 0) script.inputs.push({position: machine.position, inputs});
    else if (stop.kind === 'idle' && stop.deadlineTicks === undefined) break;
    // Ever rarer: how long the guest runs is not known before.
    if (random.chance(options.checkpoints / (options.checkpoints + boundary))) checkpoint();
  }
  script.console += seen;
  script.end = machine.position;
  checkpoint();
  return script;
}

/** Runs the script on another engine. Returns a description of the first difference, or undefined. */
export async function compare(
  guest: Guest,
  script: Script,
  options: {variant: Variant; random: Random; slices: number; machine?: Machine},
): Promise<string | undefined> {
  const {variant, random} = options;
  const machine = options.machine ?? newMachine(guest, variant.engine);
  const positions = script.checkpoints.map(({position}) => position);
  const atBoundary = (): void => installAtRandom(machine, random, variant.installChance ?? 1);
  const extra = Array.from({length: options.slices}, () => randomPosition(random, script.end));
  const digests = await runScript(machine, {...script, positions, extra, atBoundary});
  const at = script.checkpoints.findIndex(({digest}, index) => digest !== digests[index]);
  if (at < 0) return undefined;
  const before = at === 0 ? 0n : positions[at - 1];
  return `${guest.name}, ${variant.name}: states differ at position ${positions[at]}, not at ${before}`;
}

/** Digests at the positions. */
async function runScript(
  machine: Machine,
  script: Pick<Script, 'inputs' | 'end'> & {positions: readonly bigint[]; extra?: bigint[]; atBoundary?: () => void},
): Promise<string[]> {
  const digest = await StateDigest.create(machine);
  const digests: string[] = [];
  const stops = [...script.positions, ...(script.extra ?? []), ...script.inputs.map(({position}) => position)];
  stops.sort((a, b) => (a < b ? -1 : a > b ? 1 : 0));
  let nextInput = 0;
  for (const position of stops) {
    // An input's boundary may come before the guest has stopped there for good: each run goes on to the next stop.
    for (let stuck = false; machine.position < position && machine.ending === undefined && !stuck; ) {
      const from = machine.position;
      const stop = machine.runUntil(position);
      stuck = stop.kind === 'idle' && stop.deadlineTicks === undefined && machine.position === from;
      machine.takeOutputs();
      script.atBoundary?.();
    }
    for (; script.inputs[nextInput]?.position === machine.position && position === machine.position; nextInput += 1)
      for (const input of script.inputs[nextInput].inputs) machine.deliver(input);
    while (digests.length < script.positions.length && script.positions[digests.length] === position)
      digests.push(`${machine.position} ${Buffer.from(digest.compute()).toString('hex')}`);
  }
  return digests;
}

/** Answers the translator's requests, some or all of them, or none. */
export function installAtRandom(machine: Machine, random: Random, chance: number): void {
  const {translations} = machine;
  if (translations === undefined || !random.chance(chance)) return;
  const requests = translations.takeRequests();
  while (requests.length > 0) {
    const batch = requests.splice(0, random.between(1, 4));
    const {bytes, regions} = translate(batch, translations.arithmetic);
    translations.install({module: new WebAssembly.Module(bytes), regions});
  }
}

function randomPosition(random: Random, end: bigint): bigint {
  return end === 0n ? 0n : random.u64() % (end + 1n);
}

export function bareConfig(changes: Partial<MachineConfig> = {}): MachineConfig {
  return {
    ramBytes: 16 * 2 ** 20,
    boot: 'elf',
    commandLine: '',
    epochNs: 0n,
    rngSeed: new Uint8Array(32),
    stepsPerTick: 10,
    clock: 'virtual',
    disks: [],
    nics: [],
    entropy: false,
    reboot: false,
    ...changes,
  };
}
