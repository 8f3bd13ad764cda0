// Puts modules and the libraries that they import into a few files, which Node then need not look for, read and link one by one. They are CommonJS,
// as Node reads every property of those of its own modules that an ES module imports.
// Beside them the interpreter's module, which is the same each time and would be generated at each start.

import assert from 'node:assert/strict';
import {readdirSync, writeFileSync} from 'node:fs';
import {join} from 'node:path';
import {rolldown} from 'rolldown';
import {generateInterpreter} from '../src/emulator/wasm/interpreter-module.ts';
import {TRANSLATED_WHEN} from '../src/session/hosted-machine.ts';

const SOURCES = join(import.meta.dirname, '../src');

/** koffi is a native library; typescript is what oclif would compile commands with, and is never asked to. */
const EXTERNAL = ['koffi', 'typescript'];

/** ftvm itself: what bin/run.js loads, and each command where oclif looks for it. */
export async function bundleProgram(folder: string): Promise<void> {
  const found = readdirSync(`${SOURCES}/commands`, {recursive: true, encoding: 'utf8'});
  const paths = found.filter((path) => path.endsWith('.ts')).map((path) => `commands/${path.replace(/\.ts$/, '')}`);
  await bundle(Object.fromEntries(['cli/main', ...paths].map((path) => [path, `${SOURCES}/${path}.ts`])), folder);
}

/** `entries`: from a file's path in `folder`, without its extension, to its source. What is imported dynamically comes into files of its own. */
export async function bundle(entries: Readonly<Record<string, string>>, folder: string): Promise<void> {
  const program = await rolldown({
    input: {...entries, 'translation-worker': `${SOURCES}/session/translation-worker.ts`},
    platform: 'node',
    external: EXTERNAL,
  });
  const {output} = await program.write({
    dir: folder,
    cleanDir: true,
    format: 'cjs',
    entryFileNames: '[name].cjs',
    chunkFileNames: '[name]-[hash].cjs',
  });
  await program.close();
  // Who starts the worker looks for it, and for the interpreter's module, beside himself.
  const [starter] = output.filter(
    (file) => file.type === 'chunk' && file.moduleIds.includes(`${SOURCES}/session/hosted-machine.ts`),
  );
  assert.match(starter?.fileName ?? '', /^[^/]+$/);
  writeFileSync(join(folder, 'interpreter.wasm'), generateInterpreter(TRANSLATED_WHEN));
}
