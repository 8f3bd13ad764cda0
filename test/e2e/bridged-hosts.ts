// Two hosts and a client, each in a network namespace of its own, with a bridge between them: the wiring of a real pair. On each host the
// guest's TAP interface is bridged to the cable; the hosts speak to each other, and to the arbiter, over the same network.
//
//   h1: tap0 ─ lan ─ eth0 ═══ h1 ┐
//   h2: tap0 ─ lan ─ eth0 ═══ h2 ├ lan (sw)        10.77.0.0/24: client .1, guest .2, sw .10, h1 .11, h2 .12
//   client:          eth0 ═══ client ┘

import {randomBytes} from 'node:crypto';
import {writeFileSync} from 'node:fs';
import type {Socket} from 'node:net';
import {setTimeout as sleep} from 'node:timers/promises';
import {NetworkNamespace} from '../support/network-namespace.ts';
import type {Place} from './hosts.ts';

export const GUEST_ADDRESS = '10.77.0.2';
export const GUEST_MAC = '52:54:00:12:34:56';
const BRIDGE_ADDRESS = '10.77.0.10';
/** For the kernel command line. */
export const GUEST_IP = `ip=${GUEST_ADDRESS}::10.77.0.1:255.255.255.0`;
const CHANNEL_PORT = 7000;
const REDIS_PORT = 6379;
const NATS_PORT = 4222;

export type HostName = 'h1' | 'h2';

export class BridgedHosts implements Disposable {
  readonly bridge: NetworkNamespace;
  readonly h1: NetworkNamespace;
  readonly h2: NetworkNamespace;
  readonly client: NetworkNamespace;
  readonly #all: DisposableStack;
  #forwarding = '';

  constructor() {
    using all = new DisposableStack();
    const add = (role: string): NetworkNamespace => all.use(new NetworkNamespace(role));
    this.bridge = add('sw');
    this.h1 = add('h1');
    this.h2 = add('h2');
    this.client = add('client');
    // Without spanning tree and delay a port forwards at once.
    this.bridge.ip(`link add lan type bridge forward_delay 0; addr add ${BRIDGE_ADDRESS}/24 dev lan; link set lan up`);
    for (const [index, name] of (['h1', 'h2'] as const).entries()) {
      this.#plug(this[name], name);
      this[name].ip(`link add lan type bridge forward_delay 0; addr add 10.77.0.${11 + index}/24 dev lan`);
      this[name].ip('tuntap add dev tap0 mode tap; link set tap0 master lan; link set eth0 master lan');
      this[name].ip('link set tap0 up; link set lan up');
    }
    this.#plug(this.client, 'client');
    this.client.ip('addr add 10.77.0.1/24 dev eth0');
    const monitor = this.bridge.spawn(['bridge', 'monitor', 'fdb']);
    all.defer(() => monitor.kill());
    monitor.stdout?.on('data', (chunk) => {
      this.#forwarding += chunk;
    });
    this.#all = all.move();
  }

  /** For `Hosts`: the first host is in h1, the next in h2, and so on. The secret lies in this folder. */
  places(folder: {join(name: string): string}, flags: readonly string[] = []): Place[] {
    const secretPath = folder.join('pair.secret');
    writeFileSync(secretPath, randomBytes(32), {mode: 0o600});
    return ([this.h1, this.h2] as const).map(({prefix}, index) => ({
      prefix,
      net: 'tap:tap0',
      listen: `10.77.0.${11 + index}:${CHANNEL_PORT}`,
      flags: ['--secret-file', secretPath, ...flags],
    }));
  }

  /** An arbiter on the bridge's host; what to call it. What it stores lies in this folder. */
  async startNats(folder: {join(name: string): string}): Promise<string> {
    const words = ['-a', BRIDGE_ADDRESS, '-p', String(NATS_PORT), '--jetstream', '--store_dir', folder.join('nats')];
    const server = this.bridge.spawn(['nats-server', ...words]);
    this.#all.defer(() => server.kill());
    for (let attempt = 0; ; attempt += 1) {
      try {
        (await this.bridge.connect({host: BRIDGE_ADDRESS, port: NATS_PORT})).destroy();
        return `nats://${BRIDGE_ADDRESS}:${NATS_PORT}`;
      } catch (error) {
        if (attempt === 200) throw error;
        await sleep(50);
      }
    }
  }

  /** A connection of the client's to Redis in the guest. */
  connect(): Promise<Socket> {
    return this.client.connect({host: GUEST_ADDRESS, port: REDIS_PORT});
  }

  /** Drops everything from and to a host. */
  cut(name: HostName): void {
    const hook = (direction: string): string =>
      `chain ${direction} { type filter hook ${direction} device "${name}" priority 0; policy drop; }`;
    this.bridge.run(['nft', '-f', '-'], `table netdev cut-${name} {\n${hook('ingress')}\n${hook('egress')}\n}`);
  }

  restore(name: HostName): void {
    this.bridge.run(['nft', 'delete', 'table', 'netdev', `cut-${name}`]);
  }

  /** The bridge's ports at which it has seen the guest, one after another. */
  get guestPorts(): string[] {
    const pattern = new RegExp(`^(?:\\[[^\\]]*\\])?${GUEST_MAC} dev (\\S+)`, 'gm');
    const ports = [...this.#forwarding.matchAll(pattern)].map(([, port]) => port);
    return ports.filter((port, index) => port !== ports[index - 1]);
  }

  [Symbol.dispose](): void {
    this.#all.dispose();
  }

  #plug(host: NetworkNamespace, port: string): void {
    this.bridge.ip(`link add ${port} type veth peer name eth0 netns ${host.name}`);
    this.bridge.ip(`link set ${port} master lan; link set ${port} up`);
    host.ip('link set eth0 up');
  }
}
