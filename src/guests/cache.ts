// Where ftvm keeps what can be made again: downloads and built guests, below $XDG_CACHE_HOME/ftvm or ~/.cache/ftvm.

import {homedir} from 'node:os';
import {isAbsolute, join} from 'node:path';

/** The XDG specification says that a relative path is to be ignored. */
export function cacheFolder(environment: NodeJS.ProcessEnv = process.env): string {
  const base = environment.XDG_CACHE_HOME;
  return join(base !== undefined && isAbsolute(base) ? base : join(homedir(), '.cache'), 'ftvm');
}

/** One folder per built guest, with its manifest. */
export function builtGuestsFolder(): string {
  return join(cacheFolder(), 'guests');
}

/** The private apt's lists and archives. */
export function aptFolder(): string {
  return join(cacheFolder(), 'apt');
}
