// The real-time clock: its time is a function of mtime, its alarm a deadline at an exact one.

import assert from 'node:assert/strict';
import {GoldfishRtc} from '../../src/emulator/devices/goldfish-rtc.ts';
import {StateTable} from '../../src/emulator/state-table.ts';
import {FakeLine} from './fake-machine.ts';

const EPOCH_NS = 1_790_000_000_123_456_789n;

function makeRtc() {
  const state = new StateTable();
  const line = new FakeLine();
  const clock = {ticks: 0n};
  const rtc = new GoldfishRtc({state, irq: line, epochNs: EPOCH_NS, mtime: () => clock.ticks});
  const write = (offset: number, value: bigint) => rtc.write(offset, 4, Number(value & 0xffff_ffffn) | 0);
  const read = (offset: number) => BigInt(rtc.read(offset, 4));
  const now = () => read(0) | (read(4) << 32n);
  const setAlarm = (timeNs: bigint) => {
    write(0x0c, timeNs >> 32n);
    write(0x08, timeNs);
  };
  return {state, line, clock, rtc, write, read, now, setAlarm};
}

describe('goldfish-rtc', () => {
  it('shows epoch + offset + mtime', () => {
    const {now, clock, rtc} = makeRtc();
    assert.equal(now(), EPOCH_NS);
    clock.ticks = 12_345_678n;
    assert.equal(now(), EPOCH_NS + 1_234_567_800n);
    rtc.setOffset(-5_000_000_000n);
    assert.equal(now(), EPOCH_NS + 1_234_567_800n - 5_000_000_000n);
    rtc.setOffset(7n);
    assert.equal(now(), EPOCH_NS + 1_234_567_807n);
  });

  it('latches the high half when the low one is read', () => {
    const {read, clock} = makeRtc();
    const low = read(0);
    clock.ticks += 2n ** 40n;
    assert.equal(low | (read(4) << 32n), EPOCH_NS);
  });

  it('lets the guest set its time, and goes on from there', () => {
    const {now, write, clock, rtc} = makeRtc();
    const wanted = 1_000_000_000_000_000_000n;
    write(0x04, wanted >> 32n);
    write(0x00, wanted);
    assert.equal(now(), wanted);
    clock.ticks += 10n;
    assert.equal(now(), wanted + 1000n);
    rtc.setOffset(50n);
    assert.equal(now(), wanted + 1050n);
    rtc.reset();
    assert.equal(now(), EPOCH_NS + 1050n, 'a reset takes back what the guest set, not what the host did');
  });

  it('raises its alarm at the first tick that reaches it', () => {
    const {rtc, clock, line, setAlarm, write, read} = makeRtc();
    write(0x10, 1n);
    setAlarm(EPOCH_NS + 1001n);
    assert.equal(rtc.nextAlarmTicks(), 11n);
    assert.equal(read(0x18), 1n);
    clock.ticks = 10n;
    rtc.update();
    assert.equal(line.level, false);
    clock.ticks = 11n;
    rtc.update();
    assert.equal(line.level, true);
    assert.equal(rtc.nextAlarmTicks(), undefined);
    assert.equal(read(0x18), 0n);
    write(0x1c, 1n);
    assert.equal(line.level, false);
  });

  it('raises an alarm that lies in the past at once, and one that an offset has overtaken', () => {
    const {rtc, line, setAlarm, write} = makeRtc();
    write(0x10, 1n);
    setAlarm(EPOCH_NS - 1n);
    assert.equal(line.level, true);
    write(0x1c, 1n);
    setAlarm(EPOCH_NS + 10n ** 12n);
    assert.equal(rtc.nextAlarmTicks(), 10n ** 10n);
    rtc.setOffset(10n ** 12n - 100n);
    assert.equal(rtc.nextAlarmTicks(), 1n);
    rtc.setOffset(10n ** 12n);
    assert.equal(line.level, true);
  });

  it('keeps a masked alarm pending, and clears one that has not come', () => {
    const {rtc, line, setAlarm, write, clock} = makeRtc();
    setAlarm(EPOCH_NS + 100n);
    clock.ticks = 1n;
    rtc.update();
    assert.equal(line.level, false);
    write(0x10, 1n);
    assert.equal(line.level, true);
    write(0x1c, 1n);
    setAlarm(EPOCH_NS + 1000n);
    write(0x14, 1n);
    assert.equal(rtc.nextAlarmTicks(), undefined);
  });
});
