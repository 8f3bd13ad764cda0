// The overlay: pages over a base image that never changes.

import assert from 'node:assert/strict';
import fc from 'fast-check';
import {DiskOverlay} from '../../src/emulator/devices/disk-overlay.ts';
import {FakeImage, SEED} from './fake-machine.ts';

const PAGES = 8;
const SIZE_BYTES = PAGES * 4096 + 512;

function makeOverlay(limitPages?: number) {
  const original = Uint8Array.from({length: SIZE_BYTES}, (_, index) => (index * 7 + (index >> 8)) & 0xff);
  const base = new FakeImage(original.slice());
  const overlay = new DiskOverlay({name: 'disk0.overlay', base, ...(limitPages === undefined ? {} : {limitPages})});
  return {original, base, overlay};
}

function readAll(overlay: DiskOverlay): Uint8Array {
  const bytes = new Uint8Array(SIZE_BYTES);
  overlay.read(0, bytes);
  return bytes;
}

describe('disk-overlay', () => {
  it(`reads back what was written, and leaves the base alone (seed ${SEED})`, () => {
    const range = fc.tuple(fc.nat(SIZE_BYTES - 1), fc.nat(3 * 4096)).map(([offset, length]) => ({
      offset,
      length: Math.min(length + 1, SIZE_BYTES - offset),
    }));
    const step = fc.record({
      kind: fc.constantFrom('write' as const, 'zero' as const, 'discard' as const),
      range,
      fill: fc.nat(255),
    });
    fc.assert(
      fc.property(fc.array(step, {maxLength: 30}), (steps) => {
        const {original, base, overlay} = makeOverlay();
        const model = original.slice();
        for (const {kind, range, fill} of steps) {
          if (kind === 'write') {
            const bytes = Uint8Array.from({length: range.length}, (_, index) => (fill + index) & 0xff);
            assert.equal(overlay.write(range.offset, bytes), true);
            model.set(bytes, range.offset);
          } else if (kind === 'zero') {
            assert.equal(overlay.writeZeroes(range.offset, range.length), true);
            model.fill(0, range.offset, range.offset + range.length);
          } else {
            overlay.discard(range.offset, range.length);
            for (let page = Math.ceil(range.offset / 4096); (page + 1) * 4096 <= range.offset + range.length; page++) {
              model.set(original.subarray(page * 4096, (page + 1) * 4096), page * 4096);
            }
          }
          assert.deepEqual(readAll(overlay), model);
        }
        assert.deepEqual(base.bytes, original);
        const copy = new DiskOverlay({name: 'copy', base});
        for (const index of overlay.present()) copy.setPage(index, overlay.page(index));
        assert.deepEqual(readAll(copy), model);
      }),
      {seed: SEED, numRuns: 100},
    );
  });

  it('names dirty pages once, ascending', () => {
    const {overlay} = makeOverlay();
    overlay.write(5 * 4096 + 10, new Uint8Array(4096));
    overlay.writeZeroes(0, 512);
    overlay.write(5 * 4096, new Uint8Array(1));
    assert.deepEqual(overlay.takeDirty(), [0, 5, 6]);
    assert.deepEqual(overlay.takeDirty(), []);
    overlay.discard(5 * 4096, 4096);
    overlay.discard(7 * 4096, 4096);
    assert.deepEqual(overlay.takeDirty(), [5]);
    assert.deepEqual([...overlay.present()], [0, 6]);
    assert.equal(overlay.page(5), undefined);
    assert.equal(overlay.pageCount, PAGES + 1);
  });

  it('never writes into the page of zeros that it shares', () => {
    const {overlay} = makeOverlay();
    overlay.writeZeroes(0, 3 * 4096);
    overlay.write(4096 + 5, Uint8Array.of(1));
    const bytes = readAll(overlay);
    assert.equal(bytes[5], 0);
    assert.equal(bytes[4096 + 5], 1);
    assert.equal(bytes[8192 + 5], 0);
  });

  it('says when it is full, with nothing written', () => {
    const {overlay, original} = makeOverlay(2);
    assert.equal(overlay.write(0, new Uint8Array(3 * 4096)), false);
    assert.deepEqual(readAll(overlay), original);
    assert.equal(overlay.write(0, new Uint8Array(2 * 4096)), true);
    assert.equal(overlay.write(100, new Uint8Array(4096)), true);
    assert.equal(overlay.writeZeroes(2 * 4096, 1), false);
  });
});
