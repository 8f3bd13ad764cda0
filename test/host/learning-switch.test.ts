// The switch's table: what is known goes one way, what is not goes everywhere, and a MAC that moved is counted once.

import assert from 'node:assert/strict';
import {behind} from '../../src/host/switch/impairment.ts';
import {LearningSwitch} from '../../src/host/switch/learning-switch.ts';

const A = [2, 0, 0, 0, 0, 0xa];
const B = [2, 0, 0, 0, 0, 0xb];
const EVERYBODY = [255, 255, 255, 255, 255, 255];
const frame = (to: number[], from: number[]): Uint8Array => Uint8Array.from([...to, ...from, 8, 0, 1]);

class Lan {
  nowMs = 0;
  readonly table = new LearningSwitch({nowMs: () => this.nowMs});
  readonly arrived: string[] = [];

  plug(name: string): number {
    return this.table.attach({name, send: () => this.arrived.push(name) > 0});
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

describe('a bad line', () => {
  it('loses what its seed decides', () => {
    const lost = (seed: number): number[] => {
      const passed: number[] = [];
      const send = behind({loss: 0.25, delayMs: 0, seed}, ([byte]) => passed.push(byte) > 0);
      for (let n = 0; n < 200; n += 1) assert.ok(send(Uint8Array.of(n)));
      return passed;
    };
    assert.deepEqual(lost(7), lost(7));
    assert.notDeepEqual(lost(7), lost(8));
    assert.ok(lost(7).length > 120 && lost(7).length < 180);
  });

  it('delays, in order', async () => {
    const passed: number[] = [];
    const startMs = performance.now();
    const done = new Promise<void>((resolve) => {
      const send = behind({loss: 0, delayMs: 30, seed: 1}, ([byte]) => {
        if (passed.push(byte) === 3) resolve();
        return true;
      });
      for (const n of [1, 2, 3]) send(Uint8Array.of(n));
    });
    await done;
    assert.deepEqual(passed, [1, 2, 3]);
    assert.ok(performance.now() - startMs > 25);
  });
});
