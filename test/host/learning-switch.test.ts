// The switch's table: what is known goes one way, what is not goes everywhere, a MAC that moved is counted once, and who sends too much waits.

import assert from 'node:assert/strict';
import {setTimeout as sleep} from 'node:timers/promises';
import {LearningSwitch} from '../../src/host/switch/learning-switch.ts';
import {RecentFrames} from '../../src/host/switch/recent-frames.ts';

const A = [2, 0, 0, 0, 0, 0xa];
const B = [2, 0, 0, 0, 0, 0xb];
const C = [2, 0, 0, 0, 0, 0xc];
const EVERYBODY = [255, 255, 255, 255, 255, 255];
const frame = (to: number[], from: number[], number = 0): Uint8Array => Uint8Array.from([...to, ...from, 8, 0, number]);

class Lan {
  nowMs = 0;
  readonly table = new LearningSwitch({nowMs: () => this.nowMs});
  readonly arrived: string[] = [];
  readonly frames: {port: string; number: number}[] = [];
  /** Ports whose peers are slow. */
  readonly congested = new Set<string>();
  /** Ports that are not read. */
  readonly held = new Set<string>();

  plug(name: string): number {
    return this.table.attach({
      name,
      send: (sent) => {
        this.frames.push({port: name, number: sent[14]});
        return this.arrived.push(name) > 0;
      },
      congested: () => this.congested.has(name),
      read: ({on}) => (on ? this.held.delete(name) : this.held.add(name)),
    });
  }

  /** Where the frame came out. */
  send(port: number, to: number[], from: number[]): string {
    this.arrived.length = 0;
    this.table.receive(port, frame(to, from));
    return this.arrived.join(' ');
  }
}

describe('the learning switch', () => {
  it('floods what it does not know, and sends what it knows one way', () => {
    const lan = new Lan();
    const [a, b] = ['a', 'b', 'c'].map((name) => lan.plug(name));
    assert.equal(lan.send(a, B, A), 'b c');
    assert.equal(lan.send(b, A, B), 'a');
    assert.equal(lan.send(a, B, A), 'b');
    assert.equal(lan.send(a, EVERYBODY, A), 'b c');
    assert.equal(lan.send(a, A, A), '', 'never back where it came from');
  });

  it('never learns a group address, and drops what is no frame', () => {
    const lan = new Lan();
    const [a] = ['a', 'b'].map((name) => lan.plug(name));
    assert.equal(lan.send(a, B, EVERYBODY), 'b');
    assert.deepEqual(lan.table.statistics.macs, []);
    lan.table.receive(a, new Uint8Array(13));
    assert.equal(lan.table.statistics.ports[0].dropped, 1);
  });

  it('counts a move when a MAC turns up elsewhere, also when its old port is gone', () => {
    const lan = new Lan();
    const [a, b, c] = ['a', 'b', 'c'].map((name) => lan.plug(name));
    lan.send(a, EVERYBODY, A);
    lan.send(b, EVERYBODY, B);
    lan.table.detach(a);
    assert.equal(lan.send(b, A, B), 'c', 'flooded while nobody knows where it went');
    lan.send(c, EVERYBODY, A);
    assert.equal(lan.send(b, A, B), 'c');
    const {moves, macs, ports} = lan.table.statistics;
    assert.equal(moves, 1);
    assert.deepEqual(macs[0], {mac: '02:00:00:00:00:0a', port: 'c', moves: 1});
    assert.equal(ports[0].connected, false);
    assert.equal(lan.send(a, B, A), '', 'a port that is gone says nothing more');
  });

  it('sends what a MAC got lately to its new port as well, once, in order', () => {
    const lan = new Lan();
    const arrivedAt = (name: string): number[] =>
      lan.frames.filter((each) => each.port === name).map((each) => each.number);
    const [a, b, c] = ['a', 'b', 'c'].map((name) => lan.plug(name));
    lan.send(b, A, B);
    lan.table.receive(a, frame(B, A, 1));
    lan.nowMs = 2000;
    lan.table.receive(a, frame(C, A, 2));
    lan.table.receive(a, frame(B, A, 3));
    lan.table.detach(b);
    lan.nowMs = 3500;
    lan.table.receive(a, frame(B, A, 4));
    lan.frames.length = 0;
    lan.send(c, EVERYBODY, B);
    assert.deepEqual(arrivedAt('c'), [3, 4], 'what is three seconds old has been sent again by its sender');
    const d = lan.plug('d');
    lan.frames.length = 0;
    lan.send(d, EVERYBODY, B);
    assert.deepEqual(arrivedAt('d'), []);
  });

  it('keeps no more than a megabyte for a MAC, and for eight of them', () => {
    const recent = new RecentFrames({nowMs: () => 0});
    for (let n = 0; n < 3000; n += 1) recent.note('a', new Uint8Array(1000));
    const bytes = recent.take('a').reduce((sum, {length}) => sum + length, 0);
    assert.ok(bytes > 900_000 && bytes <= 2 ** 20, `${bytes} bytes`);
    for (let n = 0; n < 9; n += 1) recent.note(`mac ${n}`, new Uint8Array(60));
    assert.deepEqual(recent.take('mac 0'), []);
    assert.equal(recent.take('mac 1').length, 1);
  });

  it('forgets what was not heard for five minutes', () => {
    const lan = new Lan();
    const [a, b] = ['a', 'b', 'c'].map((name) => lan.plug(name));
    lan.send(a, EVERYBODY, A);
    lan.nowMs = 300_000;
    assert.equal(lan.send(b, A, B), 'a');
    lan.nowMs = 300_001;
    assert.equal(lan.send(b, A, B), 'a c');
  });

  it('bounds its table', () => {
    const lan = new Lan();
    const a = lan.plug('a');
    for (let n = 0; n < 5000; n += 1) lan.send(a, EVERYBODY, [2, 0, 0, 1, n >> 8, n & 255]);
    assert.equal(lan.table.statistics.macs.length, 4096);
  });
});

