// Translates regions of code: requests in, one WebAssembly module out. Pure: the same bytes of code give the same module.

import {inlineFunctions} from '../isa/softfloat/inline.ts';
import {SOFT_FLOAT} from '../isa/softfloat/soft-float.ts';
import {type FunctionType, ModuleWriter} from './encoder.ts';
import {type ByteRange, type CodePage, findRegion, type Region} from './region.ts';
import {generateRegion} from './region-code.ts';
import {traitsOf} from './traits.ts';
import {type HostArithmetic, REGION_TYPE, SLOW_FUNCTIONS} from './translated-code.ts';

/** `slot`: the table index that the region shall have. `pages`: the entry's page of code, and neighbours; `offset`: of the entry. */
export type TranslationRequest = {slot: number; pages: readonly CodePage[]; offset: number};

/** What became of a request: the bytes it was made from, by offsets from the entry's page; none when there is nothing to translate. */
export type TranslatedRegion = {slot: number; ranges: readonly ByteRange[]};

export type Translation = {bytes: Uint8Array<ArrayBuffer>; regions: TranslatedRegion[]};

/** Functions of the interpreter's module that translated code may import, by name. */
export const IMPORTABLE: ReadonlyMap<string, FunctionType> = new Map([
  ...Object.entries(SLOW_FUNCTIONS),
  ...SOFT_FLOAT.map(({name, params, result}): [string, FunctionType] => [name, {params, results: [result]}]),
]);

export function translate(requests: readonly TranslationRequest[], host: HostArithmetic): Translation {
  const found = requests.map((request) => ({request, region: findRegion(request.pages, request.offset)}));
  const module = new ModuleWriter(1, {table: true});
  const names = new Set<string>(Object.keys(SLOW_FUNCTIONS));
  for (const {region} of found) if (region !== undefined) addCallees(region, names);
  const functions = new Map<string, number>();
  for (const name of names) functions.set(name, module.importFunction(name, IMPORTABLE.get(name) as FunctionType));
  const regionType = module.type(REGION_TYPE);
  const inline = inlineFunctions(host);
  const regions: TranslatedRegion[] = [];
  for (const {request, region} of found) {
    const {slot} = request;
    regions.push({slot, ranges: region?.ranges ?? []});
    if (region === undefined) continue;
    const index = module.declare(REGION_TYPE);
    const {pages} = request;
    const options = {regionType, ownIndex: index, functions, inline, pages};
    const {localTypes, code} = generateRegion(region, options);
    module.define(index, {...REGION_TYPE, locals: localTypes, code});
    module.element(slot, index);
  }
  return {bytes: module.finish(), regions};
}

/** Names of the functions that the region's instructions call. */
function addCallees(region: Region, names: Set<string>): void {
  for (const {steps} of region.blocks.values())
    for (const {instruction} of steps) for (const name of traitsOf(instruction).callees) names.add(name);
}
