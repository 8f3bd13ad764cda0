// Prepares V8 for the program: before any module of ours is loaded. Whatever measures the program does the same.

import {enableCompileCache, getCompileCacheDir} from 'node:module';

export function prepareV8() {
  enableCompileCache();
  // Threads are told by the environment. The translator's starts in a third of the time.
  const folder = getCompileCacheDir();
  if (folder !== undefined) process.env.NODE_COMPILE_CACHE ??= folder;
}
