// One claimant in a process of its own: claims the generations 1 to N in order and prints for each `won` or who had it.
// Arguments: arbiter, lineage id, N.

import {setTimeout as sleep} from 'node:timers/promises';
import {FtvmError} from '../../src/errors.ts';
import {openArbiter} from '../../src/replication/arbiter-spec.ts';

const [spec, lineageId, count] = process.argv.slice(2) as [string, string, string];
const claimant = crypto.randomUUID();
const arbiter = await openArbiter(spec);
const results: string[] = [];
// All processes begin together, at the next whole quarter of a second that they can all reach.
await sleep(1000 - (Date.now() % 250));
for (let generation = 1; generation <= Number(count); generation++) {
  for (;;) {
    try {
      const result = await arbiter.claim({lineageId, generation, claimant});
      results.push(result.kind === 'won' ? 'won' : result.by);
      break;
    } catch (error) {
      if (!(error instanceof FtvmError && error.code === 'arbiterUnreachable')) throw error;
    }
  }
}
await arbiter.close();
process.stdout.write(JSON.stringify({claimant, results}));
