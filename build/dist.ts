// Makes dist/: the program as it is installed, and as it runs in a checkout while the sources are those that dist/ was made of (bin/sources.js).

import {renameSync, rmSync, writeFileSync} from 'node:fs';
import {join} from 'node:path';
import {describeSources} from '../bin/sources.js';
import {bundleProgram} from './bundle.ts';

const root = join(import.meta.dirname, '../');
// Before anything is read: what changes from now on may not be in it.
const sources = describeSources(root);
const folder = `${root}dist.new`;
await bundleProgram(folder);
writeFileSync(`${folder}/SOURCES`, sources);
rmSync(`${root}dist`, {recursive: true, force: true});
renameSync(folder, `${root}dist`);
