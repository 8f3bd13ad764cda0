// The state file: a machine's state out and in again, by pieces of any size, and every damage refused by name and offset.

import assert from 'node:assert/strict';
import {readFileSync} from 'node:fs';
import fc from 'fast-check';
import {PAGE_BYTES, type PagedMemory} from '../../src/emulator/paged-memory.ts';
import {StateTable} from '../../src/emulator/state-table.ts';
import {FtvmError} from '../../src/errors.ts';
import {FORMAT_VERSION} from '../../src/logformat/limits.ts';
import {couldBeState, decodeState, StateDecoder} from '../../src/logformat/state-decoder.ts';
import {encodeState, type StateHeader, ZERO_PAGE} from '../../src/logformat/state-file.ts';
import {SEED} from './arbitrary-records.ts';
import {Cddl, decodeCborSequence} from './cddl.ts';
import {concat, makeLog, ramp, SAMPLE_HEADER} from './sample-log.ts';

const HEADER: Omit<StateHeader, 'formatVersion' | 'position' | 'outputOrdinal'> = {
  machineVersion: 1,
  ftvmVersion: '0.1.0',
  config: SAMPLE_HEADER.config,
  artefacts: SAMPLE_HEADER.artefacts,
  disks: SAMPLE_HEADER.disks,
  lineageId: SAMPLE_HEADER.lineageId,
  recordOrdinal: 41n,
};

describe(`the state file, seed ${SEED}`, () => {
  it('gives back the state, with zero pages and absent pages told apart', () => {
    const machine = makeMachine();
    const saved = decodeState(encodeState(machine, HEADER));
    assert.deepEqual(saved.header, {...HEADER, formatVersion: FORMAT_VERSION, position: 123n, outputOrdinal: 45n});
    assert.deepEqual(
      saved.entries.map(({name, type, bytes}) => [name, type, bytes]),
      machine.state.entries.map((entry) => [entry.name, entry.type, entry.read().slice()]),
    );
    assert.deepEqual(
      saved.memories.map(({name, pageCount, pages}) => [name, pageCount, [...pages.keys()]]),
      machine.memories.map((memory) => [memory.name, memory.pageCount, [...memory.present()]]),
    );
    saved.memories.forEach(({pages}, index) => {
      for (const [page, bytes] of pages) assert.deepEqual(bytes, machine.memories[index].page(page), `page ${page}`);
    });
    assert.equal(saved.memories[1].pages.get(9), ZERO_PAGE);
    assert.ok(!saved.memories[1].pages.has(8));
  });

  it('gives back any memory, whatever its pages', () => {
    const pages = fc.uniqueArray(fc.tuple(fc.nat(500), fc.nat(2)), {selector: ([index]) => index, maxLength: 400});
    fc.assert(
      fc.property(pages, fc.integer({min: 1, max: 500_000}), (contents, pieceBytes) => {
        const memory = new FakeMemory('ram', 501, new Map(contents.map(([index, fill]) => [index, filledPage(fill)])));
        const machine = {...makeMachine(), memories: [memory]};
        const bytes = concat([...encodeState(machine, HEADER)]);
        const decoder = new StateDecoder();
        for (let start = 0; start < bytes.length; start += pieceBytes) {
          decoder.push(bytes.subarray(start, start + pieceBytes));
        }
        const [read] = decoder.end().memories;
        assert.deepEqual([...read.pages.keys()], [...memory.present()]);
        for (const [page, content] of read.pages) assert.ok(Buffer.compare(content, memory.page(page)!) === 0);
      }),
      {seed: SEED, numRuns: 20},
    );
  });

  it('writes long runs of zeros as almost nothing', () => {
    const memory = new FakeMemory(
      'ram',
      65_536,
      new Map(Array.from({length: 65_536}, (_, index) => [index, ZERO_PAGE])),
    );
    const bytes = concat([...encodeState({...makeMachine(), memories: [memory]}, HEADER)]);
    // The machine's blob alone takes 100,000.
    assert.ok(bytes.length < 102_000, `${bytes.length} bytes`);
    assert.equal(decodeState([bytes]).memories[0].pages.size, 65_536);
  });

  it('cut at every byte, is torn', () => {
    const bytes = smallState();
    for (let length = 0; length < bytes.length; length++) {
      assert.throws(
        () => decodeState([bytes.subarray(0, length)]),
        (error: FtvmError) => error.code === 'torn' && Number(error.details['offset']) <= length,
        `cut at ${length}`,
      );
    }
  });

  it('with any single bit changed, is refused by name and offset', () => {
    const bytes = smallState();
    for (let bit = 0; bit < bytes.length * 8; bit++) {
      bytes[bit >> 3] ^= 1 << (bit & 7);
      assert.throws(
        () => decodeState([bytes]),
        (error: unknown) => {
          assert.ok(error instanceof FtvmError, String(error));
          assert.equal(error.code, bit < 64 ? 'notALog' : 'corrupt');
          assert.ok(Number(error.details['offset']) <= bit >> 3);
          return true;
        },
        `bit ${bit & 7} of byte ${bit >> 3}`,
      );
      bytes[bit >> 3] ^= 1 << (bit & 7);
    }
    decodeState([bytes]);
  });

  it('with a chunk missing, repeated, or bytes behind its end, is corrupt', () => {
    const parts = [...encodeState(makeMachine(), HEADER)];
    for (let index = 1; index < parts.length; index++) {
      const code = index === parts.length - 1 ? 'torn' : 'corrupt';
      refuses(concat(parts.toSpliced(index, 1)), code);
      refuses(concat(parts.toSpliced(index, 0, parts[index])), 'corrupt');
    }
    refuses(concat([...parts, Uint8Array.of(0)]), 'corrupt');
  });

  it('is told from a log, and a log from it', () => {
    const log = makeLog().bytes;
    refuses(log, 'notALog');
    assert.ok(!couldBeState(log));
    assert.ok(couldBeState(smallState()));
  });

  it('is what docs/log-format.cddl says', () => {
    const cddl = new Cddl(readFileSync(new URL('../../docs/log-format.cddl', import.meta.url), 'utf8'));
    const rules: Record<number, string> = {0: 'state-header', 1: 'state-entry', 2: 'state-memory', 4: 'state-end'};
    const seen = new Set<string>();
    for (const part of [...encodeState(makeMachine(), HEADER)].slice(1)) {
      const rule = rules[part[1]];
      if (rule === undefined) continue;
      for (const node of decodeCborSequence(part.subarray(24))) assert.ok(cddl.matches(node, rule), rule);
      seen.add(rule);
    }
    assert.equal(seen.size, 4);
  });
});

