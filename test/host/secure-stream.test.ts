// The channel's connections against strangers: who has the secret gets through, from both sides; everybody else is dropped with a
// reason, cannot keep the peer out, and never sees a byte of ours beyond TLS's own.

import assert from 'node:assert/strict';
import {execFileSync} from 'node:child_process';
import {randomBytes} from 'node:crypto';
import {readFileSync} from 'node:fs';
import {connect, createServer, type Server, type Socket} from 'node:net';
import {networkInterfaces} from 'node:os';
import {setTimeout as sleep} from 'node:timers/promises';
import {connect as connectTls, createServer as createTlsServer, TLSSocket} from 'node:tls';
import {FtvmError} from '../../src/errors.ts';
import {
  connectSecurely,
  isLoopback,
  listenSecurely,
  type SecureListener,
  type SecureListenOptions,
  type Stranger,
} from '../../src/host/secure-stream.ts';
import {SEED} from '../chaos/seed.ts';
import {Random} from '../differential/random.ts';
import {TemporaryFolder} from '../support/ftvm.ts';
import {hasCommand, skipUnless} from '../support/skip.ts';

const HOST = '127.0.0.1';
const secret = new Uint8Array(randomBytes(32));
const timeoutMs = 3000;

/** Echoes whatever the peers say, and remembers them and the strangers. */
class EchoServer implements AsyncDisposable {
  readonly listener: SecureListener;
  readonly peers: Socket[];
  readonly strangers: Stranger[];

  private constructor(listener: SecureListener, lists: {peers: Socket[]; strangers: Stranger[]}) {
    this.listener = listener;
    this.peers = lists.peers;
    this.strangers = lists.strangers;
  }

  static async start(options: Partial<SecureListenOptions> = {}): Promise<EchoServer> {
    const peers: Socket[] = [];
    const strangers: Stranger[] = [];
    const listener = await listenSecurely(
      {host: HOST, port: 0},
      {
        secret,
        onConnection: (socket) => {
          peers.push(socket);
          socket.on('error', () => socket.destroy());
          socket.pipe(socket);
        },
        onStranger: (stranger) => strangers.push(stranger),
        ...options,
      },
    );
    return new EchoServer(listener, {peers, strangers});
  }

  get endpoint(): {host: string; port: number} {
    return {host: HOST, port: this.listener.port};
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.listener.close();
    for (const socket of this.peers) socket.destroy();
  }
}

