// The engines that this checkout's machine has. Sessions take the faster one; the environment can hold them to the interpreter.

import {existsSync} from 'node:fs';
import {fileURLToPath} from 'node:url';
import type {Engine} from './job.ts';

/** The machine as sessions run it, where there is more than the interpreter. */
const HOSTED = new URL('../src/session/hosted-machine.ts', import.meta.url);

/** The last one is what `ftvm` uses by itself. */
export function availableEngines(): [Engine, ...Engine[]] {
  return existsSync(fileURLToPath(HOSTED)) ? ['interpreter', 'translator'] : ['interpreter'];
}

export function environmentOf(engine: Engine): Record<string, string> {
  return engine === 'interpreter' ? {FTVM_ENGINE: 'interpreter'} : {};
}
