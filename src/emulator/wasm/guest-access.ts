// How a guest's access of each width looks in WebAssembly, for the interpreter and the translator.

import type {GuestAccess, HostLoad, HostStore} from '../isa/expression.ts';
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
};

const STORES: Record<number, HostStore> = {1: 'i64.store8', 2: 'i64.store16', 4: 'i64.store32', 8: 'i64.store'};

export const sizeOf = (access: GuestAccess): number => ACCESS_KINDS[access] & 15;
export const storeOf = (access: GuestAccess): HostStore => STORES[sizeOf(access)];
