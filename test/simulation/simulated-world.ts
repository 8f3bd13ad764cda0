// A world in one process: hosts with disks that survive their processes, links between them that can be slow, cut or silent, an arbiter
// that can be out of reach or answer too late. Everything random comes from the seed.

import {FtvmError} from '../../src/errors.ts';
import type {Console} from '../../src/host/console.ts';
import type {Endpoint} from '../../src/host/endpoint.ts';
import type {Arbiter, Claim, ClaimResult} from '../../src/replication/arbiter.ts';
import type {LogBytes} from '../../src/replication/follower-link.ts';
import type {Link, LinkEvents} from '../../src/replication/link.ts';
import {encodeMessage, type Message, MessageReader} from '../../src/replication/messages.ts';
import type {World} from '../../src/replication/world.ts';
import type {LogStore} from '../../src/session/log-sink.ts';
import type {Random} from './random.ts';
import {ToyMachine} from './toy-machine.ts';
import type {SimulatedProcess, VirtualTime} from './virtual-time.ts';

/** A message on its way: 0.1 to 2 ms. A connection that breaks is noticed after as long, if the peer's host lives. */
const LEAST_DELAY_MS = 0.1;
const MOST_DELAY_MS = 2;
/** How often a cut connection tries again. */
const RESEND_MS = 20;

export type Host = {
  name: string;
  process: SimulatedProcess;
  files: Map<string, SimulatedFile>;
  listeners: Map<number, (link: Link) => void>;
  links: Set<SimulatedLink>;
  /** Bytes that its process has shown to the outside, with the generation under which it did. */
  shown: {bytes: Uint8Array; atMs: number}[];
};

export class SimulatedNetwork {
  readonly time: VirtualTime;
  readonly random: Random;
  readonly hosts = new Map<string, Host>();
  /** Pairs of hosts that cannot reach each other: `a|b` in both orders. */
  readonly cuts = new Set<string>();
  readonly arbiter = new SimulatedStore();
  #nextId = 1;

  constructor(time: VirtualTime, random: Random) {
    this.time = time;
    this.random = random;
  }

  addHost(name: string): Host {
    const host: Host = {
      name,
      process: {name, state: 'running'},
      files: new Map(),
      listeners: new Map(),
      links: new Set(),
      shown: [],
    };
    this.hosts.set(name, host);
    return host;
  }

  cut(a: string, b: string): void {
    this.cuts.add(`${a}|${b}`).add(`${b}|${a}`);
  }

  heal(a: string, b: string): void {
    this.cuts.delete(`${a}|${b}`);
    this.cuts.delete(`${b}|${a}`);
  }

  /** SIGKILL. The peers see the connection break, unless the whole host is gone (`silently`) or they cannot reach it. */
  kill(host: Host, {silently}: {silently: boolean}): void {
    host.process.state = 'dead';
    host.listeners.clear();
    for (const link of host.links) {
      link.abandon();
      if (!silently && !this.cuts.has(`${host.name}|${link.other?.host.name}`))
        link.other?.breakAfter(this.delay(), 'the connection broke');
    }
    host.links.clear();
  }

  /** A new process on a host that had lost its own. */
  restart(host: Host): void {
    host.process = {name: host.name, state: 'running'};
  }

  delay(): number {
    return LEAST_DELAY_MS + this.random.unit() * (MOST_DELAY_MS - LEAST_DELAY_MS);
  }

  worldOf(host: Host): World {
    const {time, random} = this;
    const id = this.#nextId++;
    const {process} = host;
    let ids = 0;
    return {
      clock: {nowNs: () => BigInt(Math.round(time.nowMs * 1e6)), wallNs: () => BigInt(Math.round(Date.now() * 1e6))},
      nowMs: () => time.nowMs,
      entropy: (lengthBytes) => Uint8Array.from({length: lengthBytes}, () => random.below(256)),
      uniqueId: () => `${host.name}-${id}-${ids++}`,
      processName: `${host.name}-${id}`,
      connect: (endpoint) => this.#connect(host, process, endpoint),
      listen: async (endpoint, onLink) => {
        if (process.state !== 'dead') host.listeners.set(endpoint.port, onLink);
        return {port: endpoint.port, close: () => host.listeners.delete(endpoint.port)};
      },
      createLog: async (path) => {
        host.files.set(path, new SimulatedFile());
        return this.#store(host, process, path);
      },
      continueLog: async (path, {sizeBytes}) => {
        const file = this.#file(host, path);
        file.truncate(sizeBytes);
        return this.#store(host, process, path);
      },
      readLog: async (path, {offset}) => this.#reader(host, path, offset),
      openArbiter: async () => new SimulatedArbiter(this, host, process),
      openConsole: () => new SimulatedConsole(this, host, process),
      openNic: async () => {
        throw new FtvmError('usage', 'the simulated world has no NICs');
      },
      control: async () => ({close: () => {}}),
      buildMachine: async (header) => ({machine: new ToyMachine(header.config.stepsPerTick), close: () => {}}),
    };
  }

