// The translation caches are coherent: whatever is written to page tables, in whatever address space, each entry of each cache says
// what a walk through the tables as they are now says. Tables, switches, modes and accesses are drawn from a seed; the walk is written
// anew here.

import assert from 'node:assert/strict';
import {CodeCache} from '../../src/emulator/hart/code-cache.ts';
import {Mmu} from '../../src/emulator/hart/mmu.ts';
import {Pmp} from '../../src/emulator/hart/pmp.ts';
import {Registers} from '../../src/emulator/hart/registers.ts';
import {SlowPages} from '../../src/emulator/hart/slow-pages.ts';
import {TranslationCaches} from '../../src/emulator/hart/translation-caches.ts';
import * as layout from '../../src/emulator/layout.ts';
import {PAGE, Ram} from '../../src/emulator/memory.ts';
import {StateTable} from '../../src/emulator/state-table.ts';
import {MSTATUS, PRIVILEGE} from '../../src/emulator/status.ts';
import {generateInterpreter, type HartFunctions} from '../../src/emulator/wasm/interpreter-module.ts';
import {Random} from '../differential/random.ts';

const SEED = Number(process.env.FTVM_SEED ?? 1);
const SEEDS = Number(process.env.FTVM_PAGING_SEEDS ?? 8);
const STEPS = 1500;
const RAM_BYTES = 2 ** 20;
const RAM_PAGE = layout.RAM_BASE / 4096;
const TABLES = 24;
const ROOTS = 10;
/** So few places in each table that they are met again. */
const INDICES = [0, 1, 511];
const PTE = {V: 1, R: 2, W: 4, X: 8, U: 16, A: 64, D: 128};
const SLOW_PATHS = [
  ...['fetch', 'decode', 'refetch', 'load', 'store', 'atomic', 'system', 'interruptsChanged', 'mxrChanged'],
];
const module = new WebAssembly.Module(generateInterpreter());

describe(`address spaces (seed ${SEED})`, function () {
  this.timeout(60_000);

  it(`${SEEDS} seeds of ${STEPS} steps`, () => {
    for (let seed = SEED; seed < SEED + SEEDS; seed += 1) assert.equal(live(seed), undefined);
  });

  it('translations that stay in the caches of other spaces are found (canary)', () => {
    const {remove} = TranslationCaches.prototype;
    TranslationCaches.prototype.remove = function (virtualPage) {
      return remove.call(this, virtualPage, this.current);
    };
    try {
      assert.match(findFault() ?? 'nothing found', /is cached/);
    } finally {
      TranslationCaches.prototype.remove = remove;
    }
  });

  it('a page of tables that stores go on to find where it was is found (canary)', () => {
    const {remove} = SlowPages.prototype;
    SlowPages.prototype.remove = () => {};
    try {
      assert.match(findFault() ?? 'nothing found', /is kept/);
    } finally {
      SlowPages.prototype.remove = remove;
    }
  });

  it('a space that is not forgotten with its root is found (canary)', () => {
    const {drop} = TranslationCaches.prototype;
    TranslationCaches.prototype.drop = () => {};
    try {
      assert.match(findFault() ?? 'nothing found', /is cached/);
    } finally {
      TranslationCaches.prototype.drop = drop;
    }
  });
});

function findFault(): string | undefined {
  for (let seed = SEED; seed < SEED + 100; seed += 1) {
    const found = live(seed);
    if (found !== undefined) return found;
  }
  return undefined;
}

/** Returns what is wrong. */
function live(seed: number): string | undefined {
  const random = new Random(seed);
  // Kernels share tables between levels and places rarely: with each other seed hardly ever.
  const world = new World(seed % 2 === 0 ? 9 : 400);
  for (let step = 0; step < STEPS; step += 1) {
    const what = act(world, random);
    const wrong = world.findStale();
    if (wrong !== undefined) return `seed ${seed}, step ${step}, ${what}: ${wrong}`;
  }
  return undefined;
}

