// What the guest has emitted and nobody has taken yet. Console bytes that follow each other are carried together; each has an
// ordinal of its own all the same.

import type {Output} from './output.ts';
import type {BigIntField, StateTable} from './state-table.ts';

export class OutputQueue {
  readonly #ordinal: BigIntField;
  #outputs: Output[] = [];
  #console: number[] = [];
  /** Whether a packet was emitted since this was last cleared. */
  urgent = false;

  constructor(state: StateTable) {
    this.#ordinal = state.u64('outputOrdinal');
  }

  /** Ordinal of the last output. */
  get ordinal(): bigint {
    return this.#ordinal.value;
  }

  consoleByte(byte: number): void {
    this.#ordinal.value += 1n;
    this.#console.push(byte);
  }

  packet(nic: number, bytes: Uint8Array): void {
    this.#closeRun();
    this.#ordinal.value += 1n;
    this.#outputs.push({kind: 'packet', ordinal: this.#ordinal.value, nic, bytes});
    this.urgent = true;
  }

  take(): Output[] {
    this.#closeRun();
    const outputs = this.#outputs;
    this.#outputs = [];
    return outputs;
  }

  #closeRun(): void {
    if (this.#console.length === 0) return;
    const bytes = Uint8Array.from(this.#console);
    this.#outputs.push({kind: 'console', ordinal: this.#ordinal.value - BigInt(bytes.length - 1), bytes});
    this.#console = [];
  }
}
