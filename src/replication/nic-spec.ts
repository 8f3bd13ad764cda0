// --net SPEC: where a guest's network card is plugged in, as users write it: stream:unix:PATH, stream:tcp:HOST:PORT, each with ,mac=… if
// wanted. Where it is plugged in is a matter of the host and stands in no log; the card's MAC is a part of the machine, and does.

import {FtvmError} from '../errors.ts';
import type {Nic, NicAddress, StreamAddress} from '../host/nic/nic.ts';
import {parseEndpoint} from './endpoint.ts';

export type NicSpec = {text: string; address: NicAddress; mac: Uint8Array | undefined};

/** A sun_path of Linux, with its closing zero. */
const MAX_SOCKET_PATH_BYTES = 107;
/** An interface's name, without its closing zero (IFNAMSIZ). */
const MAX_INTERFACE_NAME_BYTES = 15;
const HINT =
  'Write it like stream:unix:/run/switch.sock, stream:tcp:127.0.0.1:9000 or tap:tap0; ,mac=52:54:00:12:34:56 may follow.';

/** Throws FtvmError `usage`. */
export function parseNicSpec(text: string): NicSpec {
  const match = /^(.*?)(?:,mac=(.*))?$/s.exec(text);
  const [, address = '', mac] = match ?? [];
  return {text, address: parseNicAddress(address, text), mac: mac === undefined ? undefined : parseMac(mac, text)};
}

/** unix:PATH or tcp:HOST:PORT. `what` is for the message. Throws FtvmError `usage`. */
export function parseStreamAddress(text: string, what: string): StreamAddress {
  const unix = /^unix:(.+)$/s.exec(text)?.[1];
  if (unix !== undefined) {
    if (Buffer.byteLength(unix) > MAX_SOCKET_PATH_BYTES) {
      throw new FtvmError('usage', `${what}: a socket's path has at most ${MAX_SOCKET_PATH_BYTES} bytes`);
    }
    return {kind: 'unix', path: unix};
  }
  const tcp = /^tcp:(.+)$/.exec(text)?.[1];
  if (tcp !== undefined) return {kind: 'tcp', endpoint: parseEndpoint(tcp, what)};
  throw new FtvmError('usage', `${what}: neither unix:PATH nor tcp:HOST:PORT`);
}

/** The MAC of NIC number `index` of a guest that was given none: locally administered, and fixed for its whole life. */
export function derivedMac(lineageId: Uint8Array, index: number): Uint8Array {
  const [a = 0, b = 0, c = 0, d = 0] = lineageId;
  return Uint8Array.of(0x52, 0x54, a, b, c, (d + index) & 0xff);
}

/** Plugs the NICs in, or none if one cannot be. Throws what `openNic` throws. */
export async function openNics(
  world: {openNic(address: NicAddress): Promise<Nic>},
  specs: readonly NicSpec[],
): Promise<Nic[]> {
  const nics: Nic[] = [];
  try {
    for (const {address} of specs) nics.push(await world.openNic(address));
    return nics;
  } catch (error) {
    for (const nic of nics) nic.close();
    throw error;
  }
}

/** Whether these are the NICs of a machine that a log describes. Throws FtvmError `usage` when they are not. */
export function matchNics(specs: readonly NicSpec[], nicCount: number): void {
  const given = specs.find(({mac}) => mac !== undefined);
  if (given !== undefined) {
    throw new FtvmError('usage', `--net ${given.text}: the MAC stands in the log`, {hint: 'Leave ,mac= out here.'});
  }
  if (specs.length === 0 || specs.length === nicCount) return;
  throw new FtvmError('usage', `--net is given ${specs.length} times, and the guest has ${nicCount} NICs`, {
    hint: 'Give one --net for each NIC, in order; without any, the guest goes on with its cables pulled.',
  });
}

function parseNicAddress(address: string, text: string): NicAddress {
  const stream = /^stream:(.*)$/s.exec(address)?.[1];
  if (stream !== undefined) return parseStreamAddress(stream, `--net ${text}`);
  const tap = /^tap:([^/\s]+)$/.exec(address)?.[1];
  if (tap !== undefined && Buffer.byteLength(tap) <= MAX_INTERFACE_NAME_BYTES) return {kind: 'tap', name: tap};
  throw new FtvmError('usage', `--net ${text}: not a place for a NIC`, {hint: HINT});
}

function parseMac(mac: string, text: string): Uint8Array {
  if (!/^[0-9a-f]{2}(:[0-9a-f]{2}){5}$/i.test(mac)) {
    throw new FtvmError('usage', `--net ${text}: ${mac} is not a MAC`, {hint: 'Write it like 52:54:00:12:34:56.'});
  }
  const bytes = Uint8Array.from(mac.split(':'), (byte) => Number.parseInt(byte, 16));
  if ((bytes[0] & 1) !== 0) {
    throw new FtvmError('usage', `--net ${text}: ${mac} is a group's address, not a card's`, {
      hint: 'The first byte must be even, as in 52:54:00:12:34:56.',
    });
  }
  return bytes;
}
