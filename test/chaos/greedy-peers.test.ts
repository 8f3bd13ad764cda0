// Peers that want memory: they read nothing of what they are told, or say what never comes to an end. Nothing piles up on their account.

import assert from 'node:assert/strict';
import {once} from 'node:events';
import {createConnection, createServer, type Socket} from 'node:net';
import {mock} from 'node:test';
import {setTimeout as sleep, setImmediate as turn} from 'node:timers/promises';
import {ControlServer} from '../../src/host/control-socket.ts';
import {StreamNic} from '../../src/host/nic/stream-nic.ts';
import type {LogRecord} from '../../src/logformat/record.ts';
import {SocketLink} from '../../src/replication/link.ts';
import {encodeMessage, MAX_CHUNK_BYTES, type Message} from '../../src/replication/messages.ts';
import {Random} from '../differential/random.ts';
import {makeLog, SAMPLE_HEADER} from '../logformat/sample-log.ts';
import {TemporaryFolder} from '../support/ftvm.ts';
import {hostileFrame} from './hostile-frames.ts';
import {
  closedInTheEnd,
  END,
  ETHERNET,
  FollowerAlone,
  HELLO,
  LOG,
  PRIMARY_SAYS,
  PrimaryAlone,
  STREAM,
} from './peers-alone.ts';
import {SEED} from './seed.ts';
import {Wire} from './wire.ts';

const MEBIBYTE = 2 ** 20;

describe(`greedy peers, seed ${SEED} (FTVM_TEST_SEED)`, function () {
  this.timeout(60_000);

  it('of whoever reads nothing: nothing piles up', async () => {
    const primary = await PrimaryAlone.open();
    const wire = new Wire({isDeaf: true});
    primary.accept(wire);
    wire.say(encodeMessage({kind: 'hello', hello: HELLO}));
    await turn();
    for (let n = 0; n < 1000; n += 1) wire.say(encodeMessage({kind: 'sendState'}));
    for (let n = 0; n < 1000; n += 1)
      primary.replication.logGrew({writtenThrough: BigInt(n), quietPosition: undefined});
    await turn();
    await primary.close();
    assert.ok(wire.writableLength < MEBIBYTE, `${wire.writableLength} bytes wait for a follower`);

    const follower = new FollowerAlone({isDeaf: true});
    follower.wire.say(encodeMessage(PRIMARY_SAYS[0]));
    const {bytes, ends} = makeLog([SAMPLE_HEADER, ...Array.from({length: 5000}, digestAt)], {perFrame: 1});
    ends.forEach((end, index) => {
      follower.wire.say(encodeMessage({kind: 'bytes', bytes: bytes.subarray(ends[index - 1] ?? 0, end)}));
      follower.wire.say(encodeMessage({kind: 'sync', ordinal: 0n}));
    });
    assert.equal(follower.feed.point?.ordinal, 5001n);
    assert.ok(follower.wire.writableLength < 80 * 1024, `${follower.wire.writableLength} bytes wait for a primary`);
    assert.ok(follower.syncsUnderWay <= 1, `${follower.syncsUnderWay} syncs are under way`);
    follower.close();
  });

  it('of a state that never ends: it is refused', () => {
    const empty: Message = {kind: 'table', bytes: new Uint8Array(0)};
    const small: Message = {kind: 'table', bytes: new Uint8Array(1)};
    const page: Message = {kind: 'pages', bytes: new Uint8Array(6)};
    for (const says of [[empty], [small, small], [{kind: 'stateEnd', end: END} as const, page]]) {
      const follower = new FollowerAlone({isDeaf: false});
      follower.wire.say(encodeMessage(PRIMARY_SAYS[0]));
      follower.feed.requestState();
      for (const message of says) follower.wire.say(encodeMessage(message));
      assert.match(follower.ended ?? 'not at all', /state/);
    }
  });

  it('from a switch: the NIC leaves it with a reason, and comes back', async () => {
    const random = new Random(SEED + 6);
    using folder = new TemporaryFolder();
    const path = folder.join('lan.sock');
    const server = createServer().listen(path);
    await once(server, 'listening');
    const notes: string[] = [];
    const opened = StreamNic.open({kind: 'unix', path}, {secret: undefined, note: (text) => notes.push(text)});
    let nic: StreamNic | undefined;
    for (let round = 0; round < 10; round += 1) {
      const [socket] = (await once(server, 'connection')) as [Socket];
      nic ??= await opened;
      const closed = closedInTheEnd(socket.resume());
      while (!socket.destroyed) {
        socket.write(hostileFrame(random, ETHERNET, STREAM).bytes);
        nic.take({frames: 1000, bytes: MEBIBYTE});
        await turn();
      }
      await closed;
    }
    const [socket] = (await once(server, 'connection')) as [Socket];
    while (nic?.take({frames: 1000, bytes: MEBIBYTE}).length !== 0) await turn();
    socket.write(ETHERNET[1]);
    await new Promise<void>((resolve) => nic.onFrames(resolve));
    assert.deepEqual(nic.take({frames: 9, bytes: MEBIBYTE}), [ETHERNET[1].subarray(4)]);
    const reasons = notes.filter((note) => /a frame of \d+ bytes, which no Ethernet frame has/.test(note));
    assert.equal(reasons.length, 10, notes.join('\n'));
    nic.close();
    socket.destroy();
    server.close();
  });

  it('of whoever does not read why it was dropped: it is not waited for', () => {
    mock.timers.enable({apis: ['setTimeout']});
    try {
      const wire = new Wire({isDeaf: true});
      let reason = '';
      const ignore = (): void => {};
      new SocketLink(wire.socket, 'a peer').start({
        message: ignore,
        drained: ignore,
        closed: (why) => {
          reason = why;
        },
      });
      wire.say(Buffer.from([0xee, 0, 0, 0, 0]));
      assert.match(reason, /unknown type/);
      assert.ok(!wire.destroyed);
      mock.timers.tick(60_000);
      assert.ok(wire.destroyed);
    } finally {
      mock.timers.reset();
    }
  });

  it('of zeros without end: they are refused', () => {
    const follower = new FollowerAlone({isDeaf: false});
    const zeros = encodeMessage({kind: 'bytes', bytes: new Uint8Array(MAX_CHUNK_BYTES)});
    follower.wire.say(encodeMessage(PRIMARY_SAYS[0]));
    follower.wire.say(encodeMessage({kind: 'bytes', bytes: LOG.bytes.subarray(0, LOG.ends[1])}));
    for (let n = 0; n < 20; n += 1) follower.wire.say(zeros);
    assert.match(follower.ended ?? 'not at all', /more than a frame holds/);
  });

  it('of a control client that reads no answers: it is not read either', async () => {
    using folder = new TemporaryFolder();
    let answered = 0;
    const server = await ControlServer.listen(folder.join('c.sock'), async () => {
      answered += 1;
      return {ok: true, much: 'x'.repeat(1000)};
    });
    const socket = createConnection(server.path).pause();
    socket.on('error', () => {});
    const lines = Buffer.from('{"command":"status"}\n'.repeat(500));
    for (let n = 0; n < 100; n += 1) {
      socket.write(lines);
      await sleep(1);
    }
    assert.ok(answered > 0 && answered < 10_000, `${answered} answers are under way`);
    socket.destroy();
    server.close();
  });
});

function digestAt(_: unknown, index: number): LogRecord {
  return {kind: 'digest', position: BigInt(index), digest: new Uint8Array(32)};
}