  #file(host: Host, path: string): SimulatedFile {
    const file = host.files.get(path);
    if (file === undefined) throw new FtvmError('fileSystem', `${host.name} has no ${path}`);
    return file;
  }

  #store(host: Host, process: SimulatedProcess, path: string): LogStore {
    const file = this.#file(host, path);
    const {time, random} = this;
    let ready = 0;
    const done = (ms: number): Promise<void> => {
      // Writes complete in order.
      ready = Math.max(ready, time.nowMs + ms);
      return new Promise((resolve) => time.after(ready - time.nowMs, process, resolve));
    };
    return {
      async append(bytes) {
        const copy = Buffer.from(bytes);
        await done(0.05 + random.unit() * 0.5);
        file.append(copy);
      },
      sync: () => done(1 + random.unit() * 5),
      close: () => done(0),
      get sizeBytes() {
        return file.sizeBytes;
      },
    };
  }

  #reader(host: Host, path: string, offset: number): LogBytes {
    const file = this.#file(host, path);
    let at = offset;
    return {
      async next() {
        const bytes = file.read(at, 65_536);
        at += bytes.length;
        return bytes;
      },
      close: async () => {},
    };
  }

  async #connect(from: Host, process: SimulatedProcess, endpoint: Endpoint): Promise<Link> {
    const to = this.hosts.get(endpoint.host);
    await new Promise<void>((resolve) => this.time.after(2 * this.delay(), process, resolve));
    const onLink = to?.listeners.get(endpoint.port);
    const cut = this.cuts.has(`${from.name}|${to?.name}`) || this.cuts.has(`${to?.name}|${from.name}`);
    const reachable = to !== undefined && !cut && to.process.state !== 'dead';
    if (!reachable || onLink === undefined) throw new FtvmError('network', `${endpoint.host} does not answer`);
    const here = new SimulatedLink(this, from, process, `${to.name}`);
    const there = new SimulatedLink(this, to, to.process, `${from.name}`);
    here.other = there;
    there.other = here;
    this.time.after(this.delay(), to.process, () => onLink(there));
    return here;
  }
}

/** A file that survives its process. */
export class SimulatedFile {
  #bytes = new Uint8Array(4096);
  sizeBytes = 0;

  append(bytes: Uint8Array): void {
    const needed = this.sizeBytes + bytes.length;
    if (needed > this.#bytes.length) {
      const larger = new Uint8Array(2 * needed);
      larger.set(this.#bytes.subarray(0, this.sizeBytes));
      this.#bytes = larger;
    }
    this.#bytes.set(bytes, this.sizeBytes);
    this.sizeBytes = needed;
  }

  truncate(sizeBytes: number): void {
    this.sizeBytes = sizeBytes;
  }

  read(offset: number, limitBytes: number): Uint8Array {
    return this.#bytes.slice(offset, Math.min(offset + limitBytes, this.sizeBytes));
  }
}

class SimulatedLink implements Link {
  readonly peer: string;
  readonly host: Host;
  readonly #process: SimulatedProcess;
  readonly congested = false;
  other: SimulatedLink | undefined;
  readonly #network: SimulatedNetwork;
  readonly #messages = new MessageReader();
  #events: LinkEvents | undefined;
  #early: (() => void)[] = [];
  #paused: (() => void)[] | undefined;
  #closed = false;
  /** What was sent and has not arrived. */
  readonly #inFlight: {atMs: number; event: () => void}[] = [];
  /** When the last one sent will arrive. */
  #lastArrivalMs = 0;

  constructor(network: SimulatedNetwork, host: Host, process: SimulatedProcess, peer: string) {
    this.#network = network;
    this.host = host;
    this.#process = process;
    this.peer = peer;
    host.links.add(this);
  }

  start(events: LinkEvents): void {
    this.#events = events;
    for (const event of this.#early) event();
    this.#early = [];
  }

  send(message: Message): void {
    this.#transmit(encodeMessage(message));
  }

  pause(): void {
    this.#paused ??= [];
  }

  resume(): void {
    const waiting = this.#paused ?? [];
    this.#paused = undefined;
    for (const event of waiting) event();
  }

  end(): void {
    if (this.#closed) return;
    this.#forget();
    this.#deliver(() => this.other?.closeByPeer('the connection broke'));
  }

  destroy(): void {
    this.end();
  }

  /** The process behind this end is gone. */
  abandon(): void {
    this.#forget();
  }

  breakAfter(ms: number, reason: string): void {
    this.#network.time.after(ms, this.#process, () => this.closeByPeer(reason));
  }

  receive(bytes: Uint8Array): void {
    this.#happen(() => {
      this.#messages.push(bytes);
      for (
        let message = this.#messages.next();
        message !== undefined && !this.#closed;
        message = this.#messages.next()
      ) {
        this.#events?.message(message);
      }
    });
  }