function act(world: World, random: Random): string {
  const pick = <T>(values: readonly T[]): T => values[random.below(values.length)] as T;
  const choice = random.below(100);
  if (choice < 60) {
    const address = pick(INDICES) * 2 ** 30 + pick(INDICES) * 2 ** 21 + pick(INDICES) * 2 ** 12;
    const access = pick(['load', 'store', 'fetch'] as const);
    world.access(address >= 2 ** 38 ? address - 2 ** 39 : address, access);
    return access;
  }
  if (choice < 83) {
    const table = random.below(TABLES);
    const kind = random.below(10);
    const flags = PTE.V | (random.below(24) === 0 ? random.below(256) : 0);
    // Roots lead to tables of one third of the others, these to the rest: mostly, so that some are of several levels.
    const next =
      random.below(world.strangeness) === 0
        ? random.below(TABLES)
        : table < ROOTS
          ? 10 + random.below(6)
          : 16 + random.below(8);
    const isLeaf = table >= 16 ? kind < 8 : kind === 0;
    const page = isLeaf ? 32 + random.below(200) : next;
    const rights = isLeaf
      ? pick([PTE.R, PTE.R | PTE.W, PTE.R | PTE.W | PTE.X, PTE.R | PTE.W | PTE.X, PTE.X]) |
        pick([0, PTE.U]) |
        pick([0, 192])
      : 0;
    const value = kind === 9 ? 0 : (RAM_PAGE + page) * 2 ** 10 + (flags | rights);
    world.write(table * 4096 + pick(INDICES) * 8, value);
    return `entry of table ${table}`;
  }
  if (choice < 93) {
    world.enter(random.below(12) === 0 ? -1 : random.below(ROOTS));
    return 'another space';
  }
  if (choice < 98) {
    world.setMode(pick([PRIVILEGE.U, PRIVILEGE.S]), pick([0, MSTATUS.SUM]) | (random.below(8) === 0 ? MSTATUS.MXR : 0));
    return 'another mode';
  }
  if (choice === 98) {
    world.ram.takeDirty();
    return 'another epoch';
  }
  // An emptied table.
  const table = random.below(TABLES);
  for (const index of INDICES) world.write(table * 4096 + index * 8, 0);
  return `table ${table} emptied`;
}

class World {
  readonly ram: Ram;
  /** One of so many entries leads to any table. */
  readonly strangeness: number;
  readonly #registers: Registers;
  readonly #code: CodeCache;
  readonly #mmu: Mmu;
  readonly #functions: HartFunctions;
  /** By set of caches: the root that it was last entered for. */
  readonly #roots = new Map<number, number>();

