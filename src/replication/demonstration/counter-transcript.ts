// What the counter guest prints checks itself: each of its lines holds its number and the hash of every byte before it
// (fixtures/guests/counter.c). So a transcript shows by itself whether a line is missing, doubled or different, and two transcripts
// of two hosts fit together at one place only.

/** FNV-1a with 64 bits: http://www.isthe.com/chongo/tech/comp/fnv/ */
const FNV_OFFSET = 0xcbf29ce484222325n;
const FNV_PRIME = 0x100000001b3n;
const HASH_BITS = 64;
const LINE_FEED = 0x0a;
const NUMBERED = /^line (\d{6,}) ([0-9a-f]{16})$/;

export type TranscriptCheck = {
  /** Whole numbered lines that are as they must be, from line 1 on. */
  lines: number;
  /** What is wrong with the first line that is not; undefined when all are right. */
  fault: string | undefined;
};

/** Follows the chain of hashes from the first byte. The last line may be cut off anywhere. */
export function checkTranscript(transcript: Uint8Array): TranscriptCheck {
  let hash = FNV_OFFSET;
  let lines = 0;
  for (let start = 0; start < transcript.length; ) {
    const end = transcript.indexOf(LINE_FEED, start);
    if (end < 0) break;
    const text = Buffer.from(transcript.subarray(start, end)).toString('latin1');
    if (text.startsWith('line ')) {
      const due = `line ${String(lines + 1).padStart(6, '0')} ${hash.toString(16).padStart(16, '0')}`;
      if (text !== due) return {lines, fault: `"${due}" was due, "${text}" came`};
      lines += 1;
    }
    for (let at = start; at <= end; at += 1) {
      hash = BigInt.asUintN(HASH_BITS, (hash ^ BigInt(transcript[at])) * FNV_PRIME);
    }
    start = end + 1;
  }
  return {lines, fault: undefined};
}

export type JoinedTranscript = TranscriptCheck & {
  transcript: Uint8Array;
  /** Lines at the first one's end that the second one shows again, whole or in part. */
  repeatedLines: number;
};

/**
 * What a reader of both consoles saw: `before` of the host that died, then `after` of the one that took over, which may repeat the
 * end of the first. They are laid one over the other where the chain of hashes holds; where it holds nowhere, something was lost
 * or contradicted, and the fault says what.
 */
export function joinTranscripts(before: Uint8Array, after: Uint8Array): JoinedTranscript {
  let failed: JoinedTranscript | undefined;
  for (let repeatedBytes = 0; repeatedBytes <= Math.min(before.length, after.length); repeatedBytes += 1) {
    const tail = before.subarray(before.length - repeatedBytes);
    if (Buffer.compare(tail, after.subarray(0, repeatedBytes)) !== 0) continue;
    const transcript = Buffer.concat([before, after.subarray(repeatedBytes)]);
    const repeatedLines = Buffer.from(tail)
      .toString('latin1')
      .split('\n')
      .filter((line) => line !== '').length;
    const joined = {...checkTranscript(transcript), transcript, repeatedLines};
    if (joined.fault === undefined) return joined;
    failed ??= joined;
  }
  return failed as JoinedTranscript;
}

/** The last whole numbered line, or undefined. */
export function lastLine(transcript: Uint8Array): string | undefined {
  const text = Buffer.from(transcript.subarray(Math.max(0, transcript.length - 256))).toString('latin1');
  return text
    .split('\n')
    .slice(0, -1)
    .findLast((line) => NUMBERED.test(line));
}
