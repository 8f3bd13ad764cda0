// Writes the golden listings anew, after a deliberate change of the generated code: look at the difference before it is committed.
//   node test/translator/accept-listings.ts

import {mkdirSync, writeFileSync} from 'node:fs';
import {EXAMPLES, listingOf} from './examples.ts';

const folder = new URL('../../fixtures/translator/', import.meta.url);
mkdirSync(folder, {recursive: true});
for (const example of EXAMPLES) writeFileSync(new URL(`${example.name}.txt`, folder), listingOf(example));
console.log(`${EXAMPLES.length} listings in fixtures/translator`);
