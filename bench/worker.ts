// One measured run of ftvm in a process of its own: `node worker.cjs JOB`, JOB as JSON (job.ts). It starts as the program does, and
// prints a Run as JSON.

import {writeSync} from 'node:fs';
import {prepareV8} from '../bin/prepare-v8.js';
import type {Job} from './job.ts';

prepareV8();
void run(JSON.parse(process.argv[2]) as Job);

async function run(job: Job): Promise<void> {
  const {perform} = await import('./perform.ts');
  writeSync(1, JSON.stringify(await perform(job)));
  process.exit(0);
}
