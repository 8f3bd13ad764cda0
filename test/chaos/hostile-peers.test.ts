// Peers that are none: on either side of the channel somebody sends random bytes, oversized lengths, another protocol, messages of the
// wrong side, or nothing at all. The peer is dropped with a reason, the session goes on, and its memory stays what it was.

import assert from 'node:assert/strict';
import {readFileSync} from 'node:fs';
import {createConnection, createServer, type Socket} from 'node:net';
import {setTimeout as sleep} from 'node:timers/promises';
import {PREAMBLE_BYTES} from '../../src/logformat/limits.ts';
import {
  CHANNEL_PROTOCOL,
  encodeMessage,
  type Hello,
  MAX_CHUNK_BYTES,
  type Message,
  MessageReader,
} from '../../src/replication/messages.ts';
import {Random} from '../differential/random.ts';
import {replayMustShow} from '../e2e/ftvm-cli.ts';
import {makeLog} from '../logformat/sample-log.ts';
import {FtvmProcess, runFtvm, TemporaryFolder} from '../support/ftvm.ts';
import {SEED} from './seed.ts';

const HELLO: Hello = {protocol: CHANNEL_PROTOCOL, name: 'a stranger', lineageId: null, offset: '0', eligible: false};
const MEBIBYTE = 2 ** 20;

