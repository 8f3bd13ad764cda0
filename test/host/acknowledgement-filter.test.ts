// What passt hears of acknowledgements: windows in whole segments and bounded, repetitions now and then; every frame still has the checksum that
// belongs to it, and everything else passes as it is.

import assert from 'node:assert/strict';
import {AcknowledgementFilter} from '../../src/host/switch/acknowledgement-filter.ts';

const ACK = 0x10;
const SYN = 0x02;
const FIN = 0x01;
/** Segment size 1460, window scale 5, as Debian's kernel sends them. */
const OPTIONS = [2, 4, 0x05, 0xb4, 1, 3, 3, 5];

type Fields = {flags?: number; ack?: number; window?: number; options?: number[]; payload?: number[]; port?: number};

/** A frame from 10.0.2.15:PORT to 10.0.2.2:80, with a right TCP checksum. */
function segment({flags = ACK, ack = 1, window = 100, options = [], payload = [], port = 6379}: Fields): Uint8Array {
  const ipBytes = 20 + 20 + options.length + payload.length;
  const frame = new Uint8Array(Math.max(14 + ipBytes, 60));
  const view = new DataView(frame.buffer);
  view.setUint16(12, 0x0800);
  frame.set([0x45, 0, ipBytes >> 8, ipBytes & 255, 0, 0, 0x40, 0, 64, 6, 0, 0, 10, 0, 2, 15, 10, 0, 2, 2], 14);
  view.setUint16(34, port);
  view.setUint16(36, 80);
  view.setUint32(42, ack);
  frame.set([(5 + options.length / 4) << 4, flags], 46);
  view.setUint16(48, window);
  frame.set([...options, ...payload], 54);
  view.setUint16(50, ~sumOf(frame) & 0xffff);
  return frame;
}

/** The one's complement sum of pseudo header and segment: 0xffff when the checksum in it is right. */
function sumOf(frame: Uint8Array): number {
  const view = new DataView(frame.buffer, frame.byteOffset);
  const lengthBytes = view.getUint16(16) - 20;
  let sum = 6 + lengthBytes;
  for (let at = 26; at < 34; at += 2) sum += view.getUint16(at);
  for (let at = 0; at < lengthBytes; at += 2) {
    sum += at + 1 < lengthBytes ? view.getUint16(34 + at) : view.getUint8(34 + at) << 8;
  }
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return sum;
}

const windowOf = (frame: Uint8Array | undefined): number =>
  new DataView((frame ?? assert.fail('swallowed')).buffer).getUint16(48);

describe("what passt hears of a guest's acknowledgements", () => {
  let nowMs = 0;
  let filter: AcknowledgementFilter;

  beforeEach(() => {
    nowMs = 0;
    filter = new AcknowledgementFilter({nowMs: () => nowMs});
    const greeting = segment({flags: SYN | ACK, window: 64_240, options: OPTIONS});
    assert.equal(filter.pass(greeting), greeting, 'a greeting stays as it is');
  });

  it('a window is told in whole segments, none when it holds none, and 96 KiB at most', () => {
    const told = (window: number): number => windowOf(filter.pass(segment({ack: window + 2, window}))) * 32;
    for (const [window, segments] of [
      [0, 0],
      [45, 0],
      [46, 1],
      [100, 2],
      [2000, 43],
      [20_000, 67],
      [65_535, 67],
    ]) {
      const bytes = told(window);
      assert.ok(bytes <= segments * 1460 && bytes > segments * 1460 - 32, `${window}: ${bytes}`);
    }
  });

  it('has the right checksum whatever the window was', () => {
    let seed = 1;
    for (let n = 0; n < 20_000; n += 1) {
      seed = (Math.imul(seed, 1_103_515_245) + 12_345) >>> 0;
      const frame = segment({ack: seed, window: seed >>> 16, payload: n % 3 === 0 ? [n & 255] : []});
      const before = frame.slice();
      assert.equal(sumOf(frame), 0xffff);
      assert.equal(sumOf(filter.pass(frame) ?? assert.fail('swallowed')), 0xffff, `${n}`);
      assert.deepEqual(frame, before, 'the frame that the switch holds stays as it is');
    }
  });

  it('a repetition passes once in 200 ms; what carries anything new always does', () => {
    const passes = (fields: Fields): boolean => filter.pass(segment(fields)) !== undefined;
    assert.ok(passes({ack: 5}));
    for (nowMs = 1; nowMs < 200; nowMs += 1) assert.ok(!passes({ack: 5}));
    assert.ok(passes({ack: 5}), 'after 200 ms');
    assert.ok(!passes({ack: 5}));
    assert.ok(passes({ack: 5, window: 101}), 'another window');
    assert.ok(passes({ack: 6, window: 101}), 'something new');
    assert.ok(passes({ack: 6, window: 101, payload: [1]}), 'data');
    assert.ok(passes({ack: 6, window: 101, flags: ACK | FIN}), 'the end');
  });

  it('leaves alone what it does not know: other connections, other protocols, what is no segment', () => {
    const stranger = segment({port: 7000, window: 65_535});
    assert.equal(filter.pass(stranger), stranger);
    assert.equal(filter.pass(stranger), stranger);
    const udp = segment({});
    udp[23] = 17;
    const short = segment({}).subarray(0, 50);
    const torn = segment({});
    new DataView(torn.buffer).setUint16(16, 1500);
    for (const frame of [udp, short, torn]) assert.equal(filter.pass(frame), frame);
  });

  it('bounds what it remembers, and survives options that make no sense', () => {
    for (let port = 1; port <= 5000; port += 1) {
      filter.pass(segment({flags: SYN, port, options: [2, 0, 0, 0, 3, 200, 1, 1]}));
    }
    // The greeting before them is forgotten.
    const frame = segment({window: 65_535});
    assert.equal(filter.pass(frame), frame);
  });
});
