// How users name an arbiter: `dir:PATH`, or `nats://HOST:PORT[,HOST:PORT…]`. Opening checks the form only; whether the store can be
// reached is seen by asking it, as it may become unreachable at any time anyway.

import {isAbsolute} from 'node:path';
import {FtvmError} from '../errors.ts';
import type {Arbiter} from './arbiter.ts';
import {VigilantArbiter} from './arbiter-vigilant.ts';

export type ArbiterSpec = {kind: 'directory'; path: string} | {kind: 'nats'; servers: string[]};

/** PATH_MAX of Linux, and the limit of the log's header. */
const SPEC_LIMIT = 4096;
const SERVERS_LIMIT = 16;
const NATS_DEFAULT_PORT = 4222;

const FORMS = 'Write dir:/ABSOLUTE/PATH of a folder that both hosts share, or nats://HOST:PORT,HOST:PORT,HOST:PORT.';

/** Throws FtvmError `usage` when `spec` names no arbiter. What the arbiter imports is loaded only here. */
export async function openArbiter(spec: string): Promise<Arbiter> {
  const parsed = parseArbiterSpec(spec);
  switch (parsed.kind) {
    case 'directory': {
      const {DirectoryArbiter} = await import('./arbiter-directory.ts');
      return new VigilantArbiter(new DirectoryArbiter({spec, path: parsed.path}));
    }
    case 'nats': {
      const {NatsArbiter} = await import('./arbiter-nats.ts');
      return new VigilantArbiter(new NatsArbiter({spec, servers: parsed.servers}));
    }
  }
}

/** Throws FtvmError `usage`. */
export function parseArbiterSpec(spec: string): ArbiterSpec {
  if (spec.length > SPEC_LIMIT) throw wrong(`${spec.slice(0, 40)}…`, `it is longer than ${SPEC_LIMIT} characters`);
  if (spec.startsWith('dir:')) return {kind: 'directory', path: directoryPath(spec)};
  if (spec.startsWith('nats://')) return {kind: 'nats', servers: natsServers(spec)};
  throw wrong(spec, 'it begins neither with dir: nor with nats://');
}

function directoryPath(spec: string): string {
  const path = spec.slice('dir:'.length);
  if (path === '') throw wrong(spec, 'the path is missing');
  // The header of the log carries the specification to other hosts and other working directories.
  if (!isAbsolute(path)) throw wrong(spec, 'the path is not absolute');
  if (path.includes('\0')) throw wrong(spec, 'the path contains a zero byte');
  return path;
}

function natsServers(spec: string): string[] {
  const servers = spec
    .slice('nats://'.length)
    .split(',')
    .map((server) => natsServer(spec, server.replace(/^nats:\/\//, '')));
  if (servers.length > SERVERS_LIMIT) throw wrong(spec, `it names more than ${SERVERS_LIMIT} servers`);
  return servers;
}

function natsServer(spec: string, server: string): string {
  // The specification is kept in the log's header, which is no place for a password.
  if (server.includes('@')) {
    throw wrong(spec.replace(/[^/,]*@/g, '…@'), 'user names and passwords do not belong into it', {
      hint: 'Give them in the environment: NATS_USER and NATS_PASSWORD, or NATS_CREDS.',
    });
  }
  const match = /^(?:\[([0-9a-f:.]+)\]|([0-9a-z](?:[0-9a-z.-]*[0-9a-z])?))(?::(\d{1,5}))?$/i.exec(server);
  if (match === null) throw wrong(spec, `"${server}" is not HOST:PORT`);
  const port = match[3] === undefined ? NATS_DEFAULT_PORT : Number(match[3]);
  if (port < 1 || port > 65_535) throw wrong(spec, `there is no port ${port}`);
  return match[1] === undefined ? `${match[2]}:${port}` : `[${match[1]}]:${port}`;
}

function wrong(spec: string, why: string, options: {hint?: string} = {}): FtvmError {
  return new FtvmError('usage', `--arbiter ${spec}: ${why}`, {hint: FORMS, details: {arbiter: spec}, ...options});
}
