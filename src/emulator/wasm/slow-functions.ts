// The slow paths as translated code calls them: functions of the interpreter's module, which take pc and the steps left as arguments,
// put them where the hart looks for them, and split 64-bit addresses for it.

import * as layout from '../layout.ts';
import {CodeWriter, type ModuleWriter} from './encoder.ts';
import type {SlowPaths} from './slot.ts';
import {SLOW_FUNCTIONS} from './translated-code.ts';

/** SLOW_FUNCTIONS: pc and the steps left go into memory, i64 arguments in halves to the hart. */
export function addSlowFunctions(module: ModuleWriter, functions: ReadonlyMap<string, number>): void {
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
  const halves = (code: CodeWriter, local: number): void => {
    code.localGet(local).op('i32.wrap_i64').localGet(local).i64Const(32n).op('i64.shr_u').op('i32.wrap_i64');
  };
  const callee = (name: keyof SlowPaths): number => functions.get(name) as number;
  add('loadSlow', (code) => {
    halves(code, 2);
    code.localGet(3).call(callee('loadTranslated'));
  });
  add('storeSlow', (code) => {
    code.i32Const(0).localGet(3).memory('i64.store', layout.VALUE);
    halves(code, 2);
    code.localGet(4).call(callee('storeTranslated'));
  });
  add('atomicSlow', (code) => {
    halves(code, 2);
    code.localGet(3).localGet(4).call(callee('atomicTranslated'));
  });
  add('systemSlow', (code) => {
    code.localGet(2).localGet(3).call(callee('systemTranslated'));
  });
}
