// What translated code takes of the floating-point state into locals: whether, and how far, inline arithmetic may be trusted
// (isa/softfloat/inline.ts), from fcsr in FFLAGS and FRM.

import type {Format} from '../isa/softfloat/format.ts';
import {safeLimit} from '../isa/softfloat/inline.ts';
import * as layout from '../layout.ts';
import type {CodeWriter} from './encoder.ts';

/** What floating point a region uses: whether any, and singles' and doubles' functions. */
export type FloatUse = {any: boolean; f32: boolean; f64: boolean};

/** mstatus.FS: the FP state has changed. */
export const FS_DIRTY = 3;

/** NX accrued, and to nearest even. */
export const SAFE_MASK = 0xffff_ffff_0000_0001n;
const SAFE_VALUE = 1n;

/** Pushes the limit for results of a format, 0 where none may be trusted. */
export function pushSafe(code: CodeWriter, format: Format): void {
  code.i32Const(safeLimit(format)).i32Const(0);
  code.i32Const(0).memory('i64.load', layout.FFLAGS).i64Const(SAFE_MASK).op('i64.and').i64Const(SAFE_VALUE);
  code.op('i64.eq').select();
}
