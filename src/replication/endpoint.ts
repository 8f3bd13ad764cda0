// Endpoints of the channel, as users write them: HOST:PORT, [::1]:PORT, tcp://HOST:PORT.

import {FtvmError} from '../errors.ts';
import type {Endpoint} from '../host/endpoint.ts';

/** Throws FtvmError `usage`. */
export function parseEndpoint(text: string, option: string): Endpoint {
  const match = /^(?:tcp:\/\/)?(?:\[([0-9a-f:]+)\]|([^:[\]/]+)):(\d{1,5})$/i.exec(text);
  const port = match === null ? -1 : Number(match[3]);
  if (match === null || port > 65_535) {
    throw new FtvmError('usage', `${option} ${text}: not an address`, {hint: 'Write it like 127.0.0.1:7000.'});
  }
  const host = match[1] ?? match[2];
  return {host, port};
}