  constructor(strangeness: number) {
    this.strangeness = strangeness;
    const memory = new WebAssembly.Memory({
      initial: layout.wasmPages(RAM_BYTES),
      maximum: layout.wasmPages(RAM_BYTES),
    });
    this.ram = new Ram(memory, RAM_BYTES);
    this.#registers = new Registers(memory, new StateTable());
    const pmp = new Pmp(this.#registers, this.ram.pageCount);
    // Everything is allowed, by NAPOT over all addresses.
    this.#registers.setPmpaddr(0, (1n << 54n) - 1n);
    this.#registers.set('pmpcfg0', 0x1fn);
    pmp.update();
    this.#code = new CodeCache(memory, this.ram, pmp);
    this.#mmu = new Mmu(this.#registers, this.ram, pmp, this.#code);
    const imports = Object.fromEntries(SLOW_PATHS.map((name) => [name, () => 0]));
    this.#functions = new WebAssembly.Instance(module, {env: {...imports, memory}}).exports as HartFunctions;
    this.ram.observer = {
      codeWritten: (page, start, end) => this.#code.overwritten(page, start, end),
      tableWritten: (start, end) => void this.#mmu.tableWritten(start, end),
      deviceWritten: () => {},
      epochEnded: () => this.#mmu.flush(),
    };
    this.setMode(PRIVILEGE.S, 0);
    this.enter(0);
  }

  enter(root: number): void {
    this.#registers.set('satp', root < 0 ? 0n : (8n << 60n) | BigInt(RAM_PAGE + root));
    this.#mmu.rootChanged();
    this.#functions.setModes();
    const set = ((this.#registers.i32[layout.SPACE / 4] as number) - layout.CACHE_SETS_START) / layout.CACHE_SET_BYTES;
    this.#roots.set(set, root);
  }

  setMode(privilege: number, status: number): void {
    const old = this.#registers.low('mstatus');
    this.#registers.setLow('privilege', privilege);
    this.#registers.setLow('mstatus', status);
    this.#functions.setModes();
    if (((old ^ status) & MSTATUS.MXR) !== 0) this.#mmu.flush();
  }

  access(address: number, access: 'load' | 'store' | 'fetch'): void {
    const low = address | 0;
    const high = Math.floor(address / 2 ** 32);
    if (access === 'fetch') this.#mmu.fetch(low, high);
    else this.#mmu.data(low, high, 8, access);
  }

  write(offset: number, value: number): void {
    const bytes = new Uint8Array(8);
    new DataView(bytes.buffer).setBigUint64(0, BigInt(value), true);
    this.ram.write(layout.RAM_BASE + offset, bytes);
  }

  /** An entry of a cache that is not what the tables say. */
  findStale(): string | undefined {
    const {i32} = this.#registers;
    for (const [set, root] of this.#roots) {
      for (let cache = 0; cache < layout.CACHE_SET_BYTES / layout.TLB_BYTES; cache += 1) {
        const start = layout.cacheSet(set) + cache * layout.TLB_BYTES;
        for (const index of INDICES) {
          const word = (start + (index & (layout.TLB_ENTRIES - 1)) * layout.TLB_ENTRY_BYTES) >> 2;
          const [low, high, value] = [i32[word] as number, i32[word + 1] as number, i32[word + 2] as number];
          if (low === -1 && high === -1) continue;
          const address = high * 2 ** 32 + (low >>> 0);
          const wanted = this.#walk(root, address, cache);
          const page = cache < 6 ? ((value + low - layout.RAM) >>> 0) / 4096 : this.#code.ramPageOf(value);
          const flags = this.ram.flags[page] as number;
          const isSeen =
            cache >= 6 || cache % 2 === 0 || (flags & (PAGE.table | PAGE.code | PAGE.dirty)) === PAGE.dirty;
          if (page !== wanted || !isSeen)
            return `page ${address.toString(16)} of space ${root} is cached as ${page} in cache ${cache}; the tables say ${wanted}`;
        }
      }
    }
    return this.#findStaleSlowPage();
  }

  /** The page that stores find without a walk, if it is not what the tables say. */
  #findStaleSlowPage(): string | undefined {
    const offset = (this.#registers.i32[layout.DATA_CACHE / 4] as number) - layout.CACHE_SETS_START;
    const root = this.#roots.get(Math.floor(offset / layout.CACHE_SET_BYTES)) ?? -1;
    const cache = (offset % layout.CACHE_SET_BYTES) / layout.TLB_BYTES;
    for (const high of INDICES) {
      for (const middle of INDICES) {
        for (const low of INDICES) {
          const positive = high * 2 ** 30 + middle * 2 ** 21 + low * 2 ** 12;
          const address = positive >= 2 ** 38 ? positive - 2 ** 39 : positive;
          const place = this.#mmu.slow(address | 0, Math.floor(address / 2 ** 32), 'store');
          if (place < 0) continue;
          const wanted = this.#walk(root, address, cache + 1);
          if ((place - layout.RAM_BASE) / 4096 !== wanted)
            return `page ${address.toString(16)} of space ${root} is kept as ${place.toString(16)}; the tables say ${wanted}`;
        }
      }
    }
    return undefined;
  }

  /** Page of RAM that the tables give for an access from this cache of a set, or what is wrong. */
  #walk(root: number, address: number, cache: number): number | string {
    if (root < 0) return (address - layout.RAM_BASE) / 4096;
    const [isFetch, isStore] = [cache >= 6, cache < 6 && cache % 2 === 1];
    const isUser = cache < 2 || cache === 6;
    const sum = cache === 4 || cache === 5;
    const mxr = (this.#registers.low('mstatus') & MSTATUS.MXR) !== 0;
    let table = root;
    for (let level = 2; level >= 0; level -= 1) {
      const index = Math.floor(address / 2 ** (12 + 9 * level)) & 511;
      const pte = Number(this.ram.readU64(layout.RAM_BASE + table * 4096 + index * 8));
      const page = Math.floor(pte / 2 ** 10) - RAM_PAGE;
      if ((pte & PTE.V) === 0) return 'invalid';
      if ((pte & (PTE.R | PTE.X)) === 0) {
        if ((pte & PTE.W) !== 0) return 'reserved';
        table = page;
        continue;
      }
      const readable = (pte & PTE.R) !== 0 || (mxr && (pte & PTE.X) !== 0);
      if (!(isFetch ? (pte & PTE.X) !== 0 : isStore ? (pte & PTE.W) !== 0 : readable)) return 'forbidden';
      if (isUser ? (pte & PTE.U) === 0 : (pte & PTE.U) !== 0 && (isFetch || !sum)) return 'of another mode';
      if ((pte & PTE.A) === 0 || (isStore && (pte & PTE.D) === 0)) return 'not marked';
      return page + (Math.floor(address / 4096) & (512 ** level - 1));
    }
    return 'too deep';
  }
}
