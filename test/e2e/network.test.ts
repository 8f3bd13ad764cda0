// A client's live TCP connection to Redis in a Debian guest survives the SIGKILL of the guest's host, as often as it happens: it counts
// over one connection, and every answer is exactly the last one plus one. Switch and uplink are the only things that stay.

import assert from 'node:assert/strict';
import {createConnection, createServer, type Socket} from 'node:net';
import {setTimeout as sleep} from 'node:timers/promises';
import {debianGuest, GUEST_BUILD_TIMEOUT_MS} from '../guests/debian-guest.ts';
import {FtvmProcess, TemporaryFolder} from '../support/ftvm.ts';
import {skipUnless} from '../support/skip.ts';
import {recordsOfKind, replayMustBeIdentical} from './ftvm-cli.ts';

const GUEST_ADDRESS = '10.0.2.15';
const REDIS = 'redis-server --bind 0.0.0.0 --protected-mode no --dir /tmp --save 900 1000000 --appendonly no';
const APPEND = `ip=${GUEST_ADDRESS}::10.0.2.2:255.255.255.0 ftvm.run="${REDIS}"`;
const BOOT_TIMEOUT_MS = 90_000;
/** The soak says more. */
const KILLS = Number(process.env.FTVM_KILLS ?? 3);
/** A request that fell into the gap waits for a retransmission of TCP's, at worst its second; and the host here is shared. */
const LONGEST_GAP_MS = 5000;

describe('a network that outlives a host', function () {
  this.timeout(GUEST_BUILD_TIMEOUT_MS);

  before(async function () {
    await debianGuest(this, ['redis-server']);
  });

  it(`Redis counts over one connection through ${KILLS} kills; the next value is always the last plus one`, async function () {
    using folder = new TemporaryFolder();
    const lan = folder.join('lan.sock');
    const port = await freePort();
    const forward = `127.0.0.1:${port}:${GUEST_ADDRESS}:6379`;
    await using network = new FtvmProcess([
      'switch',
      '--port',
      `unix:${lan}`,
      '--uplink',
      'passt',
      '--forward',
      forward,
    ]);
    const plugged = await network.waitFor(/plug in by|^error: .*/m, {stream: 'stderr'});
    skipUnless(this, !plugged[0].startsWith('error: no uplink'), plugged[0]);

    await using hosts = new Hosts({folder, net: `stream:unix:${lan}`});
    await hosts.power('debian-redis-server');
    await hosts.primary.waitFor(/Ready to accept connections/, {timeoutMs: BOOT_TIMEOUT_MS});
    await using client = await Counter.connect(port);
    client.start();
    const logs = [hosts.logPath];
    const gaps: number[] = [];
    for (let kill = 0; kill < KILLS; kill += 1) {
      await hosts.addBackup();
      await client.reach(client.last + 20);
      const {last} = client;
      hosts.killPrimary();
      await client.reach(last + 20);
      gaps.push(client.takeLongestGapMs());
      await hosts.promoted();
      logs.push(hosts.logPath);
    }
    await client.stop();
    assert.ok(Math.max(...gaps) < LONGEST_GAP_MS, `gaps as the client saw them: ${gaps.join(', ')} ms`);
    // Every incarnation announced itself, and nobody came back: one move for each kill.
    network.kill('SIGUSR1');
    const [, moves] = await network.waitFor(/"moves":(\d+),"flooded"/, {stream: 'stderr'});
    assert.equal(Number(moves), KILLS);
    hosts.primary.kill('SIGINT');
    await hosts.primary.exit();
    // The survivor's log has the whole history, across every takeover.
    const {logPath} = hosts;
    await replayMustBeIdentical(logPath, {timeoutMs: 180_000});
    assert.equal(recordsOfKind(logPath, 'takeover').length, KILLS);
    assert.ok(recordsOfKind(logPath, 'input').some(({input}) => input.kind === 'packet'));
  });
});

/** Hosts, one after another: a primary, and a backup that becomes it. */
class Hosts implements AsyncDisposable {
  readonly #folder: TemporaryFolder;
  readonly #net: string;
  readonly #arbiter: string;
  #count = 0;
  #primary: {process: FtvmProcess; logPath: string; address: string} | undefined;
  #backup: {process: FtvmProcess; logPath: string} | undefined;

  constructor(parts: {folder: TemporaryFolder; net: string}) {
    this.#folder = parts.folder;
    this.#net = parts.net;
    this.#arbiter = `dir:${parts.folder.path}`;
  }

