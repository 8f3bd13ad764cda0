// `ftvm switch` as its user meets it: two programs that speak `-netdev stream`'s framing talk across it, its lines are made bad and good again
// through the control socket, and what it says of itself is true.

import assert from 'node:assert/strict';
import {existsSync, statSync} from 'node:fs';
import {createConnection, type Socket} from 'node:net';
import {setTimeout as sleep} from 'node:timers/promises';
import {EXIT_CODES} from '../../src/errors.ts';
import {encodeFrame, FrameDecoder} from '../../src/host/nic/frame-stream.ts';
import type {SwitchStatus} from '../../src/replication/switch-control.ts';
import {FtvmProcess, runFtvm, TemporaryFolder} from '../support/ftvm.ts';

const EVERYBODY = [255, 255, 255, 255, 255, 255];

/** Somebody who is plugged in. */
class Peer implements Disposable {
  readonly mac: number[];
  readonly #socket: Socket;
  /** The last byte of each frame that came. */
  readonly arrived: number[] = [];

  private constructor(socket: Socket, mac: number[]) {
    this.#socket = socket;
    this.mac = mac;
    const decoder = new FrameDecoder();
    socket.on('data', (bytes) => {
      decoder.push(bytes);
      for (let frame = decoder.next(); frame instanceof Uint8Array; frame = decoder.next()) {
        this.arrived.push(frame[frame.length - 1]);
      }
    });
  }

  static async plugIn(path: string, mac: number): Promise<Peer> {
    const socket = createConnection(path);
    await new Promise<void>((resolve, reject) => socket.once('connect', resolve).once('error', reject));
    return new Peer(socket, [2, 0, 0, 0, 0, mac]);
  }

  send(to: readonly number[], byte: number, lengthBytes = 60): void {
    const frame = new Uint8Array(lengthBytes);
    frame.set([...to, ...this.mac, 8, 0]);
    frame[lengthBytes - 1] = byte;
    this.#socket.write(encodeFrame(frame));
  }

  /** Bytes that the switch has not taken. */
  get waitingBytes(): number {
    return this.#socket.writableLength;
  }

  pause(): void {
    this.#socket.pause();
  }

  resume(): void {
    this.#socket.resume();
  }

  async until(count: number): Promise<void> {
    for (const deadlineMs = performance.now() + 10_000; this.arrived.length < count; await sleep(2)) {
      assert.ok(performance.now() < deadlineMs, `${this.arrived.length} frames came, ${count} were awaited`);
    }
  }

  [Symbol.dispose](): void {
    this.#socket.destroy();
  }
}

/** A switch with one place for guests. */
class RunningSwitch implements AsyncDisposable {
  readonly #folder = new TemporaryFolder();
  readonly path = this.#folder.join('lan.sock');
  readonly control = `${this.path}.control`;
  readonly process: FtvmProcess;

  constructor(qualities = '') {
    this.process = new FtvmProcess(['switch', '--port', `unix:${this.path}${qualities}`]);
  }

  async ready(): Promise<this> {
    await this.process.waitFor(/plug in by/, {stream: 'stderr'});
    return this;
  }

  async set(...argv: string[]): Promise<{ports: number[]}> {
    const {exitCode, stdout, stderr} = await runFtvm(['switch', 'set', this.control, '--json', ...argv]);
    assert.equal(exitCode, 0, stderr);
    return JSON.parse(stdout);
  }

  async status(): Promise<SwitchStatus> {
    const {exitCode, stdout, stderr} = await runFtvm(['switch', 'status', this.control, '--json']);
    assert.equal(exitCode, 0, stderr);
    return JSON.parse(stdout);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.process[Symbol.asyncDispose]();
    this.#folder[Symbol.dispose]();
  }
}

