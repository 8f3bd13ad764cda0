// Accesses that generated code could not make because they are misaligned, but within a page that a translation cache holds: made here, in the
// language of the instructions. All others are the hart's.

import type {Builder, Expr, FunctionDefinition, LocalExpr} from '../isa/expression.ts';
import * as layout from '../layout.ts';
import {PAGE_BYTES} from '../paged-memory.ts';
import {PAGE_MASK} from './guest-access.ts';
import {SIGNED} from './slot.ts';

type SlowPath = 'load' | 'store' | 'loadTranslated' | 'storeTranslated';

/** (address, kind) → status, as the slow path that each ends in; the value is in VALUE. */
export const MISALIGNED: readonly FunctionDefinition[] = [
  define('interpretLoad', 'load'),
  define('interpretStore', 'store'),
];

/** With a translator, for translated code. */
export const MISALIGNED_TRANSLATED: readonly FunctionDefinition[] = [
  define('translatedLoad', 'loadTranslated'),
  define('translatedStore', 'storeTranslated'),
];

function define(name: string, slowPath: SlowPath): FunctionDefinition {
  const isLoad = slowPath === 'load' || slowPath === 'loadTranslated';
  return {
    name,
    params: ['i64', 'i32'],
    result: 'i32',
    build(b, address, kind) {
      const size = b.let(b.and(kind, b.i32(15)));
      const cache = isLoad ? layout.TLB_READ : layout.TLB_WRITE;
      const entry = b.let(b.add(b.stateLoad('i32.load', layout.DATA_CACHE), line(b, address)));
      const isCached = b.eq(b.stateLoad('i64.load', cache, entry), b.and(address, b.i64(PAGE_MASK)));
      const room = b.sub(b.i32(PAGE_BYTES), b.and(b.wrap(address), b.i32(PAGE_BYTES - 1)));
      b.if(b.and(isCached, b.geU(room, size)), () => {
        const place = b.let(b.add(b.wrap(address), b.stateLoad('i32.load', cache + 8, entry)));
        if (isLoad) load(b, {place, size, kind});
        else store(b, {place, size});
        b.return(b.i32(0));
      });
      const high = b.wrap(b.shrU(address, b.i64(32)));
      b.return(b.call('i32', slowPath, b.wrap(address), high, kind));
    },
  };
}

/** Of the page's entry, in bytes. */
function line(b: Builder, address: Expr): Expr {
  return b.and(b.shrU(b.wrap(address), b.i32(8)), b.i32((layout.TLB_ENTRIES - 1) << 4));
}

function load(b: Builder, {place, size, kind}: {place: LocalExpr; size: LocalExpr; kind: LocalExpr}): void {
  const value = b.let(b.i64(0));
  const from = (access: 'i64.load' | 'i64.load32_u' | 'i64.load16_u') => () =>
    b.set(value, b.stateLoad(access, 0, place));
  b.if(b.eq(size, b.i32(8)), from('i64.load'), () =>
    b.if(b.eq(size, b.i32(4)), from('i64.load32_u'), from('i64.load16_u')),
  );
  const unused = b.zext(b.sub(b.i32(64), b.shl(size, b.i32(3))));
  b.if(b.and(kind, b.i32(SIGNED)), () => b.set(value, b.shrS(b.shl(value, unused), unused)));
  b.stateStore('i64.store', layout.VALUE, value);
}

function store(b: Builder, {place, size}: {place: LocalExpr; size: LocalExpr}): void {
  const value = b.stateLoad('i64.load', layout.VALUE);
  const to = (access: 'i64.store' | 'i64.store32' | 'i64.store16') => () => b.stateStore(access, 0, value, place);
  b.if(b.eq(size, b.i32(8)), to('i64.store'), () => b.if(b.eq(size, b.i32(4)), to('i64.store32'), to('i64.store16')));
}
