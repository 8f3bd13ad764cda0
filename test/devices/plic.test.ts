// The PLIC: level-triggered gateways, priorities, thresholds, claims and completions.

import assert from 'node:assert/strict';
import fc from 'fast-check';
import {PLIC_SOURCES, Plic} from '../../src/emulator/devices/plic.ts';
import {StateTable} from '../../src/emulator/state-table.ts';
import {copyState, dumpState, FakeLine, SEED} from './fake-machine.ts';

const enableBase = (context: number) => 0x2000 + 0x80 * context;
const threshold = (context: number) => 0x200000 + 0x1000 * context;
const claim = (context: number) => threshold(context) + 4;

function makePlic() {
  const state = new StateTable();
  const meip = new FakeLine();
  const seip = new FakeLine();
  const plic = new Plic({state, harts: [{meip, seip}]});
  return {state, meip, seip, plic, lines: Array.from({length: PLIC_SOURCES}, (_, index) => plic.line(index + 1))};
}

type Fixture = ReturnType<typeof makePlic>;

const write = ({plic}: Fixture, offset: number, value: number) => plic.write(offset, 4, value);
const read = ({plic}: Fixture, offset: number) => plic.read(offset, 4);
const line = ({lines}: Fixture, source: number) => lines[source - 1] ?? assert.fail(`no source ${source}`);

function enable(fixture: Fixture, options: {context: number; sources: number[]}): void {
  for (const source of options.sources) {
    const offset = enableBase(options.context) + 4 * (source >> 5);
    write(fixture, offset, read(fixture, offset) | (1 << (source & 31)));
  }
}

