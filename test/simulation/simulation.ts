// One simulated life of a guest: a primary, two backups that may become primaries, faults by the seed, then peace; and what must hold
// at the end (issue: no output that was released is lost or contradicted, one releasing machine a generation, the survivor goes on).

import type {FtvmError} from '../../src/errors.ts';
import type {ControlRequest} from '../../src/host/control-socket.ts';
import {LivePrimary, Replicating} from '../../src/replication/live-run.ts';
import {runPromotion} from '../../src/replication/run-promotion.ts';
import {runTail} from '../../src/replication/run-tail.ts';
import {OutputDigest} from '../../src/session/digests.ts';
import {powerOn} from '../../src/session/recording.ts';
import {checkLife, readStanding} from './check-life.ts';
import {type Fault, heal, inject} from './faults.ts';
import {Random} from './random.ts';
import {SimulatedFile} from './simulated-disk.ts';
import {type Host, type Shown, SimulatedNetwork} from './simulated-world.ts';
import {toyHeader} from './toy-header.ts';
import {ToyMachine} from './toy-machine.ts';
import {type SimulatedProcess, VirtualTime} from './virtual-time.ts';

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
  /** Whether nobody was left who could carry the guest on, and a person had to promote a log. */
  rescued: boolean;
  /** What left, in order. */
  shown: readonly Shown[];
  /** For reports: what happened when. */
  history: string[];
};

const TIMING = {heartbeatMs: 50, takeoverMs: 200};
const PORT = 1;
/** Two faults at a time now and then. */
const SECOND_FAULT_CHANCE = 0.3;
/** So long after the last fault the backup must be back, and the guest must go on. */
const RECOVERY_MS = 1000;
const QUIET_MS = 300;
/** Whoever takes over a paused guest is told to resume it after so long. */
const RESUME_INTERVAL_MS = 100;
/** So long after its channel stopped a backup that still lives must have been removed. */
const STALL_MS = 4 * TIMING.takeoverMs;

export async function simulate(options: SimulationOptions): Promise<SimulationResult> {
  // The hashes' WebAssembly is compiled in real time, once.
  await OutputDigest.create();
  const time = new VirtualTime();
  const simulation = new Simulation(time, options);
  const restore = time.install();
  try {
    await simulation.run();
  } finally {
    restore();
  }
  return simulation.check();
}

class Simulation {
  readonly #time: VirtualTime;
  readonly #random: Random;
  readonly #network: SimulatedNetwork;
  readonly #options: SimulationOptions;
  readonly #history: string[] = [];
  readonly #violations: string[] = [];
  /** Processes that were the backup when the guest's last primary died. */
  #heirs: SimulatedProcess[] = [];
  readonly #names = ['a', 'b', 'c'];
  /** Asks a process to end in order. */
  readonly #stops = new Map<SimulatedProcess, AbortController>();
  #shownBefore = 0;
  #rescued = false;
  /** From then on, until the faults are over, nothing may be shown. */
  #mustWaitFromMs: number | undefined;
  /** After that, and before the faults are over, something must be shown. */
  #mustGoOnFromMs: number | undefined;

  constructor(time: VirtualTime, options: SimulationOptions) {
    this.#time = time;
    this.#options = options;
    this.#random = new Random(options.seed);
    this.#network = new SimulatedNetwork(time, this.#random);
  }

