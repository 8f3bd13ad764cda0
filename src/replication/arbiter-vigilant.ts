// An arbiter that does not trust a store which has forgotten. A folder that is not mounted, a bucket that was made anew, a file server
// restored from a backup all look like a store in which nobody has claimed anything, and both sides would win there. So a generation is
// claimed only where its predecessor is known, and what was seen once must still be there.

import {type Arbiter, type Claim, type ClaimResult, unreachableArbiter} from './arbiter.ts';

type Known = {generation: number; claimant: string};

export class VigilantArbiter implements Arbiter {
  readonly #inner: Arbiter;
  /** The highest claim seen, by lineage. */
  readonly #seen = new Map<string, Known>();

  constructor(inner: Arbiter) {
    this.#inner = inner;
  }

  get spec(): string {
    return this.#inner.spec;
  }

  async claim(claim: Claim): Promise<ClaimResult> {
    const {lineageId, generation, claimant} = claim;
    const known = generation === 1 ? undefined : await this.current(lineageId);
    if ((known?.generation ?? 0) < generation - 1) throw this.#forgotten(generation - 1);
    const result = await this.#inner.claim(claim);
    this.#see(lineageId, {generation, claimant: result.kind === 'won' ? claimant : result.by});
    return result;
  }

  async current(lineageId: string): Promise<Known | undefined> {
    const known = await this.#inner.current(lineageId);
    const seen = this.#seen.get(lineageId);
    if (seen !== undefined && (known === undefined || known.generation < seen.generation)) {
      throw this.#forgotten(seen.generation);
    }
    if (known !== undefined) this.#see(lineageId, known);
    return known;
  }

  putNonce(lineageId: string, name: string, nonce: string): Promise<void> {
    return this.#inner.putNonce(lineageId, name, nonce);
  }

  getNonce(lineageId: string, name: string): Promise<string | undefined> {
    return this.#inner.getNonce(lineageId, name);
  }

  close(): Promise<void> {
    return this.#inner.close();
  }

  #see(lineageId: string, known: Known): void {
    const seen = this.#seen.get(lineageId);
    if (seen?.generation === known.generation && seen.claimant !== known.claimant) {
      throw unreachableArbiter(
        this.spec,
        `gave generation ${known.generation} to ${seen.claimant}, then to ${known.claimant}`,
        {
          hint: 'It has lost a claim. Find out which host is alive, and end the other.',
        },
      );
    }
    if (seen === undefined || known.generation > seen.generation) this.#seen.set(lineageId, known);
  }

  #forgotten(generation: number): Error {
    return unreachableArbiter(this.spec, `does not know generation ${generation} of this guest`, {
      hint: 'It is not the store the guest began with (is the folder mounted?), or it has forgotten. The guest stands still until it is back.',
    });
  }
}