describe('a secure stream', () => {
  it('carries bytes both ways between holders of the secret, over TLS 1.3', async () => {
    await using server = await EchoServer.start();
    const socket = await connectSecurely(server.endpoint, {secret, timeoutMs});
    assert.ok(socket instanceof TLSSocket);
    assert.equal(socket.getProtocol(), 'TLSv1.3');
    assert.equal(socket.getCipher().standardName, 'TLS_AES_128_GCM_SHA256');
    // Keys of this connection alone: there was a key exchange besides the shared key.
    assert.notDeepEqual(socket.getEphemeralKeyInfo(), {});
    const sent = randomBytes(3_000_000);
    socket.end(sent);
    assert.deepEqual(await all(socket), sent);
    assert.deepEqual(server.strangers, []);
    assert.equal(server.listener.unprovenCount, 0);
  });

  it('says nothing in the clear', async () => {
    const words = Buffer.from('a guest keeps its secrets, a guest keeps its secrets');
    const seen: Buffer[] = [];
    await using server = await EchoServer.start();
    await using tap = await forwarder(server.listener.port, (bytes) => seen.push(bytes));
    const socket = await connectSecurely({host: HOST, port: tap.port}, {secret, timeoutMs});
    socket.end(words);
    assert.deepEqual(await all(socket), words);
    assert.ok(Buffer.concat(seen).length > 500);
    assert.equal(Buffer.concat(seen).includes('guest'), false);
    assert.equal(Buffer.concat(seen).includes(Buffer.from(secret)), false);
  });

  it('is plain without a secret, on this host only', async () => {
    await using server = await EchoServer.start({secret: undefined});
    const socket = await connectSecurely(server.endpoint, {secret: undefined, timeoutMs});
    assert.ok(!(socket instanceof TLSSocket));
    socket.end('plain');
    assert.equal(String(await all(socket)), 'plain');
    const stays = (error: unknown): boolean => isError(error, 'usage', /stays on this host/, /--secret-file/);
    const nobody = {secret: undefined, onConnection: () => {}};
    for (const host of ['0.0.0.0', '::', '192.0.2.1', 'example.org']) {
      await assert.rejects(listenSecurely({host, port: 0}, nobody), stays);
      await assert.rejects(connectSecurely({host, port: 1}, {secret: undefined, timeoutMs}), stays);
    }
    for (const host of ['localhost', '127.0.0.1', '127.8.9.10', '::1', '::ffff:127.0.0.1']) assert.ok(isLoopback(host));
    for (const host of ['', '128.0.0.1', '127.0.0.1.example.org', '::2', '127.1', 'localhost.example'])
      assert.ok(!isLoopback(host), host);
  });

  it('leaves this host with a secret', async function () {
    const outside = Object.values(networkInterfaces())
      .flat()
      .find((one) => one !== undefined && !one.internal && one.family === 'IPv4')?.address;
    skipUnless(this, outside !== undefined, 'this host has only loopback addresses');
    const listener = await listenSecurely(
      {host: '0.0.0.0', port: 0},
      {secret, onConnection: (socket) => socket.end('hello')},
    );
    const socket = await connectSecurely({host: outside, port: listener.port}, {secret, timeoutMs});
    assert.equal(String(await all(socket)), 'hello');
    listener.close();
  });

  it('refuses another secret, and both sides say so', async () => {
    await using server = await EchoServer.start();
    await assert.rejects(connectSecurely(server.endpoint, {secret: randomBytes(32), timeoutMs}), (error) =>
      isError(error, 'network', /has another secret/, /same --secret-file/),
    );
    await until(() => server.strangers.length === 1);
    assert.match(server.strangers[0]!.reason, /another secret/);
    assert.match(server.strangers[0]!.peer, /^127\.0\.0\.1:\d+$/);
    assert.deepEqual(server.peers, []);
  });

  const strangers: readonly [string, (port: number) => Socket, RegExp][] = [
    ['plain words', (port) => talk(port, 'hello, is this ftvm?'), /does not speak TLS/],
    ['the channel without TLS', (port) => talk(port, Buffer.from([1, 2, 0, 0, 0, 0x7b, 0x7d])), /does not speak TLS/],
    ['HTTP', (port) => talk(port, 'GET / HTTP/1.1\r\n\r\n'), /does not speak TLS/],
    ['TLS without the secret', (port) => quiet(connectTls({host: HOST, port, rejectUnauthorized: false})), /no secret/],
    [
      'TLS 1.2 with the right key',
      (port) =>
        quiet(
          connectTls({
            host: HOST,
            port,
            maxVersion: 'TLSv1.2',
            minVersion: 'TLSv1.2',
            ciphers: 'ECDHE-PSK-CHACHA20-POLY1305',
            pskCallback: () => ({psk: Buffer.from(secret), identity: 'ftvm'}),
            checkServerIdentity: () => undefined,
          }),
        ),
      /TLS 1\.3/,
    ],
    ['silence', (port) => talk(port, ''), /nothing in time/],
    ['half a greeting', (port) => talk(port, Buffer.from([22, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3])), /nothing in time/],
    [
      'a very long greeting',
      (port) => talk(port, Buffer.from([22, 3, 1, 0x40, 0, 1, 0xff, 0xff, 0xff])),
      /TLS|in time/,
    ],
  ];
  for (const [name, open, reason] of strangers) {
    it(`drops ${name}`, async () => {
      await using server = await EchoServer.start({handshakeTimeoutMs: 200});
      const stranger = open(server.listener.port);
      const closed = new Promise<void>((resolve) => stranger.once('close', () => resolve()));
      await closed;
      await until(() => server.strangers.length === 1);
      assert.match(server.strangers[0]!.reason, reason);
      assert.deepEqual(server.peers, []);
      assert.equal(server.listener.unprovenCount, 0);
    });
  }

  it('does not count who leaves in the middle', async () => {
    await using server = await EchoServer.start();
    for (const bytes of ['', 'x', Buffer.from([22, 3, 1])]) {
      const stranger = talk(server.listener.port, bytes);
      await sleep(20);
      stranger.resetAndDestroy();
    }
    await until(() => server.listener.unprovenCount === 0);
    assert.deepEqual(server.peers, []);
  });

  it('cannot be greeted with what was overheard', async () => {
    const toServer: Buffer[] = [];
    await using server = await EchoServer.start({handshakeTimeoutMs: 300});
    await using tap = await forwarder(server.listener.port, (bytes, direction) => {
      if (direction === 'up') toServer.push(bytes);
    });
    const socket = await connectSecurely({host: HOST, port: tap.port}, {secret, timeoutMs});
    socket.end('words');
    await all(socket);
    assert.equal(server.peers.length, 1);
    const replay = talk(server.listener.port, Buffer.concat(toServer));
    await new Promise<void>((resolve) => replay.once('close', () => resolve()));
    await sleep(20);
    assert.equal(server.peers.length, 1);
    assert.equal(server.strangers.length, 1);
  });

  it('is not fooled by an impostor with a certificate', async function () {
    skipUnless(this, hasCommand('openssl'), 'openssl is not installed');
    using folder = new TemporaryFolder();
    const [keyPath, certPath] = [folder.join('key.pem'), folder.join('cert.pem')];
    const request = [
      'req',
      '-x509',
      '-newkey',
      'ec',
      '-pkeyopt',
      'ec_paramgen_curve:prime256v1',
      '-nodes',
      '-days',
      '2',
    ];
    execFileSync('openssl', [...request, '-subj', '/CN=localhost', '-keyout', keyPath, '-out', certPath], {
      stdio: 'ignore',
    });
    const impostor = createTlsServer({key: readFileSync(keyPath), cert: readFileSync(certPath)}, (socket) =>
      socket.end('trust me'),
    );
    impostor.on('tlsClientError', () => {});
    const port = await listening(impostor);
    // The environment's way to trust everybody must not count.
    process.env.NODE_TLS_REJECT_UNAUTHORIZED = '0';
    const {emitWarning} = process;
    process.emitWarning = () => {};
    try {
      await assert.rejects(connectSecurely({host: HOST, port}, {secret, timeoutMs}), (error) =>
        isError(error, 'network', /certificate/),
      );
    } finally {
      delete process.env.NODE_TLS_REJECT_UNAUTHORIZED;
      process.emitWarning = emitWarning;
      impostor.close();
    }
  });

  it('says what is wrong with the other side', async () => {
    const plain = createServer((socket) => socket.end('220 mail.example.org ESMTP\r\n'));
    const silent = createServer(() => {});
    const closing = createServer((socket) => socket.destroy());
    const cases: [Server, RegExp][] = [
      [plain, /does not speak TLS/],
      [silent, /no answer within 200 ms/],
      [closing, /closed/],
    ];
    for (const [server, message] of cases) {
      const port = await listening(server);
      await assert.rejects(connectSecurely({host: HOST, port}, {secret, timeoutMs: 200}), (error) =>
        isError(error, 'network', message),
      );
      server.close();
    }
    const [port] = [await listening(plain)];
    plain.close();
    await assert.rejects(connectSecurely({host: HOST, port}, {secret, timeoutMs}), (error) =>
      isError(error, 'network', /nobody listens there/),
    );
    await using server = await EchoServer.start();
    await assert.rejects(listenSecurely(server.endpoint, {secret, onConnection: () => {}}), (error) =>
      isError(error, 'network', /port is occupied/),
    );
  });

  it('survives a peer that breaks off', async () => {
    await using server = await EchoServer.start();
    for (let i = 0; i < 5; i++) {
      const socket = await connectSecurely(server.endpoint, {secret, timeoutMs});
      socket.on('error', () => {});
      await until(() => server.peers.length === i + 1);
      socket.write(randomBytes(100_000));
      (i % 2 === 0 ? server.peers.at(-1)! : socket).destroy();
      await sleep(5);
    }
    const socket = await connectSecurely(server.endpoint, {secret, timeoutMs});
    socket.end('still there');
    assert.equal(String(await all(socket)), 'still there');
  });

  it('lets the peer in through a crowd of silent strangers', async function () {
    this.timeout(20_000);
    await using server = await EchoServer.start({unprovenLimit: 20});
    const crowd: Socket[] = [];
    try {
      for (let i = 0; i < 300; i++) crowd.push(talk(server.listener.port, ''));
      await until(() => server.listener.unprovenCount === 20);
      const socket = await connectSecurely(server.endpoint, {secret, timeoutMs});
      socket.end('in');
      assert.equal(String(await all(socket)), 'in');
      assert.ok(server.listener.unprovenCount <= 20);
      assert.match(server.strangers[0]!.reason, /too many/);
      // One report, not 300.
      assert.ok(server.strangers.length < 10, `${server.strangers.length} reports`);
    } finally {
      for (const one of crowd) one.destroy();
    }
  });
});