describe('flow control', () => {
  const lanOfThree = (): {lan: Lan; a: number; b: number; c: number} => {
    const lan = new Lan();
    const [a, b, c] = ['a', 'b', 'c'].map((name) => lan.plug(name));
    for (const [port, mac] of [
      [a, A],
      [b, B],
      [c, C],
    ] as const)
      lan.send(port, EVERYBODY, mac);
    return {lan, a, b, c};
  };

  it('a port is left unread while the one it sends to is congested, and read again when that has drained', () => {
    const {lan, a, b} = lanOfThree();
    lan.congested.add('b');
    assert.equal(lan.send(a, B, A), 'b');
    assert.deepEqual([...lan.held], ['a']);
    lan.table.drained(b);
    assert.deepEqual([...lan.held], []);
  });

  it('a port that waits for two is read when neither is congested any more', () => {
    const {lan, a, b, c} = lanOfThree();
    for (const name of ['b', 'c']) lan.congested.add(name);
    lan.send(a, B, A);
    lan.send(a, C, A);
    lan.table.drained(b);
    assert.deepEqual([...lan.held], ['a']);
    lan.table.drained(c);
    assert.deepEqual([...lan.held], []);
  });

  it('what goes to everybody waits for nobody', () => {
    const {lan, a} = lanOfThree();
    lan.congested.add('b');
    assert.equal(lan.send(a, EVERYBODY, A), 'b c');
    assert.equal(lan.held.size, 0);
  });

  it('nobody waits for a port that is gone, or whose guest has moved', () => {
    const {lan, a, b, c} = lanOfThree();
    lan.congested.add('b');
    lan.send(a, B, A);
    lan.send(c, EVERYBODY, B);
    assert.equal(lan.held.size, 0, 'moved');
    lan.congested.add('c');
    lan.send(a, B, A);
    assert.equal(lan.held.size, 1);
    lan.table.detach(c);
    assert.equal(lan.held.size, 0, 'gone');
    lan.table.detach(b);
  });

  it('a port that takes nothing for a second holds nobody any more, until it drains', async function () {
    this.timeout(10_000);
    const {lan, a, b} = lanOfThree();
    lan.congested.add('b');
    lan.send(a, B, A);
    while (lan.held.size > 0) await sleep(20);
    lan.send(a, B, A);
    assert.equal(lan.held.size, 0, 'stalled');
    lan.table.drained(b);
    lan.send(a, B, A);
    assert.equal(lan.held.size, 1, 'a slow port again');
    lan.table.drained(b);
  });
});
