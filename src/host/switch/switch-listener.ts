// Where guests plug into a switch: a Unix socket, or a TCP port. Every connection is a port of its own, so that one address serves as many
// guests as there are, and a backup as well as the primary before it.

import {existsSync, unlinkSync} from 'node:fs';
import {createConnection, createServer, type Socket} from 'node:net';
import {FtvmError} from '../../errors.ts';
import {formatEndpoint} from '../endpoint.ts';
import type {StreamAddress} from '../nic/nic.ts';
import {listenSecurely} from '../secure-stream.ts';

export type SwitchListener = {
  /** As `--net stream:…` wants it. */
  address: string;
  close(): void;
};

/** Throws FtvmError `network` or `fileSystem` when the address cannot be had, `usage` for TCP beyond the loopback without a secret. */
export async function listenForGuests(
  address: StreamAddress,
  options: {
    secret: Uint8Array | undefined;
    onGuest(socket: Socket, peer: string): void;
    note: (text: string) => void;
  },
): Promise<SwitchListener> {
  const {onGuest, note, secret} = options;
  if (address.kind === 'tcp') {
    const listener = await listenSecurely(address.endpoint, {
      secret,
      onConnection: onGuest,
      onStranger: ({peer, reason}) => note(`stranger refused: ${peer}: ${reason}`),
    });
    const {host} = address.endpoint;
    return {address: `tcp:${formatEndpoint({host, port: listener.port})}`, close: () => listener.close()};
  }
  const {path} = address;
  await removeDead(path);
  const server = createServer();
  const sockets = new Set<Socket>();
  let count = 0;
  server.on('connection', (socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
    count += 1;
    onGuest(socket, `${path}#${count}`);
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error) => reject(new FtvmError('fileSystem', `cannot listen at ${path}: ${error.message}`)));
    server.listen(path, resolve);
  });
  return {
    address: `unix:${path}`,
    close() {
      server.close();
      for (const socket of sockets) socket.destroySoon();
    },
  };
}

/** The socket of a switch that was killed stays behind; that of one that lives is not touched. */
async function removeDead(path: string): Promise<void> {
  if (!existsSync(path)) return;
  const socket = createConnection({path});
  const failure = await new Promise<string | undefined>((resolve) => {
    socket.once('connect', () => resolve(undefined));
    socket.once('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message));
  });
  socket.destroy();
  if (failure === undefined) throw new FtvmError('alreadyRunning', `${path}: somebody listens there already`);
  if (failure !== 'ECONNREFUSED')
    throw new FtvmError('fileSystem', `${path} exists and is no socket that can be replaced`);
  unlinkSync(path);
}