describe(`a secure stream and garbage, seed ${SEED} (FTVM_TEST_SEED)`, function () {
  this.timeout(60_000);
  const CONNECTIONS = 1500;

  it('drops every connection, keeps its memory, and serves the peer meanwhile', async () => {
    const random = new Random(SEED);
    await using server = await EchoServer.start({handshakeTimeoutMs: 100});
    const greeting = await recordedGreeting();
    global.gc?.();
    const beforeBytes = process.memoryUsage().rss;
    const pending = new Set<Promise<void>>();
    for (let index = 0; index < CONNECTIONS; index++) {
      const bytes = damaged(random, greeting);
      const stranger = talk(server.listener.port, bytes);
      if (random.below(3) === 0) stranger.end();
      const gone = new Promise<void>((resolve) => stranger.once('close', () => resolve())).then(() => {
        pending.delete(gone);
      });
      pending.add(gone);
      if (pending.size >= 40) await Promise.race(pending);
      if (index % 250 === 0) {
        const socket = await connectSecurely(server.endpoint, {secret, timeoutMs});
        socket.end('peer');
        assert.equal(String(await all(socket)), 'peer');
      }
    }
    await Promise.all(pending);
    assert.equal(server.peers.length, Math.ceil(CONNECTIONS / 250));
    assert.equal(server.listener.unprovenCount, 0);
    const grownBytes = process.memoryUsage().rss - beforeBytes;
    assert.ok(grownBytes < 150 << 20, `${grownBytes >> 20} MB more`);
  });

  it('would notice a stranger that gets through', async () => {
    // The same connections to a listener that lets everybody in.
    const random = new Random(SEED);
    await using server = await EchoServer.start({secret: undefined});
    talk(server.listener.port, damaged(random, await recordedGreeting())).end();
    await until(() => server.peers.length === 1);
  });
});

