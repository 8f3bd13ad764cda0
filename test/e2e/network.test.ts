// A client's live TCP connection to Redis in a Debian guest survives the SIGKILL of the guest's host, as often as it happens: it counts
// over one connection, and every answer is exactly the last one plus one. Switch and uplink are the only things that stay.

import assert from 'node:assert/strict';
import {randomBytes} from 'node:crypto';
import {createConnection, createServer, type Socket} from 'node:net';
import {setTimeout as sleep} from 'node:timers/promises';
import {EXIT_CODES} from '../../src/errors.ts';
import {debianGuest, GUEST_BUILD_TIMEOUT_MS} from '../guests/debian-guest.ts';
import {FtvmProcess, runFtvm, TemporaryFolder} from '../support/ftvm.ts';
import {skipUnless} from '../support/skip.ts';
import {recordsOfKind, replayMustBeIdentical} from './ftvm-cli.ts';
import {SlowChannel} from './slow-channel.ts';

const GUEST_ADDRESS = '10.0.2.15';
const REDIS = 'redis-server --bind 0.0.0.0 --protected-mode no --dir /tmp --save 900 1000000 --appendonly no';
const APPEND = `ip=${GUEST_ADDRESS}::10.0.2.2:255.255.255.0 ftvm.run="${REDIS}"`;
const BOOT_TIMEOUT_MS = 90_000;
/** The soak says more. */
const KILLS = Number(process.env.FTVM_KILLS ?? 3);
/** A request that fell into the gap waits for a retransmission of TCP's, at worst its second; and the host here is shared. */
const LONGEST_GAP_MS = 5000;
/** Beyond what passt and its socket to the client hold. */
/** A transfer across a kill: only when it is asked for, as passt can fall into segments of a few bytes and then takes minutes. */
const TRANSFER_BYTES = Number(process.env['FTVM_TRANSFER_BYTES'] ?? 0);
/** Some hundred answers are given in that time, if nobody holds them. */
const LOG_DELAY_MS = 150;

describe('a network that outlives a host', function () {
  this.timeout(GUEST_BUILD_TIMEOUT_MS);

  before(async function () {
    await debianGuest(this, ['redis-server']);
  });

  it(`Redis counts over one connection through ${KILLS} kills; the next value is always the last plus one`, async function () {
    await using lan = await Lan.start(this);
    const {hosts, client} = lan;
    await lan.boot();
    using idle = await lan.connect();
    assert.equal(await idle.ask('PING\r\n', 7), '+PONG\r\n');
    const gaps: number[] = [];
    for (let kill = 0; kill < KILLS; kill += 1) {
      await hosts.addBackup();
      await client.reach(client.last + 20);
      const {last} = client;
      client.takeLongestGapMs();
      hosts.primary.kill('SIGKILL');
      await client.reach(last + 20);
      gaps.push(client.takeLongestGapMs());
      await hosts.promoted();
    }
    await client.stop();
    assert.ok(Math.max(...gaps) < LONGEST_GAP_MS, `gaps as the client saw them: ${gaps.join(', ')} ms`);
    // A connection on which nothing was said through all of it works as before.
    assert.equal(await idle.ask('PING\r\n', 7), '+PONG\r\n');
    // Every incarnation announced itself, and nobody came back: one move for each kill.
    assert.equal(await lan.moves(), KILLS);
    hosts.primary.kill('SIGINT');
    await hosts.primary.exit();
    // The survivor's log has the whole history, across every takeover.
    const {logPath} = hosts;
    await replayMustBeIdentical(logPath, {timeoutMs: 180_000});
    assert.equal(recordsOfKind(logPath, 'takeover').length, KILLS);
    assert.ok(recordsOfKind(logPath, 'input').some(({input}) => input.kind === 'packet'));
  });

  (TRANSFER_BYTES > 0 ? it : () => {})(
    `${TRANSFER_BYTES} bytes on their way out when the host dies arrive whole`,
    async function () {
      await using lan = await Lan.start(this);
      const {hosts} = lan;
      await lan.boot();
      const content = randomBytes(TRANSFER_BYTES);
      using connection = await lan.connect();
      const set = [`*3\r\n$3\r\nSET\r\n$3\r\nbig\r\n$${TRANSFER_BYTES}\r\n`, content, '\r\n'];
      assert.equal(await connection.ask(Buffer.concat(set.map((part) => Buffer.from(part))), 5), '+OK\r\n');
      await hosts.addBackup();
      const head = `$${TRANSFER_BYTES}\r\n`;
      let killedAt = 0;
      connection.onProgress = (receivedBytes) => {
        if (killedAt > 0 || receivedBytes < TRANSFER_BYTES / 16) return;
        killedAt = receivedBytes;
        hosts.primary.kill('SIGKILL');
      };
      const received = await connection.ask('GET big\r\n', head.length + TRANSFER_BYTES + 2);
      assert.ok(killedAt > 0 && killedAt < TRANSFER_BYTES, `killed after ${killedAt} bytes`);
      assert.equal(received, `${head}${content.toString('latin1')}\r\n`);
      await hosts.promoted();
    },
  );

  it('a host that stops answering is replaced; when it wakes up it halts, and its MAC has moved once', async function () {
    await using lan = await Lan.start(this);
    const {hosts, client} = lan;
    await lan.boot();
    await hosts.addBackup();
    await client.reach(client.last + 20);
    const {primary} = hosts;
    primary.kill('SIGSTOP');
    const {last} = client;
    await client.reach(last + 20);
    primary.kill('SIGCONT');
    await hosts.promoted();
    assert.equal((await primary.exit()).exitCode, EXIT_CODES.lostArbitration, primary.stderr);
    await client.reach(client.last + 20);
    await client.stop();
    assert.equal(await lan.moves(), 1);
  });

  it('the connection lives on when the log is late and its end dies with the host: outputs waited for it', async function () {
    await using lan = await Lan.start(this);
    const {hosts, client} = lan;
    await lan.boot();
    using channel = await SlowChannel.open({port: hosts.port, delayMs: LOG_DELAY_MS});
    await hosts.addBackup({address: channel.address});
    await client.reach(client.last + 5);
    hosts.primary.kill('SIGKILL');
    channel.cut();
    await client.reach(client.last + 5);
    await hosts.promoted();
    await client.stop();
  });

  it('would not pass without the Output Rule: an observer gates nothing, and with it the connection is lost', async function () {
    await using lan = await Lan.start(this);
    const {hosts, client} = lan;
    await lan.boot();
    using channel = await SlowChannel.open({port: hosts.port, delayMs: LOG_DELAY_MS});
    await hosts.addObserver({address: channel.address});
    await client.reach(client.last + 200);
    hosts.primary.kill('SIGKILL');
    channel.cut();
    await hosts.promoteObserver();
    // Far longer than the test above needs.
    await assert.rejects(client.reach(client.last + 20, LONGEST_GAP_MS), /was awaited|came|broke/);
  });
});

