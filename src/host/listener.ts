// TCP: listening for and connecting to channels.

import {createConnection, createServer, type Server, type Socket} from 'node:net';
import {FtvmError} from '../errors.ts';

export type Endpoint = {host: string; port: number};

export class Listener {
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();

  private constructor(server: Server) {
    this.#server = server;
  }

  /** Throws FtvmError `network` when the address cannot be had. */
  static async open(endpoint: Endpoint, onConnection: (socket: Socket, peer: string) => void): Promise<Listener> {
    const server = createServer({noDelay: true, keepAlive: true});
    const listener = new Listener(server);
    await new Promise<void>((resolve, reject) => {
      server.once('error', (error: NodeJS.ErrnoException) => reject(cannotListen(endpoint, error)));
      server.listen(endpoint.port, endpoint.host, resolve);
    });
    server.on('connection', (socket) => {
      listener.#sockets.add(socket);
      socket.on('close', () => listener.#sockets.delete(socket));
      onConnection(socket, `${socket.remoteAddress}:${socket.remotePort}`);
    });
    return listener;
  }

  /** The port that was given, or chosen for port 0. */
  get port(): number {
    const address = this.#server.address();
    return typeof address === 'object' && address !== null ? address.port : 0;
  }

  /** Stops listening, and breaks what is still open. */
  close(): void {
    this.#server.close();
    for (const socket of this.#sockets) socket.destroySoon();
  }
}

/** Throws FtvmError `network` when nobody listens there. */
export async function connectTo(endpoint: Endpoint, options: {timeoutMs: number}): Promise<Socket> {
  const socket = createConnection({...endpoint, noDelay: true, keepAlive: true});
  const timer = setTimeout(() => socket.destroy(new Error('no answer')), options.timeoutMs);
  try {
    await new Promise<void>((resolve, reject) => {
      socket.once('connect', resolve);
      socket.once('error', reject);
    });
    return socket;
  } catch (error) {
    const refused = (error as NodeJS.ErrnoException).code === 'ECONNREFUSED';
    throw new FtvmError(
      'network',
      `cannot connect to ${formatEndpoint(endpoint)}: ${refused ? 'nobody listens there' : (error as Error).message}`,
      {
        hint: 'Start the primary with: ftvm record … --listen HOST:PORT',
        details: {...endpoint},
      },
    );
  } finally {
    clearTimeout(timer);
  }
}

export function formatEndpoint({host, port}: Endpoint): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}

function cannotListen(endpoint: Endpoint, error: NodeJS.ErrnoException): FtvmError {
  const occupied = error.code === 'EADDRINUSE';
  return new FtvmError(
    'network',
    `cannot listen on ${formatEndpoint(endpoint)}: ${occupied ? 'the port is occupied' : error.message}`,
    {
      hint: occupied ? 'Choose another port, or end what listens there.' : 'Check the address.',
      details: {...endpoint},
    },
  );
}
