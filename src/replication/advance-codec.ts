// An `advance` in few bytes, as it is said two hundred times a second: each number is the difference to the advance before it on the same
// connection, in LEB128 (seven bits a byte, the lowest first), and zeros at the end are left out.
//
//   run         steps from `position` to `until`
//   releases    outputs that have left since
//   steps       from where the last one ended to `position`, zigzag: 2n, or 2|n| - 1 where the run before stopped early

import {assert, FtvmError} from '../errors.ts';
import {MAX_U63} from '../logformat/limits.ts';
import type {Advance} from '../session/record-queue.ts';

const NUMBER_LIMIT_BYTES = 10;
const NUMBERS = 3;
/** Of one advance. */
export const MAX_ADVANCE_BYTES = NUMBERS * NUMBER_LIMIT_BYTES;

const START: Advance = {position: 0n, until: 0n, releasedThrough: 0n};

export class AdvanceEncoder {
  #last = START;

  encode(advance: Advance): Uint8Array {
    const {position, until, releasedThrough} = advance;
    assert(isAfter(advance, this.#last), `an advance to ${position} after one to ${this.#last.position}`);
    const steps = position - this.#last.until;
    const numbers = [
      until - position,
      releasedThrough - this.#last.releasedThrough,
      steps < 0n ? -2n * steps - 1n : 2n * steps,
    ];
    while (numbers.at(-1) === 0n) numbers.pop();
    this.#last = advance;
    return Uint8Array.from(numbers.flatMap(lowestFirst));
  }
}

export class AdvanceDecoder {
  #last = START;

  /** Throws FtvmError `network` for what no encoder says. */
  decode(bytes: Uint8Array): Advance {
    const [run = 0n, releases = 0n, zigzag = 0n, ...others] = numbersIn(bytes);
    const steps = zigzag % 2n === 0n ? zigzag / 2n : -(zigzag + 1n) / 2n;
    const position = this.#last.until + steps;
    const advance = {position, until: position + run, releasedThrough: this.#last.releasedThrough + releases};
    if (others.length > 0 || !isAfter(advance, this.#last)) throw malformed();
    this.#last = advance;
    return advance;
  }
}

/** It goes back nowhere, and not beyond the last position that there is. */
function isAfter({position, until, releasedThrough}: Advance, last: Advance): boolean {
  return (
    position >= last.position &&
    until >= position &&
    until <= MAX_U63 &&
    releasedThrough >= last.releasedThrough &&
    releasedThrough <= MAX_U63
  );
}

function lowestFirst(number: bigint): number[] {
  const bytes: number[] = [];
  for (let rest = number; ; rest >>= 7n) {
    const low = Number(rest & 0x7fn);
    if (rest < 0x80n) return [...bytes, low];
    bytes.push(low | 0x80);
  }
}

function numbersIn(bytes: Uint8Array): bigint[] {
  const numbers: bigint[] = [];
  let number = 0n;
  let length = 0;
  for (const byte of bytes) {
    number |= BigInt(byte & 0x7f) << BigInt(7 * length);
    length = byte < 0x80 ? 0 : length + 1;
    if (length >= NUMBER_LIMIT_BYTES) throw malformed();
    if (length > 0) continue;
    numbers.push(number);
    number = 0n;
  }
  if (length > 0) throw malformed();
  return numbers;
}

function malformed(): FtvmError {
  return new FtvmError('network', 'the peer sent an advance that cannot be', {
    hint: 'It does not speak this channel protocol; both sides need the same ftvm.',
  });
}
