// Prepares V8 for the program: before any module of ours is loaded. Whatever measures the program does the same.

import {enableCompileCache, getCompileCacheDir} from 'node:module';
import {setFlagsFromString} from 'node:v8';

/**
 * They must be set before the first module that they concern is compiled. The budget: how much a function executes, in bytes, before V8
 * optimises it; three times V8's own, as most translated code that runs so often runs no more.
 */
const V8_FLAGS = ['--experimental-wasm-branch-hinting', '--wasm-tiering-budget=40000000'];

export function prepareV8() {
  for (const flag of V8_FLAGS) setFlagsFromString(flag);
  enableCompileCache();
  // Threads are told by the environment. The translator's starts in a third of the time.
  const folder = getCompileCacheDir();
  if (folder !== undefined) process.env.NODE_COMPILE_CACHE ??= folder;
}
