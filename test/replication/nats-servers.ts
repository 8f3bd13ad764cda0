// Real nats-server processes on loopback for the tests of the arbiter: one alone, or a cluster of three, that can be killed, stopped
// and started again with what they had stored. And a proxy in front of a server that swallows its answers.

import {type ChildProcess, spawn} from 'node:child_process';
import {writeFileSync} from 'node:fs';
import {connect, createServer, type Server, type Socket} from 'node:net';
import {TemporaryFolder} from '../support/ftvm.ts';

const HOST = '127.0.0.1';
const READY_TIMEOUT_MS = 15_000;

export class NatsServers implements AsyncDisposable {
  readonly ports: number[];
  readonly #folder = new TemporaryFolder();
  readonly #children: (ChildProcess | undefined)[] = [];
  readonly #configurations: string[] = [];

  private constructor(ports: number[]) {
    this.ports = ports;
  }

  /** `extra` is added to each server's configuration. */
  static async start(count: number, {extra = '', jetStream = true} = {}): Promise<NatsServers> {
    const ports = await freePorts(count * 2);
    const servers = new NatsServers(ports.slice(0, count));
    const routes = ports.slice(count).map((port) => `"nats://${HOST}:${port}"`);
    for (let index = 0; index < count; index++) {
      const path = servers.#folder.join(`${index}.conf`);
      const cluster = `cluster {name: test, listen: "${HOST}:${ports[count + index]}", routes: [${routes.join(', ')}]}`;
      writeFileSync(
        path,
        `listen: "${HOST}:${ports[index]}"
server_name: "n${index}"
${jetStream ? `jetstream {store_dir: "${servers.#folder.join(String(index))}", max_mem: 16M, max_file: 64M}` : ''}
${count > 1 ? cluster : ''}
${extra}
`,
      );
      servers.#configurations.push(path);
      servers.start(index);
    }
    await Promise.all(servers.ports.map((port) => untilListens(port)));
    return servers;
  }

  /** `nats://…` of all of them, or of those with these indices. */
  spec(indices = this.ports.map((_, index) => index)): string {
    return `nats://${indices.map((index) => `${HOST}:${this.ports[index]}`).join(',')}`;
  }

  start(index: number): void {
    const child = spawn('nats-server', ['-c', this.#configurations[index]!], {stdio: 'ignore'});
    child.on('error', () => {});
    this.#children[index] = child;
  }

  async kill(index: number): Promise<void> {
    const child = this.#children[index];
    this.#children[index] = undefined;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const ended = new Promise((resolve) => child.once('exit', resolve));
    child.kill('SIGKILL');
    await ended;
  }

  signal(index: number, signal: 'SIGSTOP' | 'SIGCONT'): void {
    this.#children[index]?.kill(signal);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#children.map((_, index) => this.kill(index)));
    this.#folder[Symbol.dispose]();
  }
}

/** Forwards to a server; while `isMute`, nothing comes back. */
export class MuteProxy implements AsyncDisposable {
  readonly port: number;
  isMute = false;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();

  private constructor(server: Server, port: number) {
    this.#server = server;
    this.port = port;
  }

  static async start(target: number): Promise<MuteProxy> {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, HOST, resolve));
    const proxy = new MuteProxy(server, (server.address() as {port: number}).port);
    server.on('connection', (client) => {
      const upstream = connect(target, HOST);
      for (const [one, other] of [
        [client, upstream],
        [upstream, client],
      ] as const) {
        proxy.#sockets.add(one);
        one.on('error', () => {});
        one.on('close', () => {
          proxy.#sockets.delete(one);
          other.destroy();
        });
      }
      client.on('data', (bytes) => upstream.write(bytes));
      upstream.on('data', (bytes) => proxy.isMute || client.write(bytes));
    });
    return proxy;
  }

  /** Breaks every connection. */
  cut(): void {
    for (const socket of this.#sockets) socket.destroy();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.cut();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}

export async function freePorts(count: number): Promise<number[]> {
  const servers = await Promise.all(
    Array.from(
      {length: count},
      () =>
        new Promise<Server>((resolve) => {
          const server = createServer().listen(0, HOST, () => resolve(server));
        }),
    ),
  );
  const ports = servers.map((server) => (server.address() as {port: number}).port);
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  return ports;
}

async function untilListens(port: number): Promise<void> {
  const deadlineMs = Date.now() + READY_TIMEOUT_MS;
  for (;;) {
    const socket = connect(port, HOST);
    const isOpen = await new Promise<boolean>((resolve) => {
      socket.once('connect', () => resolve(true));
      socket.once('error', () => resolve(false));
    });
    socket.destroy();
    if (isOpen) return;
    if (Date.now() > deadlineMs) throw new Error(`nats-server does not listen on port ${port}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
