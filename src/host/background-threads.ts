// Threads that compile give way to the one that runs the guest, where all of them together want more processors than there are: what they make
// helps later, and a guest that waits is late now. V8's own threads, which also help to collect garbage, are known by their name.

import {readdirSync, readFileSync} from 'node:fs';
import {setPriority} from 'node:os';

/** A tenth of a processor is theirs at least, or a guest on a single one would never be translated. */
const NICENESS = 10;
const TASKS = '/proc/self/task';
const V8_THREAD = 'V8Worker\n';

/** V8's threads in this process. Only Linux has threads with a niceness of their own; elsewhere nothing is done. */
export function lowerV8Threads(): void {
  if (process.platform !== 'linux') return;
  for (const id of readdirSync(TASKS)) {
    try {
      if (readFileSync(`${TASKS}/${id}/comm`, 'latin1') === V8_THREAD) lower(Number(id));
    } catch {
      // It has ended meanwhile.
    }
  }
}

/** The calling thread. */
export function lowerThisThread(): void {
  if (process.platform === 'linux') lower(0);
}

function lower(threadId: number): void {
  try {
    setPriority(threadId, NICENESS);
  } catch {
    // A sandbox that forbids it: the guest shares its processor, and nothing else.
  }
}
