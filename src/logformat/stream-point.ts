// A point of a lineage's stream: all that a writer needs to carry on there, and a reader to check what follows. Offsets and
// ordinals address the endless stream, as a database's LSNs do, whatever file holds that part of it (DESIGN 6).

import {assert} from '../errors.ts';
import {PREAMBLE_BYTES} from './limits.ts';
import type {LogRecord} from './record.ts';

export type StreamPoint = {
  /** 16 bytes. */
  readonly lineageId: Uint8Array;
  /** Bytes of the stream before this point. The stream begins with a preamble, so that offsets are file offsets in a log that
   *  starts at power-on. */
  readonly offset: bigint;
  /** Ordinal of the last record before this point; 0 at power-on. */
  readonly ordinal: bigint;
  /** Position of the last record before this point, from which the next one's step difference counts. */
  readonly position: bigint;
  /** Ordinal of the last output that the last frame knew to have left. */
  readonly releasedThrough: bigint;
  /** Running hash of all frames before this point; the lineage id at power-on. */
  readonly hash: Uint8Array;
  /** The last record was an `end` (nothing is missing) and whether the guest itself had ended (nothing may follow). */
  readonly ended: 'no' | 'resumable' | 'final';
};

/** The point at which a lineage begins: power-on, before the header record. */
export function startOfLineage(lineageId: Uint8Array): StreamPoint {
  assert(lineageId.length === 16, `a lineage id of ${lineageId.length} bytes`);
  return {
    lineageId: lineageId.slice(),
    offset: BigInt(PREAMBLE_BYTES),
    ordinal: 0n,
    position: 0n,
    releasedThrough: 0n,
    hash: lineageId.slice(),
    ended: 'no',
  };
}

/** What a record means for what may follow it. */
export function endedAfter(record: LogRecord): StreamPoint['ended'] {
  if (record.kind !== 'end') return 'no';
  return record.reason === 'halted' ? 'final' : 'resumable';
}
