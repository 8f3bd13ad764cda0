// One measured run of ftvm in a process of its own: `node worker.js JOB`, JOB as JSON (job.ts). It starts as the program does, and
// prints a Run as JSON.

import {writeSync} from 'node:fs';
import {prepareV8} from '../bin/prepare-v8.js';
import type {Job} from './job.ts';

prepareV8();
const {perform} = await import('./perform.ts');
writeSync(1, JSON.stringify(await perform(JSON.parse(process.argv[2]) as Job)));
process.exit(0);
