// The memory map, and the finisher, which has nothing but its one register.

import assert from 'node:assert/strict';
import type {Ending} from '../../src/emulator/config.ts';
import {Bus} from '../../src/emulator/devices/bus.ts';
import type {Device} from '../../src/emulator/devices/device.ts';
import {Finisher} from '../../src/emulator/devices/finisher.ts';

function makeDevice(name: string): Device & {log: string[]} {
  const log: string[] = [];
  return {
    name,
    log,
    read: (offset, sizeBytes) => {
      log.push(`read ${offset} ${sizeBytes}`);
      return -1;
    },
    write: (offset, sizeBytes, value) => void log.push(`write ${offset} ${sizeBytes} ${value}`),
    reset: () => {},
  };
}

describe('bus', () => {
  it('finds a device and the offset in it', () => {
    const bus = new Bus();
    const low = makeDevice('low');
    const high = makeDevice('high');
    bus.map({base: 0x1000, lengthBytes: 0x100, device: low});
    bus.map({base: 0x1100, lengthBytes: 0x10, device: high});
    assert.deepEqual(bus.find(0x10ff), {device: low, offset: 0xff});
    assert.deepEqual(bus.find(0x1100), {device: high, offset: 0});
    for (const address of [0, 0xfff, 0x1110, 2 ** 50]) assert.equal(bus.find(address), undefined);
    assert.equal(bus.read(0x1104, 4), 0xffff_ffff);
    assert.equal(bus.write(0x1102, 2, 7), true);
    assert.deepEqual(high.log, ['read 4 4', 'write 2 2 7']);
  });

  it('refuses accesses that leave a device', () => {
    const bus = new Bus();
    const device = makeDevice('device');
    bus.map({base: 0x1000, lengthBytes: 0x10, device});
    assert.equal(bus.read(0x100e, 4), undefined);
    assert.equal(bus.write(0x100e, 4, 0), false);
    assert.equal(bus.read(0x0fff, 2), undefined);
    assert.deepEqual(device.log, []);
  });

  it('refuses overlapping devices', () => {
    const bus = new Bus();
    bus.map({base: 0x1000, lengthBytes: 0x100, device: makeDevice('one')});
    assert.throws(() => bus.map({base: 0x10ff, lengthBytes: 1, device: makeDevice('two')}), /two overlaps one/);
  });
});

describe('finisher', () => {
  it('ends with pass, fail and reset', () => {
    const endings: Ending[] = [];
    const finisher = new Finisher({finish: (ending) => endings.push(ending)});
    finisher.write(0, 4, 0x5555);
    finisher.write(0, 2, 0x5555);
    finisher.write(0, 4, 0x002a_3333);
    finisher.write(0, 4, 0xffff_3333 | 0);
    finisher.write(0, 2, 0x3333);
    finisher.write(0, 4, 0x7777);
    assert.deepEqual(endings, [
      {kind: 'poweroff', code: 0},
      {kind: 'poweroff', code: 0},
      {kind: 'poweroff', code: 42},
      {kind: 'poweroff', code: 0xffff},
      {kind: 'poweroff', code: 0},
      {kind: 'reset'},
    ]);
  });

  it('ignores everything else', () => {
    const finisher = new Finisher({finish: () => assert.fail('ended')});
    finisher.write(0, 4, 0x1234);
    finisher.write(4, 4, 0x5555);
    finisher.write(0, 1, 0x55);
    assert.equal(finisher.read(), 0);
  });
});
