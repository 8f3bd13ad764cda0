// The Debian guest that tests share: built once into the user's cache (some 10 s and 120 MB the first time, no time after
// that), or the test is skipped, loudly, where it cannot be built.

import {FtvmError} from '../../src/errors.ts';
import {DebianGuestBuild} from '../../src/guests/debian/build.ts';
import {type ResolvedGuest, resolveGuest} from '../../src/guests/manifest.ts';
import {skipUnless} from '../support/skip.ts';

/** Give the suite that calls it (from `before`) this much time. */
export const GUEST_BUILD_TIMEOUT_MS = 300_000;

/**
 * The guest with these packages (none: `debian`). `context` is mocha's `this`. Skips where apt, the keyring or the network is
 * missing; every other failure fails.
 */
export async function debianGuest(context: Mocha.Context, packages: readonly string[] = []): Promise<ResolvedGuest> {
  const build = new DebianGuestBuild({packages});
  try {
    if ((await build.existing()) === undefined) {
      for (const step of build.steps) await step.run(() => undefined);
    }
  } catch (error) {
    const isMissing = error instanceof FtvmError && (error.code === 'unsupportedHost' || error.code === 'network');
    skipUnless(context, !isMissing, `no Debian guest: ${(error as Error).message}`);
    throw error;
  }
  return resolveGuest(build.name);
}
