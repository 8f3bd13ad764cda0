// The test finisher: sifive,test0 at 0x100000, by which the guest ends the run or resets the machine. It has no state.
// Source: QEMU's hw/misc/sifive_test.c; Linux reaches it through `syscon-poweroff` and `syscon-reboot`.

import type {Ending} from '../config.ts';
import type {Device} from './device.ts';

const PASS = 0x5555;
const FAIL = 0x3333;
const RESET = 0x7777;

export class Finisher implements Device {
  readonly name = 'finisher';
  readonly #finish: (ending: Ending) => void;

  /** `finish` is called inside the store that asks for it; what `reset` comes to is the machine's to decide. */
  constructor(options: {finish: (ending: Ending) => void}) {
    this.#finish = options.finish;
  }

  reset(): void {}

  read(): number {
    return 0;
  }

  /** The low half is the command; for FAIL the high half is the code, which a 16-bit store leaves 0. */
  write(offset: number, sizeBytes: 1 | 2 | 4, value: number): void {
    if (offset !== 0 || sizeBytes === 1) return;
    switch (value & 0xffff) {
      case PASS:
        this.#finish({kind: 'poweroff', code: 0});
        break;
      case FAIL:
        this.#finish({kind: 'poweroff', code: sizeBytes === 4 ? value >>> 16 : 0});
        break;
      case RESET:
        this.#finish({kind: 'reset'});
        break;
    }
  }
}
