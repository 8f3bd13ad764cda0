// The NICs that this host can offer, by address.

import {FtvmError} from '../../errors.ts';
import type {Nic, NicAddress} from './nic.ts';
import {StreamNic} from './stream-nic.ts';

/** `note` hears when a switch goes and comes back. Throws FtvmError `unsupportedHost` for what this host cannot do. */
export async function openNic(address: NicAddress, note: (text: string) => void): Promise<Nic> {
  if (address.kind !== 'tap') return StreamNic.open(address, note);
  throw new FtvmError('unsupportedHost', `tap:${address.name}: this version of ftvm has no TAP`, {
    hint: 'Use ftvm switch, and --net stream:unix:PATH.',
  });
}
