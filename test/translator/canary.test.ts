// Wrong translations that must be caught: where they are not, the other tests of this folder prove nothing.

import assert from 'node:assert/strict';
import {readFileSync} from 'node:fs';
import {BINARY64} from '../../src/emulator/isa/softfloat/format.ts';
import {safeLimit} from '../../src/emulator/isa/softfloat/inline.ts';
import type {Machine} from '../../src/emulator/machine.ts';
import {ByteWriter} from '../../src/emulator/wasm/encoder.ts';
import {SAFE_MASK} from '../../src/emulator/wasm/float-state.ts';
import {type TranslationRequest, translate} from '../../src/emulator/wasm/translate.ts';
import {generate, type Kind} from '../differential/generate.ts';
import {Random} from '../differential/random.ts';
import {
  bareConfig,
  compare,
  type Guest,
  newMachine,
  reference,
  type Script,
  VARIANTS,
  type Variant,
} from './equivalence.ts';

const SEED = 5;
const CONFIG = bareConfig({ramBytes: 8 * 2 ** 20});
const VARIANT: Variant = {name: 'a wrong translator', engine: {kind: 'translator', threshold: 0, compiler: 'queue'}};

describe(`translator: canaries (seed ${SEED})`, function () {
  this.timeout(120_000);

  it('xor translated as or is caught', async () => {
    const difference = await tryFault('integer', (word) =>
      (word & 0xfe00_707f) === 0x0000_4033 ? word ^ 0x2000 : word,
    );
    assert.match(difference ?? 'no difference', /states differ at position \d+/);
  });

  it('mul translated as mulhu is caught', async () => {
    const difference = await tryFault('memory', (word) =>
      (word & 0xfe00_707f) === 0x0200_0033 ? word ^ 0x3000 : word,
    );
    assert.match(difference ?? 'no difference', /states differ at position \d+/);
  });

  it('inline floating point that takes every result for safe is caught', async () => {
    const limit = BigInt(safeLimit(BINARY64));
    const difference = await tryPatch('numeric', (bytes) =>
      replaceConstant(bytes, {type: 'i32', from: limit, to: -1n}),
    );
    assert.match(difference ?? 'no difference', /states differ at position \d+/);
  });

  it('inline floating point that does not look at the rounding mode is caught', async () => {
    const difference = await tryPatch('float', (bytes) =>
      replaceConstant(bytes, {type: 'i64', from: SAFE_MASK, to: 1n}),
    );
    assert.match(difference ?? 'no difference', /states differ at position \d+/);
  });

  it('a page that is remembered when it is another is caught', async () => {
    const kernel = new Uint8Array(readFileSync(new URL('../../fixtures/translator/remapping.elf', import.meta.url)));
    const prepared = await prepareGuest({name: 'remapping', config: CONFIG, images: {kernel}});
    // Page 0 in place of no page: what is found there may be no memory at all.
    const patched = comparePatched(prepared, (bytes) => replaceConstant(bytes, {type: 'i64', from: -1n, to: 0n}));
    const outcome = await patched.catch((error: unknown) => String(error));
    assert.match(outcome ?? 'no difference', /states differ at position \d+|out of bounds/);
  });

  it('code that has changed since it was asked for is not installed', async () => {
    const {guest} = await prepare('integer');
    const machine = newMachine(guest, VARIANT.engine);
    const {translations} = machine;
    assert.ok(translations !== undefined);
    machine.runUntil(1_000_000n);
    const requests = translations.takeRequests();
    assert.ok(requests.length > 0, 'nothing was asked for');
    const {bytes, regions} = translate(requests, translations.arithmetic);
    const [ram] = machine.memories;
    const first = requests[0].pages[0].bytes;
    for (const index of ram.present()) {
      const page = ram.page(index);
      if (page !== undefined && Buffer.from(page).equals(first))
        ram.setPage(
          index,
          page.map((byte) => byte ^ 0xff),
        );
    }
    translations.install({module: new WebAssembly.Module(bytes), regions});
    const unchanged = requests.filter(({pages}) => !pages.some((page) => Buffer.from(page.bytes).equals(first)));
    assert.equal(translations.regionCount, unchanged.length);
  });
});

