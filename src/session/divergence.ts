// A replay that does not do what the log says. It names the position, what was expected and what came, and the last records.

import {FtvmError} from '../errors.ts';
import {recordToLine} from '../logformat/records-text.ts';
import type {QueuedRecord} from './record-queue.ts';

export function divergence(facts: {
  position: bigint;
  what: string;
  expected: string;
  actual: string;
  recent: readonly QueuedRecord[];
}): FtvmError {
  const {position, what, expected, actual, recent} = facts;
  const last = recent
    .map(({ordinal, record}) => (record.kind === 'advance' ? '' : `\n  ${recordToLine(record, {ordinal})}`))
    .join('');
  return new FtvmError(
    'divergence',
    `replay diverged at position ${position}: ${what} expected ${expected}, got ${actual}${last === '' ? '' : `\nlast records:${last}`}`,
    {
      hint: 'A replay must not differ: this is a bug of ftvm, or the log was made by another build. `ftvm diff-state` finds the first difference of two logs.',
      details: {position, what, expected, actual},
    },
  );
}

export function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('hex');
}
