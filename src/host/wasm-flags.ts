// V8's flags for a guest's generated code. They are set before the first such module is compiled, and not before the program is loaded:
// V8 takes no cached code that was made under other flags, and so would compile Node's own modules anew, whose code Node brings with it.

import {setFlagsFromString} from 'node:v8';

/**
 * The budget: how much a function executes, in bytes, before V8 optimises it; three times V8's own, as most translated code that runs so
 * often runs no more.
 */
const FLAGS = ['--experimental-wasm-branch-hinting', '--wasm-tiering-budget=40000000'];

export function setWasmFlags(): void {
  for (const flag of FLAGS) setFlagsFromString(flag);
}