class FakeMemory implements PagedMemory {
  readonly name: string;
  readonly pageCount: number;
  readonly #pages: Map<number, Uint8Array>;

  constructor(name: string, pageCount: number, pages: Map<number, Uint8Array>) {
    this.name = name;
    this.pageCount = pageCount;
    this.#pages = pages;
  }

  page(index: number): Uint8Array | undefined {
    return this.#pages.get(index);
  }

  setPage(index: number, bytes: Uint8Array | undefined): void {
    if (bytes === undefined) this.#pages.delete(index);
    else this.#pages.set(index, bytes);
  }

  present(): number[] {
    return [...this.#pages.keys()].sort((a, b) => a - b);
  }

  filled(): number[] {
    return this.present();
  }

  takeDirty(): number[] {
    return [];
  }
}

function makeMachine() {
  const state = new StateTable();
  state.u8('hart.privilege').value = 3;
  state.u16('uart.divisor').value = 0x1234;
  state.u32('plic.enable').value = 0xffff_ffff;
  state.u64('x10').value = 2n ** 64n - 1n;
  state.bytes('f', 256).fill(7);
  state.blob('disk0.request.0', 1 << 20).bytes = new Uint8Array(100_000).fill(5);
  state.blob('uart.queue', 10);
  const ram = Array.from({length: 200}, (_, index): [number, Uint8Array] => [
    index,
    filledPage(index % 70 === 0 ? index : 0),
  ]);
  const overlay: [number, Uint8Array][] = [
    [3, filledPage(1)],
    [4, filledPage(2)],
    [9, filledPage(0)],
    [4095, filledPage(9)],
  ];
  return {
    position: 123n,
    outputOrdinal: 45n,
    state,
    memories: [new FakeMemory('ram', 200, new Map(ram)), new FakeMemory('disk0.overlay', 4096, new Map(overlay))],
  };
}

function filledPage(fill: number): Uint8Array {
  return fill === 0 ? new Uint8Array(PAGE_BYTES) : new Uint8Array(PAGE_BYTES).fill(fill);
}

/** A state without data pages, for tests that visit every byte. */
function smallState(): Uint8Array {
  const state = new StateTable();
  state.u64('pc').value = 0x8000_0000n;
  state.blob('uart.queue', 10).bytes = ramp(3);
  const memories = [new FakeMemory('ram', 16, new Map(Array.from({length: 16}, (_, index) => [index, ZERO_PAGE])))];
  return concat([
    ...encodeState({position: 7n, outputOrdinal: 0n, state, memories}, {...HEADER, config: SAMPLE_HEADER.config}),
  ]);
}

function refuses(bytes: Uint8Array, code: string): void {
  assert.throws(
    () => decodeState([bytes]),
    (error: unknown) => {
      assert.ok(error instanceof FtvmError, String(error));
      assert.equal(error.code, code);
      assert.ok(error.hint);
      return true;
    },
  );
}
