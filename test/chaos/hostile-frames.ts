// Frames that no honest peer sends, made from ones that it does: cut off, lengthened, flipped, repeated, out of order, invented. What a frame
// must lead to is known of some only: a length that no limit allows ends the connection, as long as the frames before it were whole.

import type {Random} from '../differential/random.ts';

/** Where a frame says how long it is. `isNoHead`: what is there is as good to be damaged as the rest. */
export type Framing = {
  lengthAt: number;
  lengthBytes(frame: Uint8Array): number;
  littleEndian: boolean;
  isNoHead?: boolean;
};

/** `beyondLimits`: the length that it announces is one that no limit allows. `whole`: what follows it is read as a frame of its own. */
export type HostileFrame = {bytes: Buffer; beyondLimits: boolean; whole: boolean};

/** The longest that is sent; a frame may announce much more. */
const LONGEST_BYTES = 4096;

/** One frame; `valid` are what honest peers say, in any order. */
export function hostileFrame(random: Random, valid: readonly Uint8Array[], framing: Framing): HostileFrame {
  const bytes = Buffer.from(random.pick(valid));
  const {lengthAt} = framing;
  const lengthBytes = framing.lengthBytes(bytes);
  const headBytes = framing.isNoHead === true ? 0 : lengthAt + lengthBytes;
  const lengths = 256 ** lengthBytes;
  const announce = (length: number): void => {
    if (lengthBytes === 0) return;
    if (framing.littleEndian) bytes.writeUIntLE(length, lengthAt, lengthBytes);
    else bytes.writeUIntBE(length, lengthAt, lengthBytes);
  };
  switch (random.below(8)) {
    case 0:
      return {bytes, beyondLimits: false, whole: true};
    case 1:
      return {bytes: bytes.subarray(0, random.below(bytes.length)), beyondLimits: false, whole: false};
    case 2:
      announce(random.between(Math.min(1 << 20, Math.floor(0.75 * lengths)), lengths - 1));
      return {bytes, beyondLimits: lengthBytes > 0, whole: lengthBytes === 0};
    case 3:
      announce(random.below(Math.min(2 * bytes.length, lengths)));
      return {bytes, beyondLimits: false, whole: false};
    case 4:
      for (let flips = random.between(1, 4); flips > 0; flips -= 1) {
        if (bytes.length === headBytes) break;
        bytes[random.between(headBytes, bytes.length - 1)] ^= 1 << random.below(8);
      }
      return {bytes, beyondLimits: false, whole: true};
    case 5:
      return {bytes: Buffer.concat([bytes, bytes, bytes]), beyondLimits: false, whole: true};
    case 6: {
      const payload = noise(random, random.below(Math.min(random.chance(0.1) ? LONGEST_BYTES : 64, lengths)));
      const head = bytes.subarray(0, headBytes);
      announce(payload.length);
      return {bytes: Buffer.concat([head, payload]), beyondLimits: false, whole: true};
    }
    default:
      return {bytes: noise(random, random.between(1, 64)), beyondLimits: false, whole: false};
  }
}

export function noise(random: Random, lengthBytes: number): Buffer {
  const bytes = Buffer.allocUnsafe(lengthBytes);
  for (let n = 0; n < lengthBytes; n += 1) bytes[n] = random.below(256);
  return bytes;
}