  get primary(): FtvmProcess {
    assert.ok(this.#primary !== undefined);
    return this.#primary.process;
  }

  get logPath(): string {
    assert.ok(this.#primary !== undefined);
    return this.#primary.logPath;
  }

  async power(guest: string): Promise<void> {
    const logPath = this.#nextLog();
    const process = new FtvmProcess([
      ...['record', guest, '-o', logPath, '--append', APPEND, '--net', this.#net],
      ...['--listen', '127.0.0.1:0', '--arbiter', this.#arbiter],
    ]);
    this.#primary = {process, logPath, address: ''};
    this.#primary.address = await addressOf(process);
  }

  async addBackup(): Promise<void> {
    const logPath = this.#nextLog();
    const process = new FtvmProcess([
      ...['tail', `tcp://${this.#primary?.address}`, '-o', logPath, '--net', this.#net],
      ...['--auto-promote', '--listen', '127.0.0.1:0'],
    ]);
    this.#backup = {process, logPath};
    await this.primary
      .waitFor(/backup joined: /, {stream: 'stderr', timeoutMs: BOOT_TIMEOUT_MS})
      .catch((error: Error) => {
        throw new Error(`${error.message}\n--- the backup's stderr\n${process.stderr}`, {cause: error});
      });
  }

  killPrimary(): void {
    this.primary.kill('SIGKILL');
  }

  async promoted(): Promise<void> {
    assert.ok(this.#backup !== undefined);
    const {process, logPath} = this.#backup;
    const address = await addressOf(process);
    await process.waitFor(/live from position/, {stream: 'stderr'});
    await this.primary.exit();
    this.#primary = {process, logPath, address};
    this.#backup = undefined;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#primary?.process[Symbol.asyncDispose]();
    await this.#backup?.process[Symbol.asyncDispose]();
  }

  #nextLog(): string {
    this.#count += 1;
    return this.#folder.join(`host-${this.#count}.ftlog`);
  }
}

/** Says INCR over one connection, each time after the answer, and insists on what comes back. */
class Counter implements AsyncDisposable {
  readonly #socket: Socket;
  #received = '';
  #failure: Error | undefined;
  #running = false;
  #answeredMs = 0;
  #longestGapMs = 0;
  last = 0;

  private constructor(socket: Socket) {
    this.#socket = socket;
    const broken = (why: string): void => {
      this.#failure ??= new Error(`the connection broke after ${this.last}: ${why}`);
    };
    socket.on('error', (error) => broken(error.message));
    socket.on('close', () => broken('closed'));
    socket.setEncoding('utf8').on('data', (text: string) => this.#answer(text));
  }

  static async connect(port: number): Promise<Counter> {
    const socket = createConnection({host: '127.0.0.1', port, noDelay: true});
    await new Promise<void>((resolve, reject) => socket.once('connect', resolve).once('error', reject));
    return new Counter(socket);
  }

  start(): void {
    this.#running = true;
    this.#answeredMs = performance.now();
    this.#socket.write('INCR counter\r\n');
  }

  /** Resolves when this value has been answered. */
  async reach(value: number): Promise<void> {
    for (const deadlineMs = performance.now() + 30_000; this.last < value; ) {
      if (this.#failure !== undefined) throw this.#failure;
      assert.ok(performance.now() < deadlineMs, `the counter stands at ${this.last}, ${value} was awaited`);
      await sleep(5);
    }
  }

  takeLongestGapMs(): number {
    const gapMs = this.#longestGapMs;
    this.#longestGapMs = 0;
    return Math.round(gapMs);
  }

  async stop(): Promise<void> {
    this.#running = false;
    await sleep(200);
    if (this.#failure !== undefined) throw this.#failure;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#socket.destroy();
  }

  #answer(text: string): void {
    this.#received += text;
    for (let end = this.#received.indexOf('\r\n'); end >= 0; end = this.#received.indexOf('\r\n')) {
      const line = this.#received.slice(0, end);
      this.#received = this.#received.slice(end + 2);
      if (line !== `:${this.last + 1}`) this.#failure ??= new Error(`after ${this.last} came ${line}`);
      this.last += 1;
      const nowMs = performance.now();
      this.#longestGapMs = Math.max(this.#longestGapMs, nowMs - this.#answeredMs);
      this.#answeredMs = nowMs;
      if (this.#running) this.#socket.write('INCR counter\r\n');
    }
  }
}

async function addressOf(process: FtvmProcess): Promise<string> {
  const [, address] = await process.waitFor(/listening on (127\.0\.0\.1:\d+)/, {stream: 'stderr'});
  return address;
}

/** A TCP port that was free a moment ago. */
async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  assert.ok(typeof address === 'object' && address !== null);
  return address.port;
}
