// An access to guest memory in translated code: where in host memory it goes, by what is remembered of its base register
// (known-pages.ts) or by the translation cache of the present mode; all else is a slow path's.

import type {ValueType} from '../isa/expression.ts';
import * as layout from '../layout.ts';
import type {CodeWriter} from './encoder.ts';
import {PAGE_MASK} from './guest-access.ts';
import type {PagePlan} from './known-pages.ts';
import type {Push} from './lower.ts';

export type RamAccess = {
  sizeBytes: number;
  /** TLB_READ or TLB_WRITE. */
  cache: number;
  address: Push;
  /** Of the value that either outcome pushes, if they do. */
  result?: ValueType;
  plan: PagePlan | undefined;
  /** The local that holds DATA_CACHE. */
  dataCache: number;
};

/** `found` has the address in host memory on the stack; `missed` has the guest's in local `address`. */
export type RamOutcome = {found: Push; missed: Push};

export function accessRam(
  site: {code: CodeWriter; local(name: string, type: ValueType): number},
  {sizeBytes, cache, address, result, plan, dataCache}: RamAccess,
  {found, missed}: RamOutcome,
): void {
  const {code} = site;
  const key = plan?.key ?? 'any';
  const [page, place] = [site.local(`page.${key}`, 'i64'), site.local(`place.${key}`, 'i32')];
  const [guest, entry] = [site.local('address', 'i64'), site.local('entry', 'i32')];
  // Where it is aligned; else no page's address.
  const ownPage = site.local('ownPage', 'i64');
  address();
  code
    .localTee(guest)
    .i64Const(PAGE_MASK | BigInt(sizeBytes - 1))
    .op('i64.and')
    .localSet(ownPage);
  const lookUp = (): void => {
    code.localGet(guest).op('i32.wrap_i64').i32Const(8).op('i32.shr_u');
    code
      .i32Const((layout.TLB_ENTRIES - 1) << 4)
      .op('i32.and')
      .localGet(dataCache)
      .op('i32.add')
      .localTee(entry);
    // Both at once: what is remembered is always an entry as it was.
    code
      .memory('i32.load', cache + 8)
      .localSet(place)
      .localGet(entry)
      .memory('i64.load', cache)
      .localSet(page);
  };
  code.block((done) => {
    code.block((miss) => {
      const lookUpOrMiss = (): void => {
        lookUp();
        code.localGet(ownPage).localGet(page).op('i64.ne').hint('unlikely').branchIf(miss);
      };
      if (plan?.isKnown === true) {
        code.block((known) => {
          code.localGet(ownPage).localGet(page).op('i64.eq').hint('likely').branchIf(known);
          lookUpOrMiss();
        });
      } else {
        lookUpOrMiss();
      }
      code.localGet(guest).op('i32.wrap_i64').localGet(place).op('i32.add');
      found();
      code.branch(done);
    });
    missed();
  }, result);
}
