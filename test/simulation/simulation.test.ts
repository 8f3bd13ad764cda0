// The replication code under a seed's faults, hundreds of lives long: see simulation.ts. test/simulation/soak.ts runs many more.

import assert from 'node:assert/strict';
import {CANARIES} from './canaries.ts';
import {ALL_FAULTS, type Fault} from './faults.ts';
import {simulate} from './simulation.ts';

const LIVES = 200;
const ROUNDS = 3;
/** A planted fault must be found within so many lives. */
const CANARY_LIVES = 200;

describe('Simulated lives', function () {
  this.timeout(300_000);

  it('both sides cut from each other, the arbiter reachable: exactly one lives', async () => {
    // One that is cut off is removed, or takes over: somebody always goes on.
    assert.equal(await live(['cut', 'cutOneWay'], {firstSeed: 1}), 0);
  });

  it('the arbiter out of reach as well: both wait; it returns: exactly one lives', async () => {
    assert.equal(await live(['nobodyReached', 'cutAndArbiterAway'], {firstSeed: 1001}), 0);
  });

  it('crashes, pauses, cuts, slowness, an arbiter that is away or late, in every order', async () => {
    const rescued = await live(ALL_FAULTS, {firstSeed: 2001});
    assert.ok(rescued > 0 && rescued < LIVES / 2, `in ${rescued} lives a person had to promote a log`);
  });

  it('the same seed gives the same life', async () => {
    for (const seed of [1, 2, 3]) {
      const lives = [];
      for (let repetition = 0; repetition < 2; repetition += 1)
        lives.push(await simulate({seed, faults: ALL_FAULTS, rounds: ROUNDS}));
      assert.deepEqual(lives[0], lives[1]);
    }
  });

  for (const canary of CANARIES) {
    it(`canary: ${canary.name}`, async () => {
      const {name, faults, plant, prepare} = canary;
      const takeOut = plant?.();
      try {
        for (let seed = 1; seed <= CANARY_LIVES; seed += 1) {
          const {violations} = await simulate({seed, faults, rounds: ROUNDS, ...(prepare && {prepare})});
          if (violations.length > 0) return;
        }
      } finally {
        takeOut?.();
      }
      assert.fail(`"${name}" was not found in ${CANARY_LIVES} lives`);
    });
  }
});

/** Resolves to the number of lives in which nobody was left who could go on, and a person promoted a log. */
async function live(faults: readonly Fault[], {firstSeed}: {firstSeed: number}): Promise<number> {
  let rescued = 0;
  for (let seed = firstSeed; seed < firstSeed + LIVES; seed += 1) {
    const {violations, history, rescued: wasRescued} = await simulate({seed, faults, rounds: ROUNDS});
    if (wasRescued) rescued += 1;
    assert.deepEqual(violations, [], `seed ${seed}, faults ${faults.join(', ')}:\n${history.join('\n')}`);
  }
  return rescued;
}
