// `record`: a machine at power-on, a new log, and the primary that joins them.

import {randomBytes} from 'node:crypto';
import {readFileSync} from 'node:fs';
import {hostname} from 'node:os';
import {resolve} from 'node:path';
import type {BootImages, MachineConfig} from '../emulator/config.ts';
import {MACHINE_VERSION} from '../emulator/machine.ts';
import type {MachineInterface} from '../emulator/machine-interface.ts';
import type {Console} from '../host/console.ts';
import {controlSocketPath} from '../host/control-socket.ts';
import {DiskImage} from '../host/disk-image.ts';
import {LogFileWriter} from '../host/log-file.ts';
import {HOST_CLOCK, type HostClock} from '../host/monotonic-clock.ts';
import type {Nic} from '../host/nic/nic.ts';
import {FORMAT_VERSION} from '../logformat/limits.ts';
import {LogWriter} from '../logformat/log-writer.ts';
import {encodePreamble} from '../logformat/preamble.ts';
import type {Artefact, LogHeader, RecorderHost} from '../logformat/record.ts';
import {startOfLineage} from '../logformat/stream-point.ts';
import {OutputDigest, StateDigest} from './digests.ts';
import {HostedMachine} from './hosted-machine.ts';
import type {LogStore} from './log-sink.ts';
import {type Followers, Primary} from './primary.ts';
import {FTVM_VERSION} from './version.ts';

type ByRole<T> = {kernel: T; firmware?: T; initrd?: T};

export type RecordOptions = {
  logPath: string;
  overwrite: boolean;
  boot: 'elf' | 'linux';
  images: BootImages;
  /** Their SHA-256. */
  digests: ByRole<Uint8Array>;
  /** Made ready by earlyMemory for this much RAM; without it the machine has its own. */
  memory?: WebAssembly.Memory | undefined;
  /** Where the images came from. */
  paths: ByRole<string>;
  commandLine: string;
  ramBytes: number;
  clock: 'real' | 'virtual';
  disks: readonly string[];
  /** What is plugged in where, and each card's MAC. */
  nics: readonly {mac: Uint8Array; nic: Nic}[];
  reboot: boolean;
  console: Console;
  followers: Followers;
  /** Whether a guest's FLUSH waits until the log is on the disks. */
  durable: boolean;
  /** 16 random bytes. */
  lineageId: Uint8Array;
  /** `dir:PATH`, `nats://…`, or null. */
  arbiter: string | null;
};

/** A first guess of how fast this host runs the guest; a clock input corrects it within a quarter of a second. */
const STEPS_PER_TICK = 40;

/**
 * Prepares the machine and its log; the guest's first step is `run`'s. Throws FtvmError for whatever cannot be opened or started, and then
 * there is no log.
 */
export async function startRecording(options: RecordOptions): Promise<Primary> {
  const disks = options.disks.map((path) => DiskImage.open(path));
  const config = configOf(options, disks);
  const machine = new HostedMachine(config, options.images, disks, options.memory);
  const header = await describe(options, {config, disks});
  const file = await LogFileWriter.create(options.logPath, {overwrite: options.overwrite});
  const {console, followers, durable} = options;
  const entropy = (lengthBytes: number): Uint8Array => new Uint8Array(randomBytes(lengthBytes));
  const nics = options.nics.map(({nic}) => nic);
  return powerOn({header, machine, file, console, nics, followers, durable, clock: HOST_CLOCK, entropy});
}

/** The primary of a machine at power-on, with an empty log. */
export async function powerOn(parts: {
  header: LogHeader;
  machine: MachineInterface;
  file: LogStore;
  console: Console;
  nics: readonly Nic[];
  followers: Followers;
  durable: boolean;
  clock: HostClock;
  entropy(lengthBytes: number): Uint8Array;
}): Promise<Primary> {
  const {header, machine, file} = parts;
  const start = startOfLineage(header.lineageId);
  const [stateDigest, outputDigest] = await Promise.all([
    StateDigest.create(machine),
    OutputDigest.create(),
    file.append(encodePreamble({startsWith: 'powerOn', point: start})),
  ]);
  const writer = new LogWriter(start);
  writer.append({kind: 'header', position: 0n, ...header});
  return new Primary({
    ...parts,
    stateDigest,
    outputDigest,
    writer,
    clockMode: header.config.clock,
    releasedThrough: 0n,
    held: [],
    coveredThrough: 0n,
    epoch: {epochNs: header.config.epochNs, rtcOffsetNs: 0n},
    paused: false,
  });
}

function configOf(options: RecordOptions, disks: readonly DiskImage[]): MachineConfig {
  const virtual = options.clock === 'virtual';
  return {
    ramBytes: options.ramBytes,
    boot: options.boot,
    commandLine: options.commandLine,
    // A virtual run shall be reproducible by typing the same command again.
    epochNs: virtual ? 0n : HOST_CLOCK.wallNs(),
    rngSeed: virtual ? new Uint8Array(32) : new Uint8Array(randomBytes(32)),
    stepsPerTick: STEPS_PER_TICK,
    clock: options.clock,
    disks: disks.map(({sizeBytes}) => ({sizeBytes})),
    nics: options.nics.map(({mac}) => ({mac})),
    entropy: !virtual,
    reboot: options.reboot,
  };
}

async function describe(
  options: RecordOptions,
  {config, disks}: {config: MachineConfig; disks: readonly DiskImage[]},
): Promise<LogHeader> {
  const {images, paths, digests} = options;
  const artefacts: Artefact[] = [];
  for (const role of ['kernel', 'firmware', 'initrd'] as const) {
    const bytes = images[role];
    const sha256 = digests[role];
    const path = paths[role];
    if (bytes === undefined || sha256 === undefined || path === undefined) continue;
    artefacts.push({role, sha256, sizeBytes: bytes.length, pathHint: resolve(path)});
  }
  const baseDisks = [];
  for (const disk of disks)
    baseDisks.push({sha256: await disk.digest(), sizeBytes: disk.sizeBytes, pathHint: resolve(disk.path)});
  return {
    formatVersion: FORMAT_VERSION,
    machineVersion: MACHINE_VERSION,
    ftvmVersion: FTVM_VERSION,
    config,
    artefacts,
    disks: baseDisks,
    lineageId: options.lineageId,
    arbiter: options.arbiter,
    host: thisHost(),
    controlSocket: controlSocketPath(options.logPath),
  };
}

/** Who records here and now. */
export function thisHost(): RecorderHost {
  let bootId = '';
  try {
    bootId = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
  } catch {
    // Not Linux: then a recorder on this host cannot be told from one before a reboot, and is not believed dead.
  }
  return {hostname: hostname(), bootId, pid: process.pid};
}
