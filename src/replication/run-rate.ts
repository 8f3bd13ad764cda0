// How often followers are told of a run that begins. A guest that wakes for moments makes thousands of runs a second, of which each would
// cost both hosts a wake-up and the channel some bytes: 250 a second, and a few in a row.

const INTERVAL_MS = 4;
const BURST = 4;

export class RunRate {
  #allowance = BURST;
  #lastMs = 0;

  allows(nowMs: number): boolean {
    this.#allowance = Math.min(BURST, this.#allowance + (nowMs - this.#lastMs) / INTERVAL_MS);
    this.#lastMs = nowMs;
    if (this.#allowance < 1) return false;
    this.#allowance -= 1;
    return true;
  }
}