  async run(): Promise<void> {
    const [a, b, c] = this.#names.map((name) => this.#network.addHost(name));
    this.#network.onKill = (host) => this.#noteHeirs(host);
    this.#options.prepare?.(this.#network);
    this.#startPrimary(a);
    await this.#time.runUntil(20);
    this.#startBackup(b);
    this.#startBackup(c);
    await this.#time.runUntil(200 + this.#random.below(300));
    for (let round = 0; round < this.#options.rounds; round += 1) {
      this.#fault(this.#random.pick(this.#options.faults));
      if (this.#random.unit() < SECOND_FAULT_CHANCE) {
        await this.#run(this.#random.below(150));
        this.#fault(this.#random.pick(this.#options.faults));
        this.#mustGoOnFromMs = undefined;
      }
      await this.#run(100 + this.#random.below(500));
      if (this.#mustGoOnFromMs !== undefined) await this.#run(this.#mustGoOnFromMs + QUIET_MS - this.#time.nowMs);
      this.#heal();
      await this.#run(50 + this.#random.below(300));
      this.#restartTheDead();
    }
    await this.#recover();
    if (!this.#goesOn) {
      this.#rescue(this.#random.pick([a, b, c]));
      await this.#recover();
    }
    this.#shownBefore = this.#network.shown.length;
    await this.#run(QUIET_MS);
  }

  /** After the life, in real time: what must hold. */
  async check(): Promise<SimulationResult> {
    const hosts = [...this.#network.hosts.values()];
    const {highest} = this;
    const checked = await checkLife({
      shown: this.#network.shown,
      shownBefore: this.#shownBefore,
      hosts: hosts.map((host) => ({
        name: host.name,
        processName: host.processName,
        alive: isAlive(host),
        primary: isAlive(host) && host.listeners.size > 0,
        log: host.files.get(host.logPath)?.read(0),
      })),
    });
    return {
      violations: [...this.#violations, ...checked.violations],
      lines: checked.lines,
      takeovers: highest.generation - 1,
      rescued: this.#rescued,
      shown: this.#network.shown,
      history: this.#history,
    };
  }

  /** Whether somebody is the primary, or was the backup when the last primary died. */
  get #goesOn(): boolean {
    const {claimant} = this.highest;
    const holds = (host: Host): boolean => isAlive(host) && claimant.startsWith(`${host.processName}-`);
    return [...this.#network.hosts.values()].some(holds) || this.#heirs.some(({state}) => state !== 'dead');
  }

  get highest(): {generation: number; claimant: string} {
    return this.#network.arbiter.highest() ?? {generation: 0, claimant: ''};
  }

  /** When the primary dies, those go on whose own log says that they are its backup. */
  #noteHeirs(dying: Host): void {
    const {claimant, generation} = this.highest;
    if (!claimant.startsWith(`${dying.processName}-`)) return;
    this.#heirs = [...this.#network.hosts.values()]
      .filter((host) => host !== dying && isAlive(host))
      .filter((host) => {
        const standing = readStanding(host.files.get(host.logPath)?.read(0));
        return standing?.generation === generation && standing.backup?.startsWith(`${host.processName} `) === true;
      })
      .map((host) => host.process);
  }

  #run(ms: number): Promise<void> {
    return this.#time.runUntil(this.#time.nowMs + ms);
  }

  #note(text: string): void {
    const line = `${this.#time.nowMs.toFixed(1)} ${text}`;
    this.#history.push(line);
    // Nobody in here lies about what he has.
    if (/it acknowledges record/.test(text)) this.#violations.push(line);
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
        durable: true,
        clock,
        entropy: (lengthBytes) => world.entropy(lengthBytes),
      });
      const live = new LivePrimary({primary, replicating, generation: 1, by: processName});
      host.control = (request) => live.control(request);
      const {end} = await live.run(this.#stopOf(host));
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
        signal: this.#stopOf(host),
        note: (text) => this.#note(`${host.name}: ${text}`),
      });
      this.#note(`${host.name}: tail ended: ${result.outcome} ${result.live?.end.kind ?? ''}`);
      this.#retire(host);
    };
    this.#launch(host, launch);
  }

  #stopOf({process}: Host): AbortSignal {
    const stop = new AbortController();
    this.#stops.set(process, stop);
    return stop.signal;
  }

  #launch(host: Host, launch: () => Promise<void>): void {
    const {process} = host;
    this.#note(`${host.name}: start`);
    this.#time.as(process, () => {
      launch().catch((error: Error) => {
        if (process.state === 'dead') return;
        this.#note(`${host.name}: failed: ${error.message}`);
        // Told to end while it was looking for a primary, or for the arbiter.
        const askedToEnd = this.#stops.get(process)?.signal.aborted === true;
        if (
          askedToEnd &&
          ['network', 'peerVanished', 'arbiterUnreachable'].includes((error as Partial<FtvmError>).code ?? '')
        )
          return this.#retire(host);
        this.#violations.push(`${host.name} failed: ${error.name === 'FtvmError' ? error.message : error.stack}`);
        this.#retire(host);
      });
    });
  }

  /** A process that has ended by itself is as good as dead, and is started again as a backup later. */
  #retire(host: Host): void {
    if (host.process.state !== 'dead') this.#network.kill(host, {silently: false});
  }

  #fault(fault: Fault): void {
    const host = this.#random.pick([...this.#network.hosts.values()]);
    this.#note(`fault: ${fault} at ${host.name}`);
    if (fault === 'nobodyReached')
      this.#mustWaitFromMs = this.#isProtected() ? this.#time.nowMs + 2 * TIMING.takeoverMs : undefined;
    if (fault === 'channelHeld' && this.#isProtected() && this.#isHeard())
      this.#mustGoOnFromMs = this.#time.nowMs + STALL_MS;
    inject(fault, host, {
      network: this.#network,
      time: this.#time,
      random: this.#random,
      stop: (process) => this.#stops.get(process)?.abort('SIGTERM'),
      ask: (request) => this.#ask(request),
      restart: () => {
        this.#network.restart(host);
        this.#startBackup(host);
      },
    });
  }

  async #recover(): Promise<void> {
    for (let elapsedMs = 0; elapsedMs < RECOVERY_MS; elapsedMs += RESUME_INTERVAL_MS) {
      this.#ask({command: 'resume'});
      await this.#run(RESUME_INTERVAL_MS);
    }
  }

  /** A person brings the logs of all hosts to this one and promotes the longest. Who won the last generation is dead. */
  #rescue(host: Host): void {
    this.#rescued = true;
    const network = this.#network;
    const logs = [...network.hosts.values()].flatMap(({files, logPath}) => files.get(logPath) ?? []);
    this.#retire(host);
    network.restart(host);
    const paths = network.promoted(logs).map((file, index) => {
      const path = `log ${index}`;
      const copy = new SimulatedFile();
      copy.append(file.read(0));
      host.files.set(path, copy);
      return path;
    });
    const world = network.worldOf(host);
    const {claimant} = this.highest;
    this.#note(`${host.name}: a person promotes ${paths.length} logs, as ${claimant} is dead`);
    this.#launch(host, async () => {
      await runPromotion(world, {
        logPaths: paths,
        dryRun: false,
        listen: `${host.name}:${PORT}`,
        net: [],
        timing: TIMING,
        winnerDied: claimant,
        output: undefined,
        paths: {},
        onProgress: () => {},
        onLive: () => {},
        signal: this.#stopOf(host),
        note: (text) => this.#note(`${host.name}: ${text}`),
      });
    });
  }

  /** Whoever runs the guest will do it; the others refuse. */
  #ask(request: ControlRequest): void {
    for (const {process, control} of this.#network.hosts.values()) {
      if (control !== undefined && process.state === 'running')
        this.#time.as(process, () => void control(request).catch(() => {}));
    }
  }

  /** Whether the guest runs, and its primary lives and has a backup. */
  #isProtected(): boolean {
    const {claimant, generation} = this.highest;
    const primary = [...this.#network.hosts.values()].find((host) => claimant.startsWith(`${host.processName}-`));
    if (primary === undefined || !isAlive(primary)) return false;
    const standing = readStanding(primary.files.get(primary.logPath)?.read(0));
    return standing?.generation === generation && standing.backup !== undefined && !standing.paused;
  }

  /** A primary that waits for the arbiter says nothing, whatever its log says. */
  #isHeard(): boolean {
    return (this.#network.shown.at(-1)?.atMs ?? 0) > this.#time.nowMs - TIMING.takeoverMs;
  }

  #heal(): void {
    const waitedFromMs = this.#mustWaitFromMs ?? Number.POSITIVE_INFINITY;
    const early = this.#network.shown.find(({atMs}) => atMs > waitedFromMs);
    if (early !== undefined)
      this.#violations.push(`${early.process} shows at ${early.atMs.toFixed(1)}: it had to wait`);
    this.#mustWaitFromMs = undefined;
    const stoodFromMs = this.#mustGoOnFromMs ?? Number.POSITIVE_INFINITY;
    if (stoodFromMs < this.#time.nowMs && !this.#network.shown.some(({atMs}) => atMs > stoodFromMs))
      this.#violations.push(`nothing is shown from ${stoodFromMs.toFixed(1)} on: the guest had to go on`);
    this.#mustGoOnFromMs = undefined;
    heal(this.#network, this.#time);
    this.#ask({command: 'resume'});
    this.#note('healed');
  }

  #restartTheDead(): void {
    for (const host of this.#network.hosts.values()) {
      if (host.process.state !== 'dead') continue;
      this.#network.restart(host);
      this.#startBackup(host);
    }
  }
}

function isAlive(host: Host): boolean {
  return host.process.state !== 'dead';
}
