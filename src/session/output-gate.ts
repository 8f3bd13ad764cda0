// The output gate: the Output Rule of the paper (section 2.2). An output leaves only when its record is released: written to our
// own log and, with a backup, acknowledged. The guest never waits for it.

import type {Output} from '../emulator/output.ts';
import {outputCount} from '../emulator/output.ts';
import type {Gate} from './session.ts';

/** Where outputs go: the console, NICs, or nowhere. */
export type OutputSink = (output: Output) => void;

export class OutputGate implements Gate {
  readonly #sink: OutputSink;
  readonly #allowedThrough: () => bigint;
  #held: Output[] = [];
  #releasedThrough: bigint;
  #emittedThrough: bigint;

  /**
   * `allowedThrough` is the ordinal of the last output that may leave now. Outputs up to `releasedThrough` have left already
   * (a follower that goes live) and are dropped.
   */
  constructor(options: {sink: OutputSink; allowedThrough: () => bigint; releasedThrough?: bigint}) {
    this.#sink = options.sink;
    this.#allowedThrough = options.allowedThrough;
    this.#releasedThrough = options.releasedThrough ?? 0n;
    this.#emittedThrough = this.#releasedThrough;
  }

  /** Ordinal of the last output really handed over. */
  get releasedThrough(): bigint {
    return this.#releasedThrough;
  }

  /** Ordinal of the last output that the guest emitted. */
  get emittedThrough(): bigint {
    return this.#emittedThrough;
  }

  hold(outputs: readonly Output[]): void {
    for (const output of outputs) {
      this.#emittedThrough = output.ordinal + BigInt(outputCount(output) - 1);
      const rest = after(output, this.#releasedThrough);
      if (rest !== undefined) this.#held.push(rest);
    }
  }

  /** What was emitted and not released, to be carried on by another gate. */
  takeHeld(): Output[] {
    const held = this.#held;
    this.#held = [];
    return held;
  }

  update(): void {
    const allowed = this.#allowedThrough();
    while (this.#held.length > 0 && this.#held[0].ordinal <= allowed) {
      const output = this.#held.shift() as Output;
      const now = upTo(output, allowed);
      const rest = after(output, allowed);
      if (rest !== undefined) this.#held.unshift(rest);
      this.#sink(now);
      this.#releasedThrough = now.ordinal + BigInt(outputCount(now) - 1);
    }
  }
}

/** The part of an output with ordinals above `ordinal`; undefined when there is none. */
function after(output: Output, ordinal: bigint): Output | undefined {
  if (output.ordinal > ordinal) return output;
  if (output.kind === 'packet') return undefined;
  const skipped = Number(ordinal - output.ordinal) + 1;
  if (skipped >= output.bytes.length) return undefined;
  return {...output, ordinal: ordinal + 1n, bytes: output.bytes.subarray(skipped)};
}

/** The part of an output with ordinals up to `ordinal`. */
function upTo(output: Output, ordinal: bigint): Output {
  if (output.kind === 'packet') return output;
  const count = Number(ordinal - output.ordinal) + 1;
  return count >= output.bytes.length ? output : {...output, bytes: output.bytes.subarray(0, count)};
}
