// A TCP relay between a primary and its backup on which the log is late, and which can be cut with all that is under way: what a host that
// dies takes along with it when the network between the hosts is not as quick as the loopback.

import {once} from 'node:events';
import {createConnection, createServer, type Server, type Socket} from 'node:net';

export class SlowChannel implements Disposable {
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  readonly #timers = new Set<NodeJS.Timeout>();
  readonly address: string;
  #held = false;

  private constructor(server: Server, target: {port: number; delayMs: number}) {
    this.#server = server;
    const {port} = server.address() as {port: number};
    this.address = `127.0.0.1:${port}`;
    server.on('connection', (near: Socket) => {
      const far = createConnection({host: '127.0.0.1', port: target.port, noDelay: true});
      near.setNoDelay(true);
      // What the primary says is late; what the backup says is not, so that the delay is counted once.
      far.on('data', (bytes: Buffer) => this.#after(target.delayMs, () => this.#held || near.write(bytes)));
      near.on('data', (bytes: Buffer) => this.#held || far.write(bytes));
      for (const [one, other] of [
        [near, far],
        [far, near],
      ]) {
        this.#sockets.add(one);
        one.on('error', () => {});
        one.on('close', () => this.#after(one === far ? target.delayMs : 0, () => this.#held || other.destroy()));
      }
    });
  }

  /** `delayMs`: how late the log reaches the backup. */
  static async open(target: {port: number; delayMs: number}): Promise<SlowChannel> {
    const server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    return new SlowChannel(server, target);
  }

  /** Nothing arrives any more, and nobody is told: as when packets are lost that carry the channel, and no others. */
  hold(): void {
    this.#held = true;
  }

  /** Nothing of what is under way arrives. */
  cut(): void {
    for (const timer of this.#timers) clearTimeout(timer);
    this.#server.close();
    for (const socket of this.#sockets) socket.destroy();
  }

  [Symbol.dispose](): void {
    this.cut();
  }

  #after(ms: number, action: () => void): void {
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      action();
    }, ms);
    this.#timers.add(timer);
  }
}