describe(`hostile peers, seed ${SEED} (FTVM_TEST_SEED)`, function () {
  this.timeout(240_000);
  const random = new Random(SEED);
  const noise = (lengthBytes: number): Buffer => {
    const bytes = Buffer.alloc(lengthBytes);
    for (let n = 0; n < lengthBytes; n += 1) bytes[n] = random.below(256);
    return bytes;
  };

  it('of a primary are dropped with a reason, and it goes on', async () => {
    using folder = new TemporaryFolder();
    const logPath = folder.join('run.ftlog');
    await using primary = new FtvmProcess(['record', 'counter', '-o', logPath, '--listen', '127.0.0.1:0']);
    const [, port] = await primary.waitFor(/listening on 127\.0\.0\.1:(\d+)/, {stream: 'stderr'});
    await primary.waitFor(/line 000002/);
    const before = residentBytes(primary);

    const greet = (change: Partial<Hello> = {}): Uint8Array =>
      encodeMessage({kind: 'hello', hello: {...HELLO, ...change}});
    const hello = greet();
    const refusals: [string, Uint8Array[], RegExp][] = [
      ['noise', [Buffer.from([0xee]), noise(5000)], /unknown type/],
      ['HTTP', [Buffer.from('GET / HTTP/1.1\r\nHost: localhost\r\n\r\n')], /unknown type/],
      ['an oversized length', [Buffer.from([1, 0xff, 0xff])], /65535 bytes, at most/],
      ['another protocol', [greet({protocol: 77})], /protocol 77/],
      ['another lineage', [greet({lineageId: 'ab'.repeat(16)})], /lineage/],
      ['no JSON', [Buffer.from([1, 3, 0, 0x7b, 0x7b, 0x7b])], /JSON/],
      ['a name that moves the cursor', [greet({name: '\x1b[2J'})], /name|fields/],
      ['two greetings', [hello, hello], /second greeting/],
      [
        'what only a primary sends',
        [hello, encodeMessage({kind: 'heartbeat'}), encodeMessage({kind: 'bytes', bytes: noise(100)})],
        /only a primary sends/,
      ],
      ['an acknowledgement of the wrong length', [hello, Buffer.from([5, 1, 0])], /wrong length/],
      [
        'an acknowledgement of more than there is',
        [hello, encodeMessage({kind: 'ack', ordinal: 2n ** 63n, position: 1n})],
        /acknowledges record 9223372036854775808, and \d+ is the last/,
      ],
      [
        'a sync of more than there is',
        [hello, encodeMessage({kind: 'synced', ordinal: 2n ** 63n})],
        /acknowledges record 9223372036854775808/,
      ],
      ['words before a greeting', [encodeMessage({kind: 'sendState'})], /greeting/],
    ];
    for (const [what, pieces, reason] of refusals) {
      const answer = await converse(Number(port), pieces);
      assert.match(answer.farewell ?? 'none', reason, `${what}: ${JSON.stringify(answer)}`);
      assert.ok(answer.closed, `${what}: the connection is still open`);
    }
    for (let round = 0; round < 30; round += 1) {
      const known = round % 2 === 0 ? [hello] : [];
      await converse(
        Number(port),
        [...known, Buffer.concat([Buffer.from([random.below(20)]), noise(random.below(4000))])],
        50,
      );
    }
    // More that say nothing than there is room for, and one that never reads.
    const silent = Array.from({length: 300}, () => createConnection(Number(port), '127.0.0.1').on('error', () => {}));
    const deaf = createConnection(Number(port), '127.0.0.1').pause();
    deaf.write(hello);
    primary.write('rate 1000\r');
    const [, seen] = await primary.waitFor(/line (\d{6})(?![\s\S]*line)/);
    await primary.waitFor(new RegExp(`line ${String(Number(seen) + 1000).padStart(6, '0')}`));
    const grown = residentBytes(primary) - before;
    assert.ok(grown < 100 * MEBIBYTE, `${Math.round(grown / MEBIBYTE)} MiB more are resident`);

    // An honest one is served all the while, and becomes the backup.
    const backupLogPath = folder.join('backup.ftlog');
    await using backup = new FtvmProcess(['tail', `tcp://127.0.0.1:${port}`, '-o', backupLogPath]);
    await primary.waitFor(/backup joined: /, {stream: 'stderr'});
    primary.write('stop\r');
    assert.equal((await primary.exit()).exitCode, 0);
    assert.equal((await backup.exit()).exitCode, 0);
    for (const socket of [...silent, deaf]) socket.destroy();
    await replayMustShow(primary.stdoutBytes, logPath);
    assert.deepEqual(readFileSync(backupLogPath), readFileSync(logPath));
  });

  it('in the place of a primary end a follower with a reason', async () => {
    using folder = new TemporaryFolder();
    const bytes = (length: number): Message => ({kind: 'bytes', bytes: noise(length)});
    const welcome: Message = {
      kind: 'welcome',
      welcome: {
        protocol: CHANNEL_PROTOCOL,
        lineageId: 'ab'.repeat(16),
        position: '0',
        generation: 1,
        nonceName: '',
        heartbeatMs: 100,
        takeoverMs: 500,
        datagramPort: 9,
        session: 'ab'.repeat(16),
      },
    };
    const cases: [string, (socket: Socket) => void, number, RegExp][] = [
      ['noise', (socket) => socket.write(Buffer.concat([Buffer.from([0xee]), noise(5000)])), 113, /unknown type/],
      ['an oversized length', (socket) => socket.write(Buffer.from([3, 0xff, 0xff, 0x7f])), 113, /at most/],
      [
        'a stream that is none',
        (socket) => socket.write(encodeMessage(welcome)) && socket.write(encodeMessage(bytes(4096))),
        109,
        /no.* log/,
      ],
      [
        'what only a follower sends',
        (socket) => socket.write(encodeMessage(welcome)) && socket.write(encodeMessage({kind: 'handOver'})),
        112,
        /only a follower sends/,
      ],
      [
        "another guest's log",
        (socket) =>
          socket.write(encodeMessage(welcome)) && socket.write(encodeMessage({kind: 'bytes', bytes: makeLog().bytes})),
        112,
        /greets as lineage (ab){16}, and sent a log of/,
      ],
      ['words before a greeting', (socket) => socket.write(encodeMessage(bytes(100))), 112, /before a greeting/],
      [
        'zeros without end',
        (socket) => {
          socket.write(encodeMessage(welcome));
          socket.write(encodeMessage({kind: 'bytes', bytes: makeLog().bytes.subarray(0, PREAMBLE_BYTES)}));
          for (let n = 0; n < 40; n += 1)
            socket.write(encodeMessage({kind: 'bytes', bytes: new Uint8Array(MAX_CHUNK_BYTES)}));
        },
        112,
        /more than a frame holds/,
      ],
      [
        'a state that nobody asked for',
        (socket) =>
          socket.write(encodeMessage(welcome)) && socket.write(encodeMessage({kind: 'table', bytes: noise(9)})),
        112,
        /state/,
      ],
      [
        'a refusal that moves the cursor',
        (socket) => socket.write(encodeMessage({kind: 'bye', bye: {reason: 'refused', message: '\x1b[2Jfull\nmoon'}})),
        112,
        /refused: [^\x1b]*full[^\n]moon\n/,
      ],
      [
        'a farewell',
        (socket) => socket.end(encodeMessage({kind: 'bye', bye: {reason: 'stopped'}})),
        113,
        /went away before it answered/,
      ],
      ['a closed door', (socket) => socket.destroy(), 113, /went away before it answered/],
      [
        'a welcome, and nothing more',
        (socket) => socket.write(encodeMessage(welcome)),
        103,
        /nothing was heard for 500 ms/,
      ],
    ];
    for (const [what, speak, exitCode, message] of cases) {
      const logPath = folder.join(`${what}.ftlog`);
      await using impostor = await Impostor.listen(speak);
      const result = await runFtvm(['tail', `tcp://127.0.0.1:${impostor.port}`, '-o', logPath]);
      assert.equal(result.exitCode, exitCode, `${what}: ${result.stderr}`);
      assert.match(result.stderr, message, what);
      assert.match(result.stderr, /^error: /m, what);
      assert.doesNotMatch(result.stderr, /^\s+at |\x1b/m, what);
    }
  });

  it('in the place of a primary that says nothing at all do not hold a follower for ever', async () => {
    using folder = new TemporaryFolder();
    await using impostor = await Impostor.listen(() => {});
    const argv = ['tail', `tcp://127.0.0.1:${impostor.port}`, '-o', folder.join('backup.ftlog')];
    const {exitCode, stderr} = await runFtvm(argv);
    assert.equal(exitCode, 113, stderr);
    assert.match(stderr, /^error: .* went away before it answered: nothing was heard for \d+ ms$/m);
  });
});

