// The arbiter: a store outside both hosts in which exactly one side wins each generation (DESIGN 7 "Split brain"). Whoever has not
// won must not go live. A claim is never deleted, and an answer is given only when it is certain: everything else is an error.

import {assert, FtvmError} from '../errors.ts';

/** One side's wish to be the one machine of a generation. */
export type Claim = {
  /** 32 hexadecimal digits. */
  lineageId: string;
  /** From 1. */
  generation: number;
  /** Unique for each process, a UUID. A restarted process is another claimant. */
  claimant: string;
};

export type ClaimResult = {kind: 'won'} | {kind: 'lost'; by: string};

export interface Arbiter {
  /** As the user wrote it, and as the log's header keeps it. */
  readonly spec: string;
  /**
   * Atomic test-and-set, once per generation; claiming again as the same claimant wins again. Throws FtvmError
   * `arbiterUnreachable` within a bounded time: then nothing is known, the claim may even have been made, and it must be asked again.
   */
  claim(claim: Claim): Promise<ClaimResult>;
  /**
   * The highest generation claimed and by whom; undefined when none was. It contains every claim that was won before the call: a
   * primary may rely on it to learn whether it is still the one. Throws FtvmError `arbiterUnreachable`.
   */
  current(lineageId: string): Promise<{generation: number; claimant: string} | undefined>;
  /**
   * Proof that both sides mean the same store: a nonce that one side puts and the other reads (DESIGN 7 "One eligible backup").
   * Putting again replaces it. `name`: letters, digits and hyphens. Throws FtvmError `arbiterUnreachable`.
   */
  putNonce(lineageId: string, name: string, nonce: string): Promise<void>;
  /** Undefined when there is none. Throws FtvmError `arbiterUnreachable`. */
  getNonce(lineageId: string, name: string): Promise<string | undefined>;
  /** Lets go of connections. Calls under way fail. */
  close(): Promise<void>;
}

/** Asserts that a claim is one: keys of the store are made of it. */
export function assertClaim({lineageId, generation, claimant}: Claim): void {
  assertLineage(lineageId);
  assert(Number.isSafeInteger(generation) && generation >= 1, `generation ${generation}`);
  assert(isClaimant(claimant), `claimant ${JSON.stringify(claimant)}`);
}

export function assertLineage(lineageId: string): void {
  assert(/^[0-9a-f]{32}$/.test(lineageId), `lineage ${JSON.stringify(lineageId)}`);
}

export function assertNonce(name: string, nonce: string): void {
  assert(/^[0-9A-Za-z-]{1,64}$/.test(name), `nonce name ${JSON.stringify(name)}`);
  assert(/^[0-9A-Za-z-]{1,128}$/.test(nonce), `nonce ${JSON.stringify(nonce)}`);
}

/** What may stand in the store as a claimant; anything else there is damage. */
export function isClaimant(text: string): boolean {
  return /^[0-9A-Za-z-]{1,64}$/.test(text);
}

/** `what` continues "the arbiter SPEC …". */
export function unreachableArbiter(
  spec: string,
  what: string,
  options: {hint?: string; cause?: unknown} = {},
): FtvmError {
  return new FtvmError('arbiterUnreachable', `the arbiter ${spec} ${what}`, {
    hint: 'The guest stands still until it answers.',
    details: {arbiter: spec},
    ...options,
  });
}