/** What a holder of the secret says first. */
async function recordedGreeting(): Promise<Buffer> {
  const server = createServer();
  const port = await listening(server);
  const greeting = new Promise<Buffer>((resolve) => {
    server.once('connection', (socket) =>
      socket.once('data', (bytes: Buffer) => {
        resolve(bytes);
        socket.destroy();
      }),
    );
  });
  await assert.rejects(connectSecurely({host: HOST, port}, {secret, timeoutMs}));
  server.close();
  return await greeting;
}

/** Noise, or a greeting with bytes changed, cut off, doubled or followed by noise. */
function damaged(random: Random, greeting: Buffer): Buffer {
  const noise = (limit: number): Buffer =>
    Buffer.from(Array.from({length: random.below(limit)}, () => random.below(256)));
  const copy = Buffer.from(greeting);
  switch (random.below(5)) {
    case 0:
      return noise(2000);
    case 1:
      for (let count = 1 + random.below(8); count > 0; count--)
        copy[random.below(copy.length)]! ^= 1 + random.below(255);
      return copy;
    case 2:
      return copy.subarray(0, random.below(copy.length));
    case 3:
      return Buffer.concat([copy, copy]);
    default:
      return Buffer.concat([copy, noise(20_000)]);
  }
}

function talk(port: number, bytes: string | Uint8Array): Socket {
  const socket = quiet(connect(port, HOST));
  if (bytes.length > 0) socket.write(bytes);
  return socket;
}

function quiet<T extends Socket>(socket: T): T {
  socket.on('error', () => {});
  socket.resume();
  return socket;
}

async function all(socket: Socket): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of socket) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}

async function until(condition: () => boolean): Promise<void> {
  const deadlineMs = Date.now() + 5000;
  while (!condition()) {
    assert.ok(Date.now() < deadlineMs, 'it did not happen in 5 s');
    await sleep(5);
  }
}

async function listening(server: Server): Promise<number> {
  await new Promise<void>((resolve) => server.listen(0, HOST, resolve));
  return (server.address() as {port: number}).port;
}

async function forwarder(
  target: number,
  onBytes: (bytes: Buffer, direction: 'up' | 'down') => void,
): Promise<{port: number} & AsyncDisposable> {
  const server = createServer({allowHalfOpen: true}, (client) => {
    const upstream = connect({port: target, host: HOST, allowHalfOpen: true});
    upstream.on('error', () => {});
    client.on('error', () => {});
    client.on('data', (bytes) => onBytes(bytes, 'up'));
    upstream.on('data', (bytes) => onBytes(bytes, 'down'));
    client.pipe(upstream);
    upstream.pipe(client);
  });
  const port = await listening(server);
  return {
    port,
    async [Symbol.asyncDispose]() {
      server.close();
    },
  };
}

function isError(error: unknown, code: string, message: RegExp, hint = /./): boolean {
  assert.ok(error instanceof FtvmError, String(error));
  assert.equal(error.code, code);
  assert.match(error.message, message);
  assert.match(error.hint ?? '', hint);
  return true;
}
