// One simulated life of a guest: a primary, two backups that may become primaries, faults by the seed, then peace; and what must hold
// at the end (issue: no output that was released is lost or contradicted, one releasing machine a generation, the survivor goes on).

import {createHash} from 'node:crypto';
import type {LogHeader} from '../../src/logformat/record.ts';
import {LivePrimary, Replicating} from '../../src/replication/live-run.ts';
import {runTail} from '../../src/replication/run-tail.ts';
import {OutputDigest} from '../../src/session/digests.ts';
import {powerOn} from '../../src/session/recording.ts';
import {Random} from './random.ts';
import {type Host, SimulatedNetwork} from './simulated-world.ts';
import {LINE_BYTES, ToyMachine} from './toy-machine.ts';
import {VirtualTime} from './virtual-time.ts';

export type Fault =
  | 'none'
  | 'crash'
  | 'silentCrash'
  | 'pause'
  | 'cut'
  | 'arbiterAway'
  | 'lateAnswers'
  | 'cutAndArbiterAway';

export type SimulationOptions = {
  seed: number;
  /** What may happen; one is drawn for each round of faults. */
  faults: readonly Fault[];
  /** Rounds of faults. */
  rounds: number;
  /** Called before the first process starts: canaries plant their fault here. */
  prepare?: (network: SimulatedNetwork) => void;
};

export type SimulationResult = {
  violations: string[];
  lines: number;
  takeovers: number;
  /** For reports: what happened when. */
  history: string[];
};

const TIMING = {heartbeatMs: 50, takeoverMs: 200};
const PORT = 1;
const QUIET_MS = 2500;

export async function simulate(options: SimulationOptions): Promise<SimulationResult> {
  // The hashes' WebAssembly is compiled in real time, once.
  await OutputDigest.create();
  const time = new VirtualTime();
  const restore = time.install();
  try {
    return await new Simulation(time, options).run();
  } finally {
    restore();
  }
}

class Simulation {
  readonly #time: VirtualTime;
  readonly #random: Random;
  readonly #network: SimulatedNetwork;
  readonly #options: SimulationOptions;
  readonly #history: string[] = [];
  readonly #violations: string[] = [];
  /** For each host's present process: the generation under which it releases, once it is a primary. */
  readonly #names = ['a', 'b', 'c'];

  constructor(time: VirtualTime, options: SimulationOptions) {
    this.#time = time;
    this.#options = options;
    this.#random = new Random(options.seed);
    this.#network = new SimulatedNetwork(time, this.#random);
  }

  async run(): Promise<SimulationResult> {
    const [a, b, c] = this.#names.map((name) => this.#network.addHost(name));
    this.#options.prepare?.(this.#network);
    this.#startPrimary(a);
    await this.#time.runUntil(20);
    this.#startBackup(b);
    this.#startBackup(c);
    await this.#time.runUntil(300 + this.#random.below(400));
    for (let round = 0; round < this.#options.rounds; round += 1) {
      await this.#fault(this.#random.pick(this.#options.faults));
      await this.#run(100 + this.#random.below(900));
      this.#heal();
      await this.#run(100 + this.#random.below(700));
      this.#restartTheDead();
    }
    await this.#run(QUIET_MS);
    const before = this.#linesShown();
    await this.#run(QUIET_MS);
    this.#check(before);
    const takeovers = this.#network.arbiter.claims.size - 1;
    return {violations: this.#violations, lines: this.#linesShown(), takeovers, history: this.#history};
  }

  #run(ms: number): Promise<void> {
    return this.#time.runUntil(this.#time.nowMs + ms);
  }