/** Says its pieces, and listens until the other side closes or `patienceMs` have passed. */
async function converse(
  port: number,
  pieces: readonly Uint8Array[],
  patienceMs = 3000,
): Promise<{farewell: string | undefined; closed: boolean}> {
  const socket = createConnection(port, '127.0.0.1');
  const reader = new MessageReader();
  let farewell: string | undefined;
  let closed = false;
  const end = new Promise((resolve) => {
    socket.on('close', resolve);
    socket.on('end', resolve);
  }).then(() => {
    closed = true;
  });
  socket.on('error', () => {});
  socket.on('data', (data) => {
    reader.push(data);
    for (let message = reader.next(); message !== undefined; message = reader.next()) {
      if (message.kind === 'bye') farewell = message.bye.message ?? message.bye.reason;
    }
  });
  for (const piece of pieces) {
    socket.write(piece);
    await sleep(1);
  }
  await Promise.race([end, sleep(patienceMs)]);
  socket.destroy();
  return {farewell, closed};
}

function residentBytes({child}: FtvmProcess): number {
  const [, pages] = readFileSync(`/proc/${child.pid}/statm`, 'utf8').split(' ');
  return Number(pages) * 4096;
}

/** Listens as a primary would, and says to whoever comes what it was told to say. */
class Impostor implements AsyncDisposable {
  readonly #server = createServer();
  readonly #sockets: Socket[] = [];

  static async listen(speak: (socket: Socket) => void): Promise<Impostor> {
    const impostor = new Impostor();
    impostor.#server.on('connection', (socket) => {
      impostor.#sockets.push(socket);
      socket.on('error', () => {});
      socket.once('data', () => speak(socket));
    });
    await new Promise<void>((resolve) => impostor.#server.listen(0, '127.0.0.1', resolve));
    return impostor;
  }

  get port(): number {
    return (this.#server.address() as {port: number}).port;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}