/** A switch with its uplink, hosts on it, and a client outside. */
class Lan implements AsyncDisposable {
  readonly #folder: TemporaryFolder;
  readonly #network: FtvmProcess;
  readonly #port: number;
  readonly hosts: Hosts;
  #client: Counter | undefined;

  private constructor(parts: {folder: TemporaryFolder; network: FtvmProcess; port: number; hosts: Hosts}) {
    this.#folder = parts.folder;
    this.#network = parts.network;
    this.#port = parts.port;
    this.hosts = parts.hosts;
  }

  /** Skips, loudly, where there is no uplink. */
  static async start(context: Mocha.Context): Promise<Lan> {
    const folder = new TemporaryFolder();
    const socketPath = folder.join('lan.sock');
    const port = await freePort();
    const forward = `127.0.0.1:${port}:${GUEST_ADDRESS}:6379`;
    const network = new FtvmProcess([
      'switch',
      '--port',
      `unix:${socketPath}`,
      '--uplink',
      'passt',
      '--forward',
      forward,
    ]);
    const [said] = await network.waitFor(/plug in by|^error: .*\n.*/m, {stream: 'stderr'});
    const hosts = new Hosts({folder, net: `stream:unix:${socketPath}`});
    const lan = new Lan({folder, network, port, hosts});
    if (said.startsWith('error: no uplink')) await lan[Symbol.asyncDispose]();
    skipUnless(context, !said.startsWith('error: no uplink'), said);
    return lan;
  }

  get client(): Counter {
    this.#client ??= new Counter();
    return this.#client;
  }

