// What users saw of one guest through several processes, and whether it fits together: duplicates after a failover are allowed,
// losses and contradictions never (DESIGN 7).

import {assertSameBytes} from '../e2e/ftvm-cli.ts';

/**
 * `shown[n]` is what the n-th process showed from its first output on, up to its death or end; `whole` is everything that the guest
 * emitted, as a replay of the last log gives it. The first part must begin at power-on, each later one anywhere that leaves no
 * gap, and the last one must reach the end. Returns how many bytes were shown twice. Throws at the first contradiction or gap.
 */
export function checkShown(shown: readonly Uint8Array[], whole: Uint8Array): number {
  const all = Buffer.from(whole);
  let reached = 0;
  let duplicates = 0;
  shown.forEach((part, index) => {
    const isLast = index === shown.length - 1;
    const start = index === 0 ? 0 : isLast ? all.length - part.length : startOf(part, {all, reached});
    if (start < 0 || start > reached) {
      throw new Error(
        `a gap: part ${index} of the transcript (${part.length} bytes) starts at byte ${start} of ${all.length}, the parts before reached ${reached}`,
      );
    }
    assertSameBytes(
      all.subarray(start, start + part.length),
      part,
      `part ${index} of the transcript, from byte ${start}`,
    );
    duplicates += Math.min(part.length, reached - start);
    reached = Math.max(reached, start + part.length);
  });
  if (reached !== all.length) throw new Error(`the end is missing: ${reached} of ${all.length} bytes were shown`);
  return duplicates;
}

/** The last start without a gap at which the part fits. */
function startOf(part: Uint8Array, options: {all: Buffer; reached: number}): number {
  const {all, reached} = options;
  for (let start = reached; start >= 0; start -= 1) {
    if (all.subarray(start, start + part.length).equals(part)) return start;
  }
  throw new Error(`a part of the transcript (${part.length} bytes) fits nowhere before byte ${reached}`);
}
