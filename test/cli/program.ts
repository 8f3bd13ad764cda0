// A program like ftvm whose commands (./commands) fail and wait on purpose: program.test.ts runs it to see what the frame of
// src/cli does with them.

import {fileURLToPath} from 'node:url';
import {main} from '../../src/cli/main.ts';

await main({
  argv: process.argv.slice(2),
  root: fileURLToPath(new URL('../..', import.meta.url)),
  commands: fileURLToPath(new URL('./commands', import.meta.url)),
});
