// The NICs that this host can offer, by address.

import {FtvmError} from '../../errors.ts';
import type {Nic, NicAddress} from './nic.ts';
import {type NicOptions, StreamNic} from './stream-nic.ts';

/** Throws FtvmError `unsupportedHost` for what this host cannot do, `usage` for what it must not. */
export async function openNic(address: NicAddress, options: NicOptions): Promise<Nic> {
  if (address.kind !== 'tap') return StreamNic.open(address, options);
  throw new FtvmError('unsupportedHost', `tap:${address.name}: this version of ftvm has no TAP`, {
    hint: 'Use ftvm switch, and --net stream:unix:PATH.',
  });
}