type Prepared = {guest: Guest; script: Script; random: Random};

function prepare(kind: Kind): Promise<Prepared> {
  const {image} = generate(SEED, {kind, sequences: 20, length: 40});
  return prepareGuest({name: kind, config: CONFIG, images: {kernel: image}});
}

async function prepareGuest(guest: Guest): Promise<Prepared> {
  const random = new Random(SEED);
  const script = await reference(guest, {random, checkpoints: 5});
  return {guest, script, random};
}

/** Runs with a translator that takes some instructions for others. */
async function tryFault(kind: 'integer' | 'memory', fault: (word: number) => number): Promise<string | undefined> {
  const {guest, script, random} = await prepare(kind);
  const machine = newMachine(guest, VARIANT.engine);
  answerAll(machine, (requests) => requests.map((request) => withFault(request, fault)));
  return compare(guest, script, {variant: VARIANT, random, slices: 50, machine});
}

/** Runs with modules that are changed before they are compiled. */
async function tryPatch(kind: Kind, patch: Patch): Promise<string | undefined> {
  return comparePatched(await prepare(kind), patch);
}

type Patch = (bytes: Uint8Array<ArrayBuffer>) => Uint8Array<ArrayBuffer>;

async function comparePatched({guest, script, random}: Prepared, patch: Patch): Promise<string | undefined> {
  const {Module} = WebAssembly;
  WebAssembly.Module = class extends Module {
    constructor(bytes: Uint8Array<ArrayBuffer>) {
      super(patch(bytes));
    }
  };
  try {
    return await compare(guest, script, {variant: VARIANTS[0], random, slices: 10});
  } finally {
    WebAssembly.Module = Module;
  }
}

/** Another constant in place of each one of these, of as many bytes. */
function replaceConstant(
  bytes: Uint8Array<ArrayBuffer>,
  {type, from, to}: {type: 'i32' | 'i64'; from: bigint; to: bigint},
): Uint8Array<ArrayBuffer> {
  const old = new ByteWriter().byte(type === 'i32' ? 0x41 : 0x42).signed(BigInt.asIntN(64, from)).bytes;
  const changed = Buffer.from(bytes);
  for (let at = changed.indexOf(old); at >= 0; at = changed.indexOf(old, at + 1)) {
    let rest = to;
    for (let index = 1; index < old.length; index += 1) {
      changed[at + index] = Number(rest & 0x7fn) | (index < old.length - 1 ? 0x80 : 0);
      rest >>= 7n;
    }
  }
  return Uint8Array.from(changed);
}

/** The machine's requests are answered at each boundary, after `change`. */
function answerAll(machine: Machine, change: (requests: TranslationRequest[]) => readonly TranslationRequest[]): void {
  const {translations} = machine;
  assert.ok(translations !== undefined);
  const takeRequests = translations.takeRequests.bind(translations);
  translations.takeRequests = () => {
    const requests = takeRequests();
    if (requests.length > 0) {
      const {bytes, regions} = translate(change(requests), translations.arithmetic);
      translations.install({module: new WebAssembly.Module(bytes), regions});
    }
    return [];
  };
}

function withFault(request: TranslationRequest, fault: (word: number) => number): TranslationRequest {
  const pages = request.pages.map((page) => {
    const bytes = page.bytes.slice();
    const view = new DataView(bytes.buffer);
    for (let offset = 0; offset + 4 <= bytes.length; offset += 2) {
      const word = view.getUint32(offset, true);
      if (fault(word) !== word) view.setUint32(offset, fault(word), true);
    }
    return {...page, bytes};
  });
  return {...request, pages};
}
