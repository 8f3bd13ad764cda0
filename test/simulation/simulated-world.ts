// A world in one process: hosts with disks that survive their processes, links between them that can be slow, cut or silent, an arbiter
// that can be out of reach or answer too late. Everything random comes from the seed.

import {FtvmError} from '../../src/errors.ts';
import type {Console} from '../../src/host/console.ts';
import type {ControlReply, ControlRequest} from '../../src/host/control-socket.ts';
import type {Endpoint} from '../../src/host/endpoint.ts';
import type {Link} from '../../src/replication/link.ts';
import type {Message} from '../../src/replication/messages.ts';
import type {World} from '../../src/replication/world.ts';
import type {LogStore} from '../../src/session/log-sink.ts';
import type {Random} from './random.ts';
import {ArbiterStore, SimulatedArbiter} from './simulated-arbiter.ts';
import {SimulatedDatagrams} from './simulated-datagrams.ts';
import {type CrashPoint, SimulatedFile, simulatedReader, simulatedStore} from './simulated-disk.ts';
import {SimulatedLink} from './simulated-link.ts';
import {ToyMachine} from './toy-machine.ts';
import type {SimulatedProcess, VirtualTime} from './virtual-time.ts';

/** A message on its way: 0.1 to 2 ms. A connection that breaks is noticed after as long, if the peer's host lives. */
const LEAST_DELAY_MS = 0.1;
const MOST_DELAY_MS = 2;

/** Bytes that left; the generation: the highest that the arbiter had given to that process. */
export type Shown = {host: string; process: string; generation: number; bytes: Uint8Array; atMs: number};

export type Host = {
  name: string;
  process: SimulatedProcess;
  /** Its present process's name for others: names its claims, and it as a backup. */
  processName: string;
  files: Map<string, SimulatedFile>;
  /** The log that it wrote last. */
  logPath: string;
  listeners: Map<number, (link: Link) => void>;
  links: Set<SimulatedLink>;
  /** The control socket of its process. */
  control: ((request: ControlRequest) => Promise<ControlReply>) | undefined;
  /** Its process is killed when it reaches this point for the `left`th time. */
  crash: {point: CrashPoint; left: number} | undefined;
};

export class SimulatedNetwork {
  readonly time: VirtualTime;
  readonly random: Random;
  readonly hosts = new Map<string, Host>();
  /** Pairs of hosts that cannot reach each other: `a|b` in both orders. */
  readonly cuts = new Set<string>();
  /** Likewise, but datagrams get through. */
  readonly channelCuts = new Set<string>();
  readonly datagrams: SimulatedDatagrams;
  readonly arbiter = new ArbiterStore();
  /** What has left, in order. */
  readonly shown: Shown[] = [];
  /** Longest additional delay of a message. */
  slownessMs = 0;
  /** Changes what is sent: canaries plant faults here. */
  tamper: (message: Message) => Message = (message) => message;
  onKill: (host: Host) => void = () => {};
  /** Which of the hosts' logs a person promotes when nobody can go on. */
  promoted: (logs: readonly SimulatedFile[]) => readonly SimulatedFile[] = (logs) => logs;
  #nextId = 1;

  constructor(time: VirtualTime, random: Random) {
    this.time = time;
    this.random = random;
    this.datagrams = new SimulatedDatagrams({time, random, isCut: (from, to) => this.cuts.has(`${from}|${to}`)});
  }

  addHost(name: string): Host {
    const host: Host = {
      name,
      process: {name, state: 'running'},
      processName: '',
      files: new Map(),
      logPath: 'log',
      listeners: new Map(),
      links: new Set(),
      control: undefined,
      crash: undefined,
    };
    this.hosts.set(name, host);
    return host;
  }

  /** `oneWay`: only what `a` sends is held back. `channel`: but no datagrams. */
  cut(a: string, b: string, {oneWay = false, channel = false}: {oneWay?: boolean; channel?: boolean} = {}): void {
    const cuts = channel ? this.channelCuts : this.cuts;
    cuts.add(`${a}|${b}`);
    if (!oneWay) cuts.add(`${b}|${a}`);
  }

  /** Whether what `from` sends over a channel does not reach `to`. */
  holdsBack(from: string, to: string): boolean {
    return this.cuts.has(`${from}|${to}`) || this.channelCuts.has(`${from}|${to}`);
  }

  reached(host: Host, process: SimulatedProcess, point: CrashPoint): void {
    const {crash} = host;
    if (crash === undefined || host.process !== process || crash.point !== point) return;
    crash.left -= 1;
    if (crash.left <= 0) this.kill(host, {silently: false});
  }

  /** SIGKILL. The peers see the connection break, unless the whole host is gone (`silently`) or they cannot reach it. */
  kill(host: Host, {silently}: {silently: boolean}): void {
    if (host.process.state === 'dead') return;
    this.onKill(host);
    host.process.state = 'dead';
    host.crash = undefined;
    host.listeners.clear();
    host.control = undefined;
    for (const link of host.links) {
      link.abandon();
      if (!silently && !this.holdsBack(host.name, link.other?.host.name ?? ''))
        link.other?.breakAfter(this.delay(), 'the connection broke');
    }
    host.links.clear();
  }

  /** A new process on a host that had lost its own. */
  restart(host: Host): void {
    host.process = {name: host.name, state: 'running'};
  }

