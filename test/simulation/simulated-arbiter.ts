// The arbiter's store, and each process's way to it: it can be out of reach, slow, or answer too late though the claim was made.

import {FtvmError} from '../../src/errors.ts';
import type {Arbiter, Claim, ClaimResult} from '../../src/replication/arbiter.ts';
import type {SimulatedProcess} from './virtual-time.ts';

/** After so long a silence the arbiter is said to be out of reach. */
const TIMEOUT_MS = 100;

/** Faults that a test plants; the checks must find them. */
export type PlantedFault =
  | 'everybodyWins'
  /** `current` tells everybody that he is the primary. */
  | 'everybodyIsConfirmed'
  /** A primary that removes its backup is told that it won, and nothing is noted. */
  | 'removalIsFree';

export class ArbiterStore {
  /** `lineage.generation` → claimant. */
  readonly claims = new Map<string, string>();
  readonly nonces = new Map<string, string>();
  /** Hosts that cannot reach it. */
  readonly unreachableFor = new Set<string>();
  /** Chance that an answer comes too late though the claim was made. */
  lateAnswers = 0;
  /** Longest additional delay of a question or an answer. */
  slownessMs = 0;
  readonly planted = new Set<PlantedFault>();

  /** The highest generation, and who holds it. */
  highest(lineageId?: string): {generation: number; claimant: string} | undefined {
    let highest: {generation: number; claimant: string} | undefined;
    for (const [key, claimant] of this.claims) {
      const [id, generation] = key.split('.');
      if ((lineageId === undefined || id === lineageId) && Number(generation) > (highest?.generation ?? 0))
        highest = {generation: Number(generation), claimant};
    }
    return highest;
  }

  /** The highest generation that was given to this process; 0: none. */
  heldBy(processName: string): number {
    let held = 0;
    for (const [key, claimant] of this.claims) {
      if (claimant.startsWith(`${processName}-`)) held = Math.max(held, Number(key.split('.')[1]));
    }
    return held;
  }
}

export type ArbiterParts = {
  store: ArbiterStore;
  hostName: string;
  processName: string;
  after(ms: number, run: () => void): void;
  process: SimulatedProcess;
  delayMs(): number;
  unit(): number;
};

export class SimulatedArbiter implements Arbiter {
  readonly spec = 'dir:/simulated';
  readonly #parts: ArbiterParts;

  constructor(parts: ArbiterParts) {
    this.#parts = parts;
  }

  async claim({lineageId, generation, claimant}: Claim): Promise<ClaimResult> {
    const {store, processName, unit} = this.#parts;
    await this.#way();
    if (store.planted.has('removalIsFree') && store.heldBy(processName) > 0) return {kind: 'won'};
    const key = `${lineageId}.${generation}`;
    const holder = store.claims.get(key) ?? claimant;
    store.claims.set(key, holder);
    if (unit() < store.lateAnswers) throw unreachable('its answer came too late');
    await this.#way();
    return holder === claimant || store.planted.has('everybodyWins') ? {kind: 'won'} : {kind: 'lost', by: holder};
  }

  async current(lineageId: string): Promise<{generation: number; claimant: string} | undefined> {
    const {store, processName} = this.#parts;
    await this.#way();
    const highest = store.highest(lineageId);
    await this.#way();
    if (!store.planted.has('everybodyIsConfirmed')) return highest;
    const own = [...store.claims.values()].find((claimant) => claimant.startsWith(`${processName}-`));
    return own === undefined ? highest : {generation: store.heldBy(processName), claimant: own};
  }

  async putNonce(lineageId: string, name: string, nonce: string): Promise<void> {
    await this.#way();
    this.#parts.store.nonces.set(`${lineageId}.${name}`, nonce);
  }

  async getNonce(lineageId: string, name: string): Promise<string | undefined> {
    await this.#way();
    return this.#parts.store.nonces.get(`${lineageId}.${name}`);
  }

  async close(): Promise<void> {}

  /** To the store, or back. */
  async #way(): Promise<void> {
    const {store, hostName, after, delayMs, unit} = this.#parts;
    const ms = delayMs() + unit() * store.slownessMs;
    await new Promise<void>((resolve) => after(Math.min(ms, TIMEOUT_MS), resolve));
    if (ms > TIMEOUT_MS) throw unreachable('its answer came too late');
    if (!store.unreachableFor.has(hostName)) return;
    await new Promise<void>((resolve) => after(TIMEOUT_MS, resolve));
    throw unreachable('no answer');
  }
}

function unreachable(what: string): FtvmError {
  return new FtvmError('arbiterUnreachable', `the arbiter cannot be reached: ${what}`);
}
