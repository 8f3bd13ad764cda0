// The running hash of the stream: MurmurHash3_x86_128 (Appleby, public domain; seed 0). It finds a frame that is missing,
// repeated or of another lineage, and tells whether one log continues another. It is no defence against a forger: who may
// write the log may write anything. Chosen because it is synchronous, needs no wasm and hashes 1 GB/s in plain JavaScript.

export const RUNNING_HASH_BYTES = 16;

/** The hash after a frame: of the frame's bytes, whole, which hold the hash before it in their header. */
export function hashFrame(frame: Uint8Array): Uint8Array {
  return murmur3x86x128(frame);
}

const C1 = 0x239b961b;
const C2 = 0xab0e9789;
const C3 = 0x38b34ae5;
const C4 = 0xa1e38b93;

/** MurmurHash3_x86_128 with seed 0; the four words little-endian. */
export function murmur3x86x128(bytes: Uint8Array): Uint8Array {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  let h1 = 0;
  let h2 = 0;
  let h3 = 0;
  let h4 = 0;
  const tailStart = bytes.length & ~15;
  for (let offset = 0; offset < tailStart; offset += 16) {
    h1 ^= mix(view.getInt32(offset, true), C1, 15, C2);
    h1 = (Math.imul(rotateLeft(h1, 19) + h2, 5) + 0x561ccd1b) | 0;
    h2 ^= mix(view.getInt32(offset + 4, true), C2, 16, C3);
    h2 = (Math.imul(rotateLeft(h2, 17) + h3, 5) + 0x0bcaa747) | 0;
    h3 ^= mix(view.getInt32(offset + 8, true), C3, 17, C4);
    h3 = (Math.imul(rotateLeft(h3, 15) + h4, 5) + 0x96cd1c35) | 0;
    h4 ^= mix(view.getInt32(offset + 12, true), C4, 18, C1);
    h4 = (Math.imul(rotateLeft(h4, 13) + h1, 5) + 0x32ac3b17) | 0;
  }
  if (tailStart < bytes.length) {
    const tail = new Uint8Array(16);
    tail.set(bytes.subarray(tailStart));
    const words = new DataView(tail.buffer);
    h1 ^= mix(words.getInt32(0, true), C1, 15, C2);
    h2 ^= mix(words.getInt32(4, true), C2, 16, C3);
    h3 ^= mix(words.getInt32(8, true), C3, 17, C4);
    h4 ^= mix(words.getInt32(12, true), C4, 18, C1);
  }
  h1 ^= bytes.length;
  h2 ^= bytes.length;
  h3 ^= bytes.length;
  h4 ^= bytes.length;
  const sum = (h1 + h2 + h3 + h4) | 0;
  const f1 = finalMix(sum);
  const f2 = finalMix(h2 + sum);
  const f3 = finalMix(h3 + sum);
  const f4 = finalMix(h4 + sum);
  const total = (f1 + f2 + f3 + f4) | 0;
  const hash = new DataView(new ArrayBuffer(RUNNING_HASH_BYTES));
  hash.setInt32(0, total, true);
  hash.setInt32(4, f2 + total, true);
  hash.setInt32(8, f3 + total, true);
  hash.setInt32(12, f4 + total, true);
  return new Uint8Array(hash.buffer);
}

function mix(word: number, first: number, rotation: number, second: number): number {
  return Math.imul(rotateLeft(Math.imul(word, first), rotation), second);
}

function rotateLeft(word: number, bits: number): number {
  return (word << bits) | (word >>> (32 - bits));
}

function finalMix(word: number): number {
  let h = word | 0;
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return h ^ (h >>> 16);
}