  closeByPeer(reason: string): void {
    this.#happen(() => {
      if (this.#closed) return;
      this.#forget();
      this.#events?.closed(reason);
    });
  }

  #happen(event: () => void): void {
    if (this.#closed) return;
    if (this.#events === undefined) this.#early.push(event);
    else if (this.#paused !== undefined) this.#paused.push(event);
    else event();
  }

  #transmit(bytes: Uint8Array): void {
    if (this.#closed) return;
    const copy = Uint8Array.from(bytes);
    this.#deliver(() => this.other?.receive(copy));
  }

  /** In order; a cut holds everything back, as TCP does, until it heals. */
  #deliver(event: () => void): void {
    const {time} = this.#network;
    const {other} = this;
    if (other === undefined) return;
    this.#lastArrivalMs = Math.max(this.#lastArrivalMs + 0.001, time.nowMs + this.#network.delay());
    this.#inFlight.push({atMs: this.#lastArrivalMs, event});
    if (this.#inFlight.length === 1) this.#arriveLater(this.#lastArrivalMs);
  }

  #arriveLater(atMs: number): void {
    const {time, cuts} = this.#network;
    const {other} = this;
    if (other === undefined) return;
    time.after(Math.max(0, atMs - time.nowMs), other.#process, () => {
      if (cuts.has(`${this.host.name}|${other.host.name}`)) {
        this.#arriveLater(time.nowMs + RESEND_MS);
        return;
      }
      this.#inFlight.shift()?.event();
      const next = this.#inFlight.at(0);
      if (next !== undefined) this.#arriveLater(next.atMs);
    });
  }

  #forget(): void {
    this.#closed = true;
    this.host.links.delete(this);
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
    if (this.#process.state === 'dead') return;
    this.#host.shown.push({bytes: Uint8Array.from(bytes), atMs: this.#network.time.nowMs});
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

/** What the arbiter holds, and for whom it is out of reach. */
export class SimulatedStore {
  readonly claims = new Map<string, string>();
  readonly nonces = new Map<string, string>();
  readonly unreachableFor = new Set<string>();
  /** Chance that an answer comes too late though the claim was made. */
  lateAnswers = 0;
  /** A planted fault: everybody wins. */
  everybodyWins = false;
}

class SimulatedArbiter implements Arbiter {
  readonly spec = 'dir:/simulated';
  readonly #network: SimulatedNetwork;
  readonly #host: Host;
  readonly #process: SimulatedProcess;

  constructor(network: SimulatedNetwork, host: Host, process: SimulatedProcess) {
    this.#network = network;
    this.#host = host;
    this.#process = process;
  }

  async claim({lineageId, generation, claimant}: Claim): Promise<ClaimResult> {
    const {arbiter} = this.#network;
    await this.#roundTrip();
    const key = `${lineageId}.${generation}`;
    const holder = arbiter.claims.get(key) ?? claimant;
    arbiter.claims.set(key, holder);
    if (this.#network.random.unit() < arbiter.lateAnswers) throw unreachable('its answer came too late');
    await this.#roundTrip();
    return holder === claimant || arbiter.everybodyWins ? {kind: 'won'} : {kind: 'lost', by: holder};
  }

  async current(lineageId: string): Promise<{generation: number; claimant: string} | undefined> {
    await this.#roundTrip();
    let highest: {generation: number; claimant: string} | undefined;
    for (const [key, claimant] of this.#network.arbiter.claims) {
      const [id, generation] = key.split('.');
      if (id === lineageId && Number(generation) > (highest?.generation ?? 0))
        highest = {generation: Number(generation), claimant};
    }
    return highest;
  }

  async putNonce(lineageId: string, name: string, nonce: string): Promise<void> {
    await this.#roundTrip();
    this.#network.arbiter.nonces.set(`${lineageId}.${name}`, nonce);
  }

  async getNonce(lineageId: string, name: string): Promise<string | undefined> {
    await this.#roundTrip();
    return this.#network.arbiter.nonces.get(`${lineageId}.${name}`);
  }

  async close(): Promise<void> {}

  async #roundTrip(): Promise<void> {
    const {time, arbiter} = this.#network;
    await new Promise<void>((resolve) => time.after(this.#network.delay(), this.#process, resolve));
    if (!arbiter.unreachableFor.has(this.#host.name)) return;
    await new Promise<void>((resolve) => time.after(100, this.#process, resolve));
    throw unreachable('no answer');
  }
}

function unreachable(what: string): FtvmError {
  return new FtvmError('arbiterUnreachable', `the arbiter cannot be reached: ${what}`);
}
