// Every floating-point function that generated code calls: exact in each rounding mode and flag, and deterministic, NaNs included.
// `f32.` functions take and give f32 values, `f64.` ones f64; rm is an i32 from 0 to 4. Flags accrue by `raise`.
//   add sub mul div (x, y, rm)   sqrt (x, rm)   fma (x, y, z, rm)   min max (x, y)   eq lt le (x, y) → i32   class (x) → i32
//   toI32 toU32 toI64 toU64 (x, rm) → i64   fromI32 fromU32 fromI64 fromU64 (i64, rm)   f64.fromF32 (x)   f32.fromF64 (x, rm)

import type {FunctionDefinition} from '../expression.ts';
import {addFunction} from './add.ts';
import {BETWEEN_FORMATS} from './between-formats.ts';
import {classifyFunction} from './classify.ts';
import {compareFunctions} from './compare.ts';
import {divideFunction} from './divide.ts';
import {BINARY32, BINARY64} from './format.ts';
import {fromIntegerFunctions} from './from-integer.ts';
import {fusedMultiplyAddFunction} from './fused-multiply-add.ts';
import {minMaxFunctions} from './min-max.ts';
import {multiplyFunction} from './multiply.ts';
import {nativeFunctions} from './native.ts';
import {roundPackFunction} from './round-pack.ts';
import {squareRootFunction} from './square-root.ts';
import {TO_INTEGER, toIntegerFunctions} from './to-integer.ts';
import {WIDE} from './wide.ts';

export const SOFT_FLOAT: FunctionDefinition[] = [
  ...WIDE,
  TO_INTEGER,
  ...BETWEEN_FORMATS,
  ...[BINARY32, BINARY64].flatMap((format) => [
    roundPackFunction(format),
    addFunction(format),
    multiplyFunction(format),
    divideFunction(format),
    squareRootFunction(format),
    fusedMultiplyAddFunction(format),
    ...nativeFunctions(format),
    ...minMaxFunctions(format),
    ...compareFunctions(format),
    classifyFunction(format),
    ...toIntegerFunctions(format),
    ...fromIntegerFunctions(format),
  ]),
];
