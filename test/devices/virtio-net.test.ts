// The network device: frames out at the notification, frames in as one input with one interrupt.

import assert from 'node:assert/strict';
import {VirtioNet} from '../../src/emulator/devices/virtio-net.ts';
import {StateTable} from '../../src/emulator/state-table.ts';
import {
  bringUp,
  copyState,
  dumpState,
  FakeLine,
  FakeMemory,
  FEATURE_EVENT_IDX,
  FEATURE_VERSION_1,
  RAM_BASE,
  RingDriver,
} from './fake-machine.ts';

const MAC = Uint8Array.of(0x52, 0x54, 0, 1, 2, 3);
const MRG_RXBUF = 1n << 15n;
const BUFFERS = RAM_BASE + 0x10000;

function makeParts(memory: FakeMemory) {
  const state = new StateTable();
  const line = new FakeLine();
  const sent: Uint8Array[] = [];
  const net = new VirtioNet({state, name: 'net0', irq: line, memory, mac: MAC, emit: (frame) => sent.push(frame)});
  return {state, line, sent, net};
}

function makeNet(features = FEATURE_VERSION_1) {
  const memory = new FakeMemory();
  const parts = makeParts(memory);
  const receive = new RingDriver(memory, {base: RAM_BASE + 0x1000, size: 64, index: 0});
  const transmit = new RingDriver(memory, {base: RAM_BASE + 0x4000, size: 16, index: 1});
  assert.equal(bringUp(parts.net, features, [receive, transmit]), 15);
  return {...parts, memory, receive, transmit};
}

const frame = (lengthBytes: number, fill: number) => new Uint8Array(lengthBytes).fill(fill);

