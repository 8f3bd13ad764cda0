// The interpreter's module: soft-float functions, cold instructions, the main loop; and, with a translator, the functions through which
// translated code calls the hart.

import {INSTRUCTIONS} from '../isa/decoder.ts';
import type {ValueType} from '../isa/expression.ts';
import type {Instruction} from '../isa/instruction.ts';
import {SOFT_FLOAT} from '../isa/softfloat/soft-float.ts';
import * as layout from '../layout.ts';
import {addColdFunction} from './cold-instruction.ts';
import {CodeWriter, ModuleWriter} from './encoder.ts';
import {InterpreterTarget, RUN_LOCALS, type TranslatorOptions} from './interpreter.ts';
import {addFunctions} from './lower.ts';
import {MISALIGNED, MISALIGNED_TRANSLATED} from './misaligned.ts';
import {PRIVILEGED, PRIVILEGED_TRANSLATED} from './privileged.ts';
import type {SlowPaths} from './slot.ts';
import {traitsOf} from './traits.ts';
import {REGION_TYPE, SLOW_FUNCTIONS} from './translated-code.ts';

/**
 * The module's bytes; it imports `env.memory` and the slow paths, and exports `run` and HartFunctions. With a translator it imports `env.table` and
 * the slow paths of translated code as well, and exports what translated code calls.
 */
export function generateInterpreter(translator?: TranslatorOptions): Uint8Array<ArrayBuffer> {
  const module = new ModuleWriter(1, {table: translator !== undefined});
  const imports = new Map<string, number>();
  const add = (name: keyof SlowPaths, params: number, results: number): void => {
    const i32s = (count: number): ValueType[] => Array(count).fill('i32');
    imports.set(name, module.importFunction(name, {params: i32s(params), results: i32s(results)}));
  };
  add('fetch', 0, 0);
  add('decode', 1, 0);
  add('refetch', 0, 1);
  add('load', 3, 1);
  add('store', 3, 1);
  add('atomic', 4, 1);
  add('system', 2, 1);
  add('interruptsChanged', 0, 1);
  add('mxrChanged', 0, 1);
  if (translator !== undefined) {
    add('loadTranslated', 3, 1);
    add('storeTranslated', 3, 1);
    add('atomicTranslated', 4, 1);
    add('systemTranslated', 2, 1);
  }
  const forTranslated = translator === undefined ? [] : [...PRIVILEGED_TRANSLATED, ...MISALIGNED_TRANSLATED];
  const functions = addFunctions(module, [...SOFT_FLOAT, ...PRIVILEGED, ...MISALIGNED, ...forTranslated], imports);
  for (const name of CALLED_BY_HART) module.export(name, functions.get(name) as number);
  const cold = new Map<Instruction, number>();
  for (const instruction of INSTRUCTIONS)
    if (traitsOf(instruction).isCold) cold.set(instruction, addColdFunction(module, functions, instruction));
  const run = module.declare({params: [], results: []});
  const interpreter = new InterpreterTarget(functions, {
    cold,
    translator: translator && {...translator, regionType: module.type(REGION_TYPE)},
  });
  interpreter.lowerRun();
  module.define(run, {
    params: [],
    results: [],
    locals: [...RUN_LOCALS, ...interpreter.extraLocals],
    code: interpreter.code,
  });
  module.export('run', run);
  if (translator !== undefined) {
    for (const {name} of SOFT_FLOAT) module.export(name, functions.get(name) as number);
    addSlowFunctions(module, functions);
  }
  return module.finish();
}

/** Functions of the module that the hart calls, too. */
export type HartFunctions = {
  setModes(): number;
  exception(cause: number, tvalLow: number, tvalHigh: number): number;
  enterTrap(target: number, cause: bigint, tval: bigint, vectorOffset: bigint): number;
};

const CALLED_BY_HART: readonly (keyof HartFunctions)[] = ['setModes', 'exception', 'enterTrap'];

/** SLOW_FUNCTIONS: pc and the steps left go into memory. */
function addSlowFunctions(module: ModuleWriter, functions: ReadonlyMap<string, number>): void {
  const add = (name: keyof typeof SLOW_FUNCTIONS, body: (code: CodeWriter) => void): void => {
    const type = SLOW_FUNCTIONS[name];
    const code = new CodeWriter();
    code.i32Const(0).localGet(0).memory('i64.store', layout.PC);
    code.i32Const(0).localGet(1).memory('i32.store', layout.LEFT);
    body(code);
    const index = module.declare(type);
    module.define(index, {...type, locals: [], code});
    module.export(name, index);
  };
  const callee = (name: keyof SlowPaths | 'translatedLoad' | 'translatedStore' | 'translatedSystem'): number =>
    functions.get(name) as number;
  add('loadSlow', (code) => {
    code.localGet(2).localGet(3).call(callee('translatedLoad'));
  });
  add('storeSlow', (code) => {
    code.i32Const(0).localGet(3).memory('i64.store', layout.VALUE);
    code.localGet(2).localGet(4).call(callee('translatedStore'));
  });
  add('atomicSlow', (code) => {
    code.localGet(2).op('i32.wrap_i64').localGet(2).i64Const(32n).op('i64.shr_u').op('i32.wrap_i64');
    code.localGet(3).localGet(4).call(callee('atomicTranslated'));
  });
  add('systemSlow', (code) => {
    code.localGet(2).localGet(3).call(callee('translatedSystem'));
  });
}
