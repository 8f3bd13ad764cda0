// Endpoints of the channel, as users write them: HOST:PORT, [::1]:PORT, tcp://HOST:PORT.

import {FtvmError} from '../errors.ts';
import type {Endpoint} from '../host/listener.ts';

/** Throws FtvmError `usage`. Only loopback: elsewhere a channel needs TLS, which is not spoken yet. */
export function parseEndpoint(text: string, option: string): Endpoint {
  const match = /^(?:tcp:\/\/)?(?:\[([0-9a-f:]+)\]|([^:[\]/]+)):(\d{1,5})$/i.exec(text);
  const port = match === null ? -1 : Number(match[3]);
  if (match === null || port > 65_535) {
    throw new FtvmError('usage', `${option} ${text}: not an address`, {hint: 'Write it like 127.0.0.1:7000.'});
  }
  const host = match[1] ?? match[2];
  if (!isLoopback(host)) {
    throw new FtvmError('usage', `${option} ${text}: the channel is not encrypted, so it stays on this host`, {
      hint: 'Use 127.0.0.1 or [::1], through an ssh tunnel from other hosts.',
    });
  }
  return {host, port};
}

function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || /^127(\.\d{1,3}){3}$/.test(host);
}
