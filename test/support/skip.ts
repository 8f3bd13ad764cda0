// Skipping, loudly: a test that this machine cannot run says why, the reporter lists the reasons at the end, and with
// FTVM_NO_SKIP=1 (CI) any skipped test fails the run. Never skip by a bare `it.skip` or an early return.

import {accessSync, constants} from 'node:fs';
import {delimiter, join} from 'node:path';

/** Where the reporter looks for the reason: on the skipped test or on a suite around it. */
export interface SkipMark {
  skipReason?: string;
}

/**
 * Skips the test, or from a `before` hook the whole suite, unless `condition` holds. `context` is mocha's `this`, so the
 * caller is a `function`, not an arrow. `reason` says what is missing and how to get it.
 */
export function skipUnless(context: Mocha.Context, condition: unknown, reason: string): asserts condition {
  if (condition) return;
  const runnable = context.runnable();
  const isHook = (runnable as {type?: string}).type === 'hook';
  const marked = (isHook ? runnable.parent : runnable) as SkipMark;
  marked.skipReason = reason;
  context.skip();
}

/** Whether a program of this name is in PATH. */
export function hasCommand(name: string): boolean {
  return (process.env.PATH ?? '').split(delimiter).some((folder) => {
    try {
      accessSync(join(folder, name), constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}