  delay(): number {
    return LEAST_DELAY_MS + this.random.unit() * (MOST_DELAY_MS - LEAST_DELAY_MS + this.slownessMs);
  }

  worldOf(host: Host): World {
    const {time, random} = this;
    const id = this.#nextId++;
    const {process} = host;
    const processName = `${host.name}${id}`;
    host.processName = processName;
    let ids = 0;
    return {
      clock: {nowNs: () => BigInt(Math.round(time.nowMs * 1e6)), wallNs: () => BigInt(Math.round(Date.now() * 1e6))},
      nowMs: () => time.nowMs,
      entropy: (lengthBytes) => Uint8Array.from({length: lengthBytes}, () => random.below(256)),
      uniqueId: () => `${processName}-${ids++}`,
      processName,
      secret: undefined,
      connect: (endpoint) => this.#connect(host, process, endpoint),
      listen: async (endpoint, onLink) => {
        if (process.state !== 'dead') host.listeners.set(endpoint.port, onLink);
        return {port: endpoint.port, close: () => host.listeners.delete(endpoint.port)};
      },
      openDatagrams: async (at, onDatagram) => this.datagrams.open(at, {process, onDatagram}),
      createLog: async (path) => {
        host.files.set(path, new SimulatedFile());
        return this.#store(host, process, path);
      },
      continueLog: async (path, {sizeBytes}) => {
        const file = this.#file(host, path);
        file.truncate(sizeBytes);
        return this.#store(host, process, path);
      },
      readLog: async (path, {offset}) => simulatedReader(this.#file(host, path), offset),
      openArbiter: async () =>
        new SimulatedArbiter({
          store: this.arbiter,
          hostName: host.name,
          processName,
          process,
          after: (ms, run) => time.after(ms, process, run),
          delayMs: () => this.delay(),
          unit: () => random.unit(),
        }),
      returnMemory: () => {},
      openConsole: () => new SimulatedConsole(this, host, process),
      openNic: () => Promise.reject(new FtvmError('usage', 'the toy machine has no NIC')),
      control: async (_path, handle) => {
        if (process.state !== 'dead') host.control = handle;
        return {close: () => {}};
      },
      askIfRunning: async () => undefined,
      buildMachine: async (header) => ({machine: new ToyMachine(header.config.stepsPerTick), close: () => {}}),
    };
  }

  #file(host: Host, path: string): SimulatedFile {
    const file = host.files.get(path);
    if (file === undefined) throw new FtvmError('fileSystem', `${host.name} has no ${path}`);
    return file;
  }

  #store(host: Host, process: SimulatedProcess, path: string): LogStore {
    const {time, random} = this;
    host.logPath = path;
    const reached = (point: CrashPoint): void => this.reached(host, process, point);
    return simulatedStore({file: this.#file(host, path), time, random, process, reached});
  }

  async #connect(from: Host, process: SimulatedProcess, endpoint: Endpoint): Promise<Link> {
    const to = this.hosts.get(endpoint.host);
    await new Promise<void>((resolve) => this.time.after(2 * this.delay(), process, resolve));
    const onLink = to?.listeners.get(endpoint.port);
    const reachable =
      to !== undefined &&
      !this.holdsBack(from.name, to.name) &&
      !this.holdsBack(to.name, from.name) &&
      to.process.state !== 'dead';
    if (!reachable || onLink === undefined) throw new FtvmError('network', `${endpoint.host} does not answer`);
    const here = new SimulatedLink(this, {host: from, process, peer: to.name});
    const there = new SimulatedLink(this, {host: to, process: to.process, peer: from.name});
    here.other = there;
    there.other = here;
    this.time.after(this.delay(), to.process, () => onLink(there));
    return here;
  }
}

class SimulatedConsole implements Console {
  readonly #network: SimulatedNetwork;
  readonly #host: Host;
  readonly #process: SimulatedProcess;
  readonly backlogBytes = 0;
  readonly ended = false;
  #typed: number[] = [];
  #listener: () => void = () => {};

  /** Somebody types now and then. */
  constructor(network: SimulatedNetwork, host: Host, process: SimulatedProcess) {
    this.#network = network;
    this.#host = host;
    this.#process = process;
    this.#typeLater();
  }

  get pendingBytes(): number {
    return this.#typed.length;
  }

  take(limitBytes: number): Uint8Array {
    return Uint8Array.from(this.#typed.splice(0, limitBytes));
  }

  write(bytes: Uint8Array): void {
    const network = this.#network;
    const {name, processName} = this.#host;
    network.reached(this.#host, this.#process, 'beforeShow');
    if (this.#process.state === 'dead') return;
    network.shown.push({
      host: name,
      process: processName,
      generation: network.arbiter.heldBy(processName),
      bytes: Uint8Array.from(bytes),
      atMs: network.time.nowMs,
    });
    network.reached(this.#host, this.#process, 'afterShow');
  }

  onInput(listener: () => void): void {
    this.#listener = listener;
  }

  close(): void {}

  #typeLater(): void {
    const {time, random} = this.#network;
    time.after(10 + random.unit() * 60, this.#process, () => {
      this.#typed.push(random.below(256));
      this.#listener();
      this.#typeLater();
    });
  }
}
