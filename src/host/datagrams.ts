// A UDP socket. Whatever goes wrong with a datagram, it is lost, and nothing more.

import {createSocket} from 'node:dgram';
import {lookup} from 'node:dns/promises';
import {FtvmError} from '../errors.ts';
import {type Endpoint, formatEndpoint} from './endpoint.ts';

export interface Datagrams {
  readonly port: number;
  send(datagram: Uint8Array, to: Endpoint): void;
  close(): void;
}

/** Port 0: any. Throws FtvmError `network`. */
export async function openDatagrams(
  at: Endpoint,
  onDatagram: (datagram: Uint8Array, from: Endpoint) => void,
): Promise<Datagrams> {
  // What a TCP socket makes of a name.
  const {address, family} = await lookup(at.host).catch((error: NodeJS.ErrnoException) => {
    throw cannotBind(at, error);
  });
  const socket = createSocket(family === 6 ? 'udp6' : 'udp4');
  socket.on('message', (datagram, {address: host, port}) => onDatagram(datagram, {host, port}));
  await new Promise<void>((resolve, reject) => {
    socket.once('error', (error: NodeJS.ErrnoException) => {
      socket.close();
      reject(cannotBind(at, error));
    });
    socket.bind(at.port, address, resolve);
  });
  socket.removeAllListeners('error').on('error', () => {});
  let open = true;
  return {
    port: socket.address().port,
    send(datagram, to) {
      if (open) socket.send(datagram, to.port, to.host, () => {});
    },
    close() {
      if (open) socket.close();
      open = false;
    },
  };
}

function cannotBind(at: Endpoint, error: NodeJS.ErrnoException): FtvmError {
  const reason = error.code === 'EADDRINUSE' ? 'the port is occupied' : error.message;
  return new FtvmError('network', `cannot receive datagrams at ${formatEndpoint(at)}: ${reason}`, {
    hint: 'Heartbeats use UDP at the same port as the channel. Choose another port, or end what has it.',
    details: {...at},
    cause: error,
  });
}