describe('plic', () => {
  it('claims the highest priority first, of equals the lowest number', () => {
    const plic = makePlic();
    for (const [source, priority] of [
      [3, 2],
      [40, 5],
      [41, 5],
      [95, 1],
    ] as const) {
      write(plic, 4 * source, priority);
      line(plic, source).set(true);
    }
    enable(plic, {context: 1, sources: [3, 40, 41, 95]});
    assert.equal(plic.seip.level, true);
    assert.equal(plic.meip.level, false);
    assert.deepEqual(
      [1, 2, 3, 4, 5].map(() => read(plic, claim(1))),
      [40, 41, 3, 95, 0],
    );
    assert.equal(plic.seip.level, false);
  });

  it('keeps a source in service until its completion, and pends it again while its line is high', () => {
    const plic = makePlic();
    write(plic, 40, 1);
    enable(plic, {context: 0, sources: [10]});
    line(plic, 10).set(true);
    assert.equal(read(plic, 0x1000), 1 << 10);
    assert.equal(read(plic, claim(0)), 10);
    assert.equal(read(plic, 0x1000), 0);
    assert.equal(plic.meip.level, false);
    line(plic, 10).set(false);
    line(plic, 10).set(true);
    assert.equal(plic.meip.level, false);
    write(plic, claim(0), 10);
    assert.equal(plic.meip.level, true);
    line(plic, 10).set(false);
    assert.equal(plic.meip.level, true, 'a request stays until its claim, though its line has fallen');
    assert.equal(read(plic, claim(0)), 10);
    write(plic, claim(0), 10);
    assert.equal(plic.meip.level, false);
    assert.equal(read(plic, claim(0)), 0);
  });

  it('interrupts above the threshold only; a claim ignores it', () => {
    const plic = makePlic();
    write(plic, 40, 3);
    enable(plic, {context: 1, sources: [10]});
    write(plic, threshold(1), 3);
    line(plic, 10).set(true);
    assert.equal(plic.seip.level, false);
    write(plic, threshold(1), 2);
    assert.equal(plic.seip.level, true);
    write(plic, threshold(1), 7);
    assert.equal(read(plic, claim(1)), 10);
  });

  it('ignores completions of what is not enabled for the context', () => {
    const plic = makePlic();
    write(plic, 40, 1);
    enable(plic, {context: 1, sources: [10]});
    line(plic, 10).set(true);
    assert.equal(read(plic, claim(1)), 10);
    write(plic, claim(0), 10);
    assert.equal(plic.seip.level, false);
    for (const nonsense of [0, 96, 1023, 0xffff_ffff]) write(plic, claim(1), nonsense);
    assert.equal(plic.seip.level, false);
    write(plic, claim(1), 10);
    assert.equal(plic.seip.level, true);
  });

  it('has registers only where the layout has them', () => {
    const plic = makePlic();
    write(plic, 0, 7);
    assert.equal(read(plic, 0), 0, 'source 0 does not exist');
    write(plic, 4 * 96, 7);
    assert.equal(read(plic, 4 * 96), 0);
    write(plic, 4, 0xff);
    assert.equal(read(plic, 4), 7, 'three bits of priority');
    write(plic, enableBase(1), 0xffff_ffff);
    assert.equal(read(plic, enableBase(1)), 0xffff_fffe);
    write(plic, enableBase(2), 0xffff_ffff);
    assert.equal(read(plic, enableBase(2)), 0);
    write(plic, 0x1000, 0xffff_ffff);
    assert.equal(read(plic, 0x1000), 0);
    assert.equal(plic.plic.read(4, 1), 0);
    assert.equal(read(plic, claim(2)), 0);
    assert.equal(read(plic, 0x5ffffc), 0);
  });

  it(`agrees with a plain model, also after restores (seed ${SEED})`, () => {
    const step = fc.oneof(
      fc.record({kind: fc.constant('line' as const), source: fc.integer({min: 1, max: 40}), level: fc.boolean()}),
      fc.record({kind: fc.constant('priority' as const), source: fc.integer({min: 1, max: 40}), value: fc.nat(7)}),
      fc.record({
        kind: fc.constant('enable' as const),
        context: fc.nat(1),
        word: fc.nat(1),
        value: fc.nat(0xffff_ffff),
      }),
      fc.record({kind: fc.constant('threshold' as const), context: fc.nat(1), value: fc.nat(7)}),
      fc.record({kind: fc.constant('claim' as const), context: fc.nat(1)}),
      fc.record({kind: fc.constant('complete' as const), context: fc.nat(1), source: fc.nat(40)}),
    );
    fc.assert(
      fc.property(fc.array(step, {maxLength: 120}), (steps) => {
        let plic = makePlic();
        const model = {
          level: new Set<number>(),
          pending: new Set<number>(),
          inService: new Set<number>(),
          priority: new Map<number, number>(),
          enable: [new Map<number, number>(), new Map<number, number>()],
          threshold: [0, 0],
        };
        const enabled = (context: number, source: number) =>
          (((model.enable[context]?.get(source >> 5) ?? 0) >>> (source & 31)) & 1) === 1;
        const best = (context: number) =>
          [...model.pending]
            .filter((source) => enabled(context, source))
            .map((source) => ({source, priority: model.priority.get(source) ?? 0}))
            .filter(({priority}) => priority > 0)
            .sort((left, right) => right.priority - left.priority || left.source - right.source)[0];
        for (const at of steps) {
          const restored = makePlic();
          copyState(plic.state, restored.state);
          restored.meip.level = plic.meip.level;
          restored.seip.level = plic.seip.level;
          plic = restored;
          switch (at.kind) {
            case 'line':
              line(plic, at.source).set(at.level);
              if (at.level) model.level.add(at.source);
              else model.level.delete(at.source);
              if (at.level && !model.inService.has(at.source)) model.pending.add(at.source);
              break;
            case 'priority':
              write(plic, 4 * at.source, at.value);
              model.priority.set(at.source, at.value);
              break;
            case 'enable':
              write(plic, enableBase(at.context) + 4 * at.word, at.value);
              model.enable[at.context]?.set(at.word, at.word === 0 ? at.value & ~1 : at.value);
              break;
            case 'threshold':
              write(plic, threshold(at.context), at.value);
              model.threshold[at.context] = at.value;
              break;
            case 'claim': {
              const expected = best(at.context)?.source ?? 0;
              assert.equal(read(plic, claim(at.context)), expected);
              if (expected !== 0) model.inService.add(expected);
              model.pending.delete(expected);
              break;
            }
            case 'complete':
              write(plic, claim(at.context), at.source);
              if (!enabled(at.context, at.source) || !model.inService.delete(at.source)) break;
              if (model.level.has(at.source)) model.pending.add(at.source);
              break;
          }
          assert.equal(plic.meip.level, (best(0)?.priority ?? 0) > (model.threshold[0] ?? 0));
          assert.equal(plic.seip.level, (best(1)?.priority ?? 0) > (model.threshold[1] ?? 0));
        }
      }),
      {seed: SEED, numRuns: 200},
    );
  });

  it('forgets everything at a reset', () => {
    const plic = makePlic();
    const fresh = dumpState(plic.state);
    write(plic, 40, 1);
    enable(plic, {context: 1, sources: [10]});
    line(plic, 10).set(true);
    read(plic, claim(1));
    write(plic, threshold(1), 2);
    plic.plic.reset();
    assert.equal(plic.seip.level, false);
    assert.deepEqual(dumpState(plic.state), fresh);
  });
});