  #note(text: string): void {
    this.#history.push(`${this.#time.nowMs.toFixed(1)} ${text}`);
  }

  #startPrimary(host: Host): void {
    const world = this.#network.worldOf(host);
    const header = toyHeader(this.#options.seed);
    const launch = async (): Promise<void> => {
      const arbiter = await world.openArbiter('dir:/simulated');
      const claimant = world.uniqueId();
      await arbiter.claim({lineageId: Buffer.from(header.lineageId).toString('hex'), generation: 1, claimant});
      const file = await world.createLog('log', {overwrite: true});
      const replicating = await Replicating.open(
        world,
        {listen: {host: host.name, port: PORT}, arbiter, timing: TIMING},
        {
          path: 'log',
          lineageId: header.lineageId,
          generation: 1,
          claimant,
          note: (text) => this.#note(`${host.name}: ${text}`),
        },
      );
      const {clock, processName} = world;
      const primary = await powerOn({
        header,
        machine: new ToyMachine(header.config.stepsPerTick),
        file,
        console: world.openConsole(() => {}),
        nics: [],
        followers: replicating.followers,
        durable: false,
        clock,
        entropy: (lengthBytes) => world.entropy(lengthBytes),
      });
      const live = new LivePrimary({primary, replicating, generation: 1, by: processName});
      const {end} = await live.run(new AbortController().signal);
      this.#note(`${host.name}: primary ended: ${end.kind}`);
      this.#retire(host);
    };
    this.#launch(host, launch);
  }

  #startBackup(host: Host): void {
    const world = this.#network.worldOf(host);
    const sources = this.#names.filter((name) => name !== host.name).map((name) => `tcp://${name}:${PORT}`);
    const launch = async (): Promise<void> => {
      const result = await runTail(world, {
        sources,
        follow: true,
        autoPromote: true,
        fromStart: this.#random.unit() < 0.3,
        logPath: 'log',
        overwrite: true,
        eligible: true,
        listen: `${host.name}:${PORT}`,
        net: [],
        timing: TIMING,
        paths: {},
        onOutput: undefined,
        onProgress: () => {},
        onDigest: () => {},
        signal: new AbortController().signal,
        note: (text) => this.#note(`${host.name}: ${text}`),
      });
      this.#note(`${host.name}: tail ended: ${result.outcome} ${result.live?.end.kind ?? ''}`);
      this.#retire(host);
    };
    this.#launch(host, launch);
  }

  #launch(host: Host, launch: () => Promise<void>): void {
    const {process} = host;
    this.#note(`${host.name}: start`);
    this.#time.as(process, () => {
      launch().catch((error: Error) => {
        if (process.state === 'dead') return;
        this.#note(`${host.name}: failed: ${error.message}`);
        if (error.name !== 'FtvmError') this.#violations.push(`${host.name} failed: ${error.stack}`);
        if ((error as {code?: string}).code === 'divergence')
          this.#violations.push(`${host.name} diverged: ${error.message}`);
        this.#retire(host);
      });
    });
  }

  /** A process that has ended by itself is as good as dead, and is started again as a backup later. */
  #retire(host: Host): void {
    if (host.process.state !== 'dead') this.#network.kill(host, {silently: false});
  }

  async #fault(fault: Fault): Promise<void> {
    const network = this.#network;
    const hosts = [...network.hosts.values()];
    const host = this.#random.pick(hosts);
    const [x, y] = this.#random.unit() < 0.5 ? [hosts[0], hosts[1]] : [hosts[1], hosts[2]];
    this.#note(`fault: ${fault} at ${host.name}`);
    switch (fault) {
      case 'none':
        return;
      case 'crash':
      case 'silentCrash':
        network.kill(host, {silently: fault === 'silentCrash'});
        return;
      case 'pause':
        this.#time.pause(host.process);
        return;
      case 'cut':
        network.cut(x.name, y.name);
        if (this.#random.unit() < 0.5)
          for (const other of hosts) if (other !== host) network.cut(host.name, other.name);
        return;
      case 'arbiterAway':
        for (const other of hosts) network.arbiter.unreachableFor.add(other.name);
        network.kill(host, {silently: this.#random.unit() < 0.5});
        return;
      case 'lateAnswers':
        network.arbiter.lateAnswers = 0.5;
        network.kill(host, {silently: this.#random.unit() < 0.5});
        return;
      case 'cutAndArbiterAway':
        for (const other of hosts) {
          network.arbiter.unreachableFor.add(other.name);
          if (other !== host) network.cut(host.name, other.name);
        }
        return;
    }
  }

  #heal(): void {
    const network = this.#network;
    network.cuts.clear();
    network.arbiter.unreachableFor.clear();
    network.arbiter.lateAnswers = 0;
    for (const host of network.hosts.values()) this.#time.resume(host.process);
    this.#note('healed');
  }

  #restartTheDead(): void {
    for (const host of this.#network.hosts.values()) {
      if (host.process.state !== 'dead') continue;
      this.#network.restart(host);
      this.#startBackup(host);
    }
  }

  #linesShown(): number {
    let highest = 0;
    for (const {number} of this.#lines()) highest = Math.max(highest, number);
    return highest;
  }

  *#lines(): Iterable<{host: string; number: number; hash: bigint; atMs: number}> {
    for (const host of this.#network.hosts.values()) {
      for (const {bytes, atMs} of host.shown) {
        if (bytes.length % LINE_BYTES !== 0)
          this.#violations.push(`${host.name} has shown ${bytes.length} bytes, no whole lines`);
        const view = new DataView(bytes.buffer);
        for (let at = 0; at + LINE_BYTES <= bytes.length; at += LINE_BYTES) {
          yield {
            host: host.name,
            number: Number(view.getBigUint64(at, true)),
            hash: view.getBigUint64(at + 8, true),
            atMs,
          };
        }
      }
    }
  }

  #check(linesBefore: number): void {
    const shown = new Map<number, bigint>();
    for (const {host, number, hash, atMs} of this.#lines()) {
      const known = shown.get(number);
      if (known !== undefined && known !== hash)
        this.#violations.push(`line ${number} is contradicted by ${host} at ${atMs.toFixed(1)}`);
      shown.set(number, hash);
    }
    const highest = this.#linesShown();
    for (let number = 1; number <= highest; number += 1)
      if (!shown.has(number)) this.#violations.push(`line ${number} was lost`);
    if (highest <= linesBefore && this.#someoneCouldGoOn())
      this.#violations.push(`nothing was shown after line ${linesBefore}: nobody goes on`);
  }

  /** When all who had the guest's state are dead there is nothing to go on from; files could be promoted by hand. */
  #someoneCouldGoOn(): boolean {
    return (
      this.#history.some((line) => line.includes('live from')) ||
      this.#network.hosts.get('a')?.process.state === 'running'
    );
  }
}

function toyHeader(seed: number): LogHeader {
  return {
    formatVersion: 1,
    machineVersion: 1,
    ftvmVersion: '0.1.0',
    config: {
      ramBytes: 2 ** 21,
      boot: 'elf',
      commandLine: '',
      epochNs: 1_767_225_600_000_000_000n,
      rngSeed: new Uint8Array(32),
      stepsPerTick: 100,
      clock: 'real',
      disks: [],
      nics: [],
      entropy: true,
      reboot: false,
    },
    artefacts: [],
    disks: [],
    lineageId: new Uint8Array(createHash('sha256').update(String(seed)).digest().subarray(0, 16)),
    arbiter: 'dir:/simulated',
    host: {hostname: 'simulated', bootId: 'x', pid: 1},
    controlSocket: null,
  };
}
