// The guest's time beside the host's, for a guest whose speed changes: a guest that has run ahead waits for that in its next sleep, so the
// lead must stay small whatever it did before, and corrections must be few.

import assert from 'node:assert/strict';
import type {MachineInterface} from '../../src/emulator/machine-interface.ts';
import {LiveClock} from '../../src/session/live-clock.ts';

const SLICE_MS = 4;
const TICKS_PER_MS = 10_000;

/** A guest and a host, with no more than the time between them. */
class Pair {
  nowNs = 0n;
  corrections = 0;
  /** Ahead of the host, at most. */
  longestLeadMs = 0;
  readonly machine = {position: 0n, mtime: 0n, stepsPerTick: 20};
  readonly clock = new LiveClock(
    {nowNs: () => this.nowNs, wallNs: () => this.nowNs},
    this.machine as unknown as MachineInterface,
  );

  /** The guest runs at so many million steps a second. */
  compute(ms: number, mips: number): void {
    for (let left = ms; left > 0; left -= SLICE_MS) {
      const steps = mips * 1000 * SLICE_MS;
      this.machine.position += BigInt(steps);
      this.machine.mtime += BigInt(Math.floor(steps / this.machine.stepsPerTick));
      this.nowNs += BigInt(SLICE_MS * 1_000_000);
      this.longestLeadMs = Math.max(this.longestLeadMs, Number(this.machine.mtime - this.clock.ticks()) / TICKS_PER_MS);
      const input = this.clock.correction(this.machine as unknown as MachineInterface);
      if (input === undefined) continue;
      assert.ok(input.ticks >= this.machine.mtime, 'time goes back');
      this.corrections += 1;
      this.machine.mtime = input.ticks;
      this.machine.stepsPerTick = input.stepsPerTick;
    }
  }

  /** The guest waits; its timer wakes it. */
  sleep(ms: number): void {
    const untilMs = this.clock.untilMs(this.machine.mtime + BigInt(ms * TICKS_PER_MS));
    this.machine.mtime += BigInt(ms * TICKS_PER_MS);
    this.nowNs += BigInt(Math.ceil(untilMs * 1e6));
    this.clock.idled(BigInt(Math.ceil(untilMs * 1e6)));
  }

  get leadMs(): number {
    return Number(this.machine.mtime - this.clock.ticks()) / TICKS_PER_MS;
  }
}

describe("the guest's clock", () => {
  it('is near the host’s while the guest computes, by few corrections', () => {
    const pair = new Pair();
    pair.compute(10_000, 1500);
    assert.ok(Math.abs(pair.leadMs) < 10, `${pair.leadMs} ms`);
    assert.ok(pair.corrections <= 8, `${pair.corrections} corrections`);
  });

  it('does not run ahead when a guest that was slow, or slept, is fast at once', () => {
    const pair = new Pair();
    for (let round = 0; round < 20; round += 1) {
      pair.compute(100, 30);
      pair.sleep(300);
      pair.compute(40, 100);
      pair.sleep(1000);
      pair.compute(600, 2000);
    }
    assert.ok(pair.longestLeadMs < 400, `${pair.longestLeadMs} ms ahead`);
    assert.ok(pair.leadMs < 50, `${pair.leadMs} ms ahead at the end`);
    assert.ok(pair.corrections < 20 * 10, `${pair.corrections} corrections`);
  });
});
