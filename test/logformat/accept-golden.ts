// Writes the golden log of the present format version, once: node test/logformat/accept-golden.ts. It never overwrites one:
// other bytes for the same records are a new format, which needs a new FORMAT_VERSION.

import {existsSync, mkdirSync, writeFileSync} from 'node:fs';
import {dirname} from 'node:path';
import {fileURLToPath} from 'node:url';
import {FORMAT_VERSION} from '../../src/logformat/limits.ts';
import {makeLog} from './sample-log.ts';

export function goldenPath(version: number): string {
  return fileURLToPath(new URL(`../../fixtures/logs/format-${version}.ftlog`, import.meta.url));
}

if (import.meta.main) {
  const path = goldenPath(FORMAT_VERSION);
  if (existsSync(path)) {
    console.error(`${path} exists: raise FORMAT_VERSION for another format`);
    process.exitCode = 1;
  } else {
    mkdirSync(dirname(path), {recursive: true});
    writeFileSync(path, makeLog().bytes);
    console.log(`wrote ${path}`);
  }
}
