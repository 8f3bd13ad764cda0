// The entropy device: a request waits until the host supplies bytes.

import assert from 'node:assert/strict';
import {VirtioEntropy} from '../../src/emulator/devices/virtio-entropy.ts';
import {StateTable} from '../../src/emulator/state-table.ts';
import {
  bringUp,
  copyState,
  dumpState,
  FakeLine,
  FakeMemory,
  FEATURE_VERSION_1,
  RAM_BASE,
  RingDriver,
} from './fake-machine.ts';

const BUFFERS = RAM_BASE + 0x10000;

function makeParts(memory: FakeMemory) {
  const state = new StateTable();
  const line = new FakeLine();
  const entropy = new VirtioEntropy({state, name: 'entropy', irq: line, memory});
  return {state, line, entropy};
}

function makeEntropy() {
  const memory = new FakeMemory();
  const parts = makeParts(memory);
  const ring = new RingDriver(memory, {base: RAM_BASE + 0x1000, size: 8});
  assert.equal(bringUp(parts.entropy, FEATURE_VERSION_1, [ring]), 15);
  return {...parts, memory, ring};
}

describe('virtio-entropy', () => {
  it('completes requests in order, cutting what is too long', () => {
    const {entropy, memory, ring, line} = makeEntropy();
    assert.equal(entropy.wantedBytes, 0);
    const first = ring.add([
      {address: BUFFERS, lengthBytes: 10, writable: true},
      {address: BUFFERS + 100, lengthBytes: 6, writable: true},
    ]);
    const second = ring.add([{address: BUFFERS + 200, lengthBytes: 64, writable: true}]);
    ring.notify(entropy);
    assert.equal(entropy.wantedBytes, 16);
    entropy.supply(Uint8Array.from({length: 20}, (_, index) => index + 1));
    assert.deepEqual(ring.takeUsed(), {head: first, writtenBytes: 16});
    assert.deepEqual([...memory.read(BUFFERS + 100, 7)], [11, 12, 13, 14, 15, 16, 0]);
    assert.equal(line.rises, 1);
    assert.equal(entropy.wantedBytes, 64);
    entropy.supply(Uint8Array.of(7));
    assert.deepEqual(ring.takeUsed(), {head: second, writtenBytes: 1});
    assert.equal(entropy.wantedBytes, 0);
    assert.throws(() => entropy.supply(Uint8Array.of(1)), {name: 'FtvmError', code: 'divergence'});
  });

  it('bounds what one request may want', () => {
    const {entropy, ring} = makeEntropy();
    ring.add([{address: BUFFERS, lengthBytes: 0x8000, writable: true}]);
    ring.notify(entropy);
    assert.equal(entropy.wantedBytes, 4096);
    entropy.supply(new Uint8Array(5000));
    assert.equal(ring.takeUsed()?.writtenBytes, 4096);
  });

  it('asks for a reset when a request has no room', () => {
    const {entropy, ring, line} = makeEntropy();
    ring.add([{address: BUFFERS, lengthBytes: 8, writable: false}]);
    ring.notify(entropy);
    assert.equal(entropy.read(0x70, 4), 15 | 0x40);
    assert.equal(entropy.read(0x60, 4), 2);
    assert.equal(line.level, true);
    assert.equal(entropy.wantedBytes, 0);
  });

  it('goes on identically from a restored state', () => {
    const one = makeEntropy();
    one.ring.add([{address: BUFFERS, lengthBytes: 8, writable: true}]);
    one.ring.notify(one.entropy);
    const memory = new FakeMemory();
    memory.bytes.set(one.memory.bytes);
    const two = makeParts(memory);
    copyState(one.state, two.state);
    assert.equal(two.entropy.wantedBytes, 8);
    for (const {entropy} of [one, two]) entropy.supply(Uint8Array.of(1, 2, 3));
    assert.deepEqual(dumpState(two.state), dumpState(one.state));
    assert.deepEqual(memory.bytes, one.memory.bytes);
  });
});