describe('virtio-net', () => {
  it('shows its address and a link that is up', () => {
    const {net} = makeNet();
    assert.equal(net.read(8, 4), 1);
    assert.deepEqual(
      [0, 1, 2, 3, 4, 5].map((offset) => net.read(0x100 + offset, 1)),
      [...MAC],
    );
    assert.equal(net.read(0x106, 2), 1);
  });

  it('sends each frame, without its header, at the notification', () => {
    const {net, memory, transmit, sent, line} = makeNet();
    memory.write(BUFFERS, frame(12, 0));
    memory.write(BUFFERS + 12, frame(60, 0xaa));
    memory.write(BUFFERS + 0x1000, frame(1500, 0xbb));
    const first = transmit.add([{address: BUFFERS, lengthBytes: 72, writable: false}]);
    const second = transmit.add([
      {address: BUFFERS, lengthBytes: 12, writable: false},
      {address: BUFFERS + 0x1000, lengthBytes: 14, writable: false},
      {address: BUFFERS + 0x1000, lengthBytes: 1000, writable: false},
    ]);
    transmit.notify(net);
    assert.deepEqual(sent, [frame(60, 0xaa), frame(1014, 0xbb)]);
    assert.deepEqual(transmit.takeUsed(), {head: first, writtenBytes: 0});
    assert.deepEqual(transmit.takeUsed(), {head: second, writtenBytes: 0});
    assert.equal(line.rises, 1);
  });

  it('drops runts and giants of the guest, and goes on', () => {
    const {net, transmit, sent} = makeNet();
    transmit.add([{address: BUFFERS, lengthBytes: 5, writable: false}]);
    transmit.add([{address: BUFFERS, lengthBytes: 25, writable: false}]);
    transmit.add([{address: BUFFERS, lengthBytes: 0x10100, writable: false}]);
    transmit.add([{address: BUFFERS, lengthBytes: 26, writable: false}]);
    transmit.notify(net);
    assert.equal(sent.length, 1);
    assert.equal(net.droppedFrames, 3);
  });

  it('receives many frames with one interrupt', () => {
    const {net, memory, receive, line} = makeNet();
    const heads = [0, 1, 2].map((slot) =>
      receive.add([{address: BUFFERS + 0x800 * slot, lengthBytes: 1526, writable: true}]),
    );
    receive.notify(net);
    net.receive([frame(60, 1), frame(1514, 2)]);
    assert.equal(line.rises, 1);
    assert.deepEqual(receive.takeUsed(), {head: heads[0], writtenBytes: 72});
    assert.deepEqual(receive.takeUsed(), {head: heads[1], writtenBytes: 1526});
    assert.equal(receive.takeUsed(), undefined);
    assert.deepEqual(memory.read(BUFFERS, 12), Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0));
    assert.deepEqual(memory.read(BUFFERS + 12, 60), frame(60, 1));
    assert.deepEqual(memory.read(BUFFERS + 0x800 + 12, 1514), frame(1514, 2));
  });

  it('spreads a frame over merged buffers', () => {
    const {net, memory, receive} = makeNet(FEATURE_VERSION_1 | MRG_RXBUF);
    const heads = [0, 1, 2].map((slot) =>
      receive.add([{address: BUFFERS + 0x400 * slot, lengthBytes: 512, writable: true}]),
    );
    const bytes = Uint8Array.from({length: 1100}, (_, index) => index & 0xff);
    net.receive([bytes]);
    assert.deepEqual(
      heads.map(() => receive.takeUsed()),
      heads.map((head, index) => ({head, writtenBytes: [512, 512, 88][index]})),
    );
    assert.equal(memory.readU16(BUFFERS + 10), 3);
    const received = [
      ...memory.read(BUFFERS + 12, 500),
      ...memory.read(BUFFERS + 0x400, 512),
      ...memory.read(BUFFERS + 0x800, 88),
    ];
    assert.deepEqual(Uint8Array.from(received), bytes);
  });

  it('keeps frames without buffers, in order, until the guest adds some', () => {
    const {net, memory, receive, line} = makeNet(FEATURE_VERSION_1 | FEATURE_EVENT_IDX);
    net.receive([frame(60, 1), frame(60, 2)]);
    assert.equal(line.level, false);
    assert.equal(receive.availEvent, 0);
    receive.add([{address: BUFFERS, lengthBytes: 128, writable: true}]);
    net.receive([frame(60, 3)]);
    assert.equal(memory.read(BUFFERS + 12, 1)[0], 1);
    receive.add([{address: BUFFERS + 128, lengthBytes: 128, writable: true}]);
    receive.add([{address: BUFFERS + 256, lengthBytes: 128, writable: true}]);
    receive.add([{address: BUFFERS + 384, lengthBytes: 128, writable: true}]);
    receive.notify(net);
    assert.deepEqual(
      [1, 2].map((slot) => memory.read(BUFFERS + 128 * slot + 12, 1)[0]),
      [2, 3],
    );
    assert.equal(receive.availEvent, 3);
    assert.equal(net.droppedFrames, 0);
  });

  it('drops what exceeds its queue, and what comes before the driver', () => {
    const {net} = makeNet();
    net.receive(Array.from({length: 300}, () => frame(60, 1)));
    assert.equal(net.droppedFrames, 44);
    net.receive([frame(1514, 1)]);
    assert.equal(net.droppedFrames, 45);
    net.write(0x70, 4, 0);
    assert.equal(net.droppedFrames, 0);
    net.receive([frame(60, 1), frame(13, 1)]);
    assert.equal(net.droppedFrames, 2);

    const bytes = makeNet().net;
    bytes.receive(Array.from({length: 10}, () => frame(65000, 1)));
    assert.equal(bytes.droppedFrames, 2);
  });

  it('drops a frame that no buffer can ever hold', () => {
    const {net, receive} = makeNet();
    receive.add([{address: BUFFERS, lengthBytes: 100, writable: true}]);
    net.receive([frame(1514, 1), frame(60, 2)]);
    assert.equal(net.droppedFrames, 1);
    assert.equal(receive.takeUsed()?.writtenBytes, 72);
  });

  it('goes on identically from a restored state, waiting frames included', () => {
    const one = makeNet();
    one.net.receive([frame(60, 1), frame(100, 2), frame(60, 3)]);
    one.receive.add([{address: BUFFERS, lengthBytes: 1526, writable: true}]);
    one.receive.notify(one.net);
    one.receive.add([{address: BUFFERS + 0x800, lengthBytes: 1526, writable: true}]);
    const memory = new FakeMemory();
    memory.bytes.set(one.memory.bytes);
    const two = makeParts(memory);
    copyState(one.state, two.state);
    one.net.receive([frame(60, 4), frame(60, 5)]);
    two.net.receive([frame(60, 4), frame(60, 5)]);
    assert.deepEqual(dumpState(two.state), dumpState(one.state));
    assert.deepEqual(memory.bytes, one.memory.bytes);
  });
});
