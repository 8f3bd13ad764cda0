// The NICs that this host can offer, by address.

import type {Nic, NicAddress} from './nic.ts';
import {type NicOptions, StreamNic} from './stream-nic.ts';

/** Throws FtvmError: `usage` for what this host must not do, `network` and `unsupportedHost` for what it cannot. */
export async function openNic(address: NicAddress, options: NicOptions): Promise<Nic> {
  if (address.kind !== 'tap') return StreamNic.open(address, options);
  const {TapNic} = await import('./tap-nic.ts');
  return new TapNic(address.name, options);
}