  /** Until the client counts. */
  async boot(): Promise<void> {
    await this.hosts.power('debian-redis-server');
    await this.hosts.primary.waitFor(/Ready to accept connections/, {timeoutMs: BOOT_TIMEOUT_MS});
    await this.client.start(this.#port);
  }

  /** Another connection to Redis. */
  async connect(): Promise<Connection> {
    const socket = createConnection({host: '127.0.0.1', port: this.#port, noDelay: true});
    await new Promise<void>((resolve, reject) => socket.once('connect', resolve).once('error', reject));
    return new Connection(socket);
  }

  /** How often the switch has seen a MAC move. */
  async moves(): Promise<number> {
    this.#network.kill('SIGUSR1');
    const [, moves] = await this.#network.waitFor(/"moves":(\d+),"flooded"/, {stream: 'stderr'});
    return Number(moves);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#client?.close();
    await this.hosts[Symbol.asyncDispose]();
    await this.#network[Symbol.asyncDispose]();
    this.#folder[Symbol.dispose]();
  }
}

/** Hosts, one after another: a primary, and a backup that becomes it. */
class Hosts implements AsyncDisposable {
  readonly #folder: TemporaryFolder;
  readonly #net: string;
  readonly #arbiter: string;
  readonly #former: FtvmProcess[] = [];
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

  /** The port at which the primary serves its log. */
  get port(): number {
    return Number(this.#primary?.address.split(':')[1]);
  }

  /** Starts a backup and waits until it is one. */
  async addBackup(at: {address?: string} = {}): Promise<void> {
    const process = this.#follow(at.address, ['--auto-promote', '--listen', '127.0.0.1:0']);
    await this.primary
      .waitFor(/backup joined: /, {stream: 'stderr', timeoutMs: BOOT_TIMEOUT_MS})
      .catch((error: Error) => {
        throw new Error(`${error.message}\n--- the backup's stderr\n${process.stderr}`, {cause: error});
      });
  }

  /** Starts a follower that is no backup, and waits until it follows. */
  async addObserver(at: {address: string}): Promise<void> {
    const process = this.#follow(at.address, ['--observer', '--digests']);
    await process.waitFor(/^\d+ [0-9a-f]+$/m, {timeoutMs: BOOT_TIMEOUT_MS});
  }

  async promoteObserver(): Promise<void> {
    assert.ok(this.#backup !== undefined);
    const {exitCode, stderr} = await runFtvm(['promote', this.#backup.logPath], {timeoutMs: BOOT_TIMEOUT_MS});
    assert.equal(exitCode, 0, stderr);
    await this.#backup.process.waitFor(/live from position/, {stream: 'stderr'});
  }

  async promoted(): Promise<void> {
    assert.ok(this.#backup !== undefined);
    const {process, logPath} = this.#backup;
    const address = await addressOf(process);
    await process.waitFor(/live from position/, {stream: 'stderr'});
    this.#former.push(this.primary);
    this.#primary = {process, logPath, address};
    this.#backup = undefined;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#primary?.process[Symbol.asyncDispose]();
    await this.#backup?.process[Symbol.asyncDispose]();
    for (const process of this.#former) await process[Symbol.asyncDispose]();
  }

  #follow(address: string | undefined, argv: readonly string[]): FtvmProcess {
    const logPath = this.#nextLog();
    const source = `tcp://${address ?? this.#primary?.address}`;
    const process = new FtvmProcess(['tail', source, '-o', logPath, '--net', this.#net, ...argv]);
    this.#backup = {process, logPath};
    return process;
  }

  #nextLog(): string {
    this.#count += 1;
    return this.#folder.join(`host-${this.#count}.ftlog`);
  }
}

/** Says INCR over one connection, each time after the answer, and insists on what comes back. */
class Counter {
  #socket: Socket | undefined;
  #received = '';
  #failure: Error | undefined;
  #running = false;
  #answeredMs = 0;
  #longestGapMs = 0;
  last = 0;

  async start(port: number): Promise<void> {
    const socket = createConnection({host: '127.0.0.1', port, noDelay: true});
    await new Promise<void>((resolve, reject) => socket.once('connect', resolve).once('error', reject));
    this.#socket = socket;
    const broken = (why: string): void => {
      this.#failure ??= new Error(`the connection broke after ${this.last}: ${why}`);
    };
    socket.on('error', (error) => broken(error.message));
    socket.on('close', () => broken('closed'));
    socket.setEncoding('utf8').on('data', (text: string) => this.#answer(text));
    this.#running = true;
    this.#answeredMs = performance.now();
    socket.write('INCR counter\r\n');
  }

  /** Resolves when this value has been answered. */
  async reach(value: number, timeoutMs = 30_000): Promise<void> {
    for (const deadlineMs = performance.now() + timeoutMs; this.last < value; ) {
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

  close(): void {
    this.#socket?.destroy();
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
      if (this.#running) this.#socket?.write('INCR counter\r\n');
    }
  }
}

/** A connection on which one thing after another is asked. */
class Connection implements Disposable {
  readonly #socket: Socket;
  onProgress: (receivedBytes: number) => void = () => {};

  constructor(socket: Socket) {
    this.#socket = socket;
  }

  /** The answer, as Latin-1, once it has this length. */
  async ask(question: string | Uint8Array, answerBytes: number): Promise<string> {
    const socket = this.#socket;
    const chunks: Buffer[] = [];
    let receivedBytes = 0;
    const answered = Promise.withResolvers<void>();
    const fail = (error?: Error): void => answered.reject(error ?? new Error('the connection was closed'));
    const collect = (chunk: Buffer): void => {
      chunks.push(chunk);
      receivedBytes += chunk.length;
      this.onProgress(receivedBytes);
      if (receivedBytes >= answerBytes) answered.resolve();
    };
    socket.on('data', collect).once('error', fail).once('close', fail);
    try {
      socket.write(question);
      await answered.promise;
      return Buffer.concat(chunks).toString('latin1');
    } finally {
      socket.off('data', collect).off('error', fail).off('close', fail);
    }
  }

  [Symbol.dispose](): void {
    this.#socket.destroy();
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
