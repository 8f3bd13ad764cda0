// How a guest's access of each width looks in WebAssembly, for the interpreter and the translator.

import type {GuestAccess, HostLoad, HostStore, ValueType} from '../isa/expression.ts';
import {ACCESS_KINDS} from './slot.ts';

/** Clears an address's offset in its page. */
export const PAGE_MASK = ~0xfffn;

export const LOADS: Record<GuestAccess, HostLoad> = {
  i8: 'i64.load8_s',
  u8: 'i64.load8_u',
  i16: 'i64.load16_s',
  u16: 'i64.load16_u',
  i32: 'i64.load32_s',
  u32: 'i64.load32_u',
  i64: 'i64.load',
  f32: 'f32.load',
  f64: 'f64.load',
};

export const STORES: Record<GuestAccess, HostStore> = {
  i8: 'i64.store8',
  u8: 'i64.store8',
  i16: 'i64.store16',
  u16: 'i64.store16',
  i32: 'i64.store32',
  u32: 'i64.store32',
  i64: 'i64.store',
  f32: 'f32.store',
  f64: 'f64.store',
};

export const sizeOf = (access: GuestAccess): number => ACCESS_KINDS[access] & 15;

/** The type of the value loaded or stored; in a slow path, how it is taken from, and put into, layout.VALUE. */
export function typedAs(access: GuestAccess): {type: ValueType; load: HostLoad; store: HostStore} {
  const type = access === 'f32' || access === 'f64' ? access : 'i64';
  return {type, load: `${type}.load`, store: `${type}.store`};
}
