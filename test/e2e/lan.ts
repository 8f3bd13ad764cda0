// A switch with its uplink, hosts of a Redis guest on it, and clients outside: all without privileges.

import assert from 'node:assert/strict';
import {createConnection, createServer, type Socket} from 'node:net';
import {askSwitchStatus} from '../../src/replication/switch-control.ts';
import {FtvmProcess, TemporaryFolder} from '../support/ftvm.ts';
import {skipUnless} from '../support/skip.ts';
import {Connection, Counter} from './clients.ts';
import {BOOT_TIMEOUT_MS, Hosts} from './hosts.ts';

const GUEST_ADDRESS = '10.0.2.15';
const REDIS = 'redis-server --bind 0.0.0.0 --protected-mode no --dir /tmp --save 900 1000000 --appendonly no';
const APPEND = `ip=${GUEST_ADDRESS}::10.0.2.2:255.255.255.0 ftvm.run="${REDIS}"`;

/** A switch with its uplink, hosts on it, and a client outside. */
export class Lan implements AsyncDisposable {
  readonly #folder: TemporaryFolder;
  readonly #network: FtvmProcess;
  readonly #control: string;
  readonly #port: number;
  readonly hosts: Hosts;
  #client: Counter | undefined;

  private constructor(parts: {
    folder: TemporaryFolder;
    network: FtvmProcess;
    control: string;
    port: number;
    hosts: Hosts;
  }) {
    this.#folder = parts.folder;
    this.#network = parts.network;
    this.#control = parts.control;
    this.#port = parts.port;
    this.hosts = parts.hosts;
  }

  /** Skips, loudly, where there is no uplink. */
  static async start(context: Mocha.Context): Promise<Lan> {
    const folder = new TemporaryFolder();
    const socketPath = folder.join('lan.sock');
    const port = await freePort();
    const forward = `127.0.0.1:${port}:${GUEST_ADDRESS}:6379`;
    const network = new FtvmProcess([
      'switch',
      '--port',
      `unix:${socketPath}`,
      '--uplink',
      'passt',
      '--forward',
      forward,
    ]);
    const [said] = await network.waitFor(/plug in by|^error: .*\n.*/m, {stream: 'stderr'});
    const hosts = new Hosts({folder, places: [{net: `stream:unix:${socketPath}`, listen: '127.0.0.1:0'}]});
    const lan = new Lan({folder, network, control: `${socketPath}.control`, port, hosts});
    if (said.startsWith('error: no uplink')) await lan[Symbol.asyncDispose]();
    skipUnless(context, !said.startsWith('error: no uplink'), said);
    return lan;
  }

  get client(): Counter {
    this.#client ??= new Counter();
    return this.#client;
  }

  /** Until the client counts. */
  async boot(options: Parameters<Hosts['power']>[2] = {}): Promise<void> {
    await this.hosts.power('debian-redis-server', APPEND, options);
    await this.hosts.primary.waitFor(/Ready to accept connections/, {timeoutMs: BOOT_TIMEOUT_MS});
    this.client.start(await this.#dial());
  }

  /** Another connection to Redis. */
  async connect(): Promise<Connection> {
    return new Connection(await this.#dial());
  }

  /** What the guest has counted to, over a connection of its own. */
  async counter(): Promise<number> {
    using connection = await this.connect();
    return Number((await connection.line('INCRBY counter 0')).slice(1));
  }

  /** How often the switch has seen a MAC move. */
  async moves(): Promise<number> {
    return (await askSwitchStatus(this.#control)).moves;
  }

  async #dial(): Promise<Socket> {
    const socket = createConnection({host: '127.0.0.1', port: this.#port, noDelay: true});
    await new Promise<void>((resolve, reject) => socket.once('connect', resolve).once('error', reject));
    return socket;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#client?.close();
    await this.hosts[Symbol.asyncDispose]();
    await this.#network[Symbol.asyncDispose]();
    this.#folder[Symbol.dispose]();
  }
}

/** A TCP port that was free a moment ago. */
export async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  assert.ok(typeof address === 'object' && address !== null);
  return address.port;
}