describe('ftvm switch', function () {
  this.timeout(60_000);

  it('is told by its control socket which line is cut, slow or lossy, and says so', async () => {
    await using lan = await new RunningSwitch().ready();
    assert.equal(statSync(lan.control).mode & 0o777, 0o600);
    using a = await Peer.plugIn(lan.path, 0xa);
    using b = await Peer.plugIn(lan.path, 0xb);
    while ((await lan.status()).ports.length < 2) await sleep(10);
    a.send(EVERYBODY, 1);
    await b.until(1);
    b.send(a.mac, 2);
    await a.until(1);

    assert.deepEqual(await lan.set('--port', '2', '--cut'), {ports: [2]});
    a.send(b.mac, 3);
    b.send(a.mac, 4);
    await sleep(50);
    assert.deepEqual([a.arrived, b.arrived], [[2], [1]], 'nothing passes, either way');

    assert.deepEqual(await lan.set('--port', `unix:${lan.path}`, '--no-cut', '--delay', '80'), {ports: [1, 2]});
    const startMs = performance.now();
    a.send(b.mac, 5);
    await b.until(2);
    assert.ok(performance.now() - startMs > 70);

    await lan.set('--loss', '1', '--delay', '0');
    using late = await Peer.plugIn(lan.path, 0xc);
    late.send(EVERYBODY, 6);
    for (let deadline = 100; (await lan.status()).ports[0].sent < 2; deadline -= 1) assert.ok(deadline > 0);
    const {ports, macs, moves} = await lan.status();
    const line = {place: `unix:${lan.path}`, loss: 1, delayMs: 0, cut: false};
    assert.deepEqual(ports, [
      {number: 1, name: `${lan.path}#1`, connected: true, received: 3, sent: 2, dropped: 0, ...line},
      {number: 2, name: `${lan.path}#2`, connected: true, received: 1, sent: 4, dropped: 0, ...line},
      {number: 3, name: `${lan.path}#3`, connected: true, received: 1, sent: 0, dropped: 0, ...line},
    ]);
    assert.deepEqual([a.arrived, b.arrived], [[2], [1, 5]]);
    assert.equal(macs.length, 3);
    assert.equal(moves, 0);
    const {stdout} = await runFtvm(['switch', 'status', lan.control]);
    assert.match(stdout, /^port 1 .*#1: loss 1, 3 frames in, 2 out, 0 dropped$/m);
    assert.match(stdout, /^02:00:00:00:00:0a at .*#1, moved 0 times$/m);

    lan.process.kill('SIGTERM');
    await lan.process.exit();
    assert.ok(!existsSync(lan.control));
  });

  it('a port says at start what its line is like', async () => {
    await using lan = await new RunningSwitch(',loss=0.25,delay=1').ready();
    using a = await Peer.plugIn(lan.path, 0xa);
    const [port] = (await lan.status()).ports;
    assert.deepEqual([port.loss, port.delayMs, port.cut], [0.25, 1, false]);
    a.send(EVERYBODY, 1);
  });

  it('a sender waits for a receiver that is slow, and nothing is lost', async () => {
    await using lan = await new RunningSwitch().ready();
    using a = await Peer.plugIn(lan.path, 0xa);
    using b = await Peer.plugIn(lan.path, 0xb);
    using c = await Peer.plugIn(lan.path, 0xc);
    while ((await lan.status()).ports.length < 3) await sleep(10);
    for (const peer of [a, b, c]) peer.send(EVERYBODY, 0);
    for (const peer of [a, b, c]) await peer.until(2);
    b.pause();
    // More than all buffers between them hold, so that the most of it has to wait at the sender.
    const frames = 8000;
    for (let n = 0; n < frames; n += 1) a.send(b.mac, n & 255, 1514);
    await sleep(200);
    assert.ok(a.waitingBytes > 4 << 20, `${a.waitingBytes} bytes wait at the sender`);
    c.send(a.mac, 9);
    await a.until(3);
    b.resume();
    await b.until(2 + frames);
    assert.ok(
      b.arrived.slice(2).every((byte, n) => byte === (n & 255)),
      'all of them, in order',
    );
    assert.ok((await lan.status()).ports.every(({dropped}) => dropped === 0));
  });

  it('refuses what makes no sense', async () => {
    await using lan = await new RunningSwitch().ready();
    for (const [argv, code] of [
      [['set', lan.control], 'usage'],
      [['set', lan.control, '--port', '9', '--cut'], 'usage'],
      [['set', lan.control, '--loss', '2'], 'usage'],
      [['status', `${lan.control}.not`], 'peerVanished'],
    ] as const) {
      const {exitCode, stderr} = await runFtvm(['switch', ...argv]);
      assert.equal(exitCode, EXIT_CODES[code], stderr);
      assert.match(stderr, /error: /);
    }
    for (const spec of ['unix:/x,loss=2', 'unix:/x,delay=-1', 'unix:/x,delay=', 'tcp:nowhere,cut']) {
      assert.equal((await runFtvm(['switch', '--port', spec])).exitCode, EXIT_CODES.usage, spec);
    }
  });
});
