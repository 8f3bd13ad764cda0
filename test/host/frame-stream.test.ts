// The framing of stream sockets, however the bytes are cut; and what no frame can be breaks the connection with a reason.

import assert from 'node:assert/strict';
import {once} from 'node:events';
import {createConnection, createServer} from 'node:net';
import {setTimeout as sleep} from 'node:timers/promises';
import fc from 'fast-check';
import {encodeFrame, FrameDecoder, FrameStream} from '../../src/host/nic/frame-stream.ts';
import {MAX_FRAME_BYTES} from '../../src/host/nic/nic.ts';
import {StreamNic} from '../../src/host/nic/stream-nic.ts';
import {MAX_PACKET_BYTES} from '../../src/logformat/limits.ts';
import {TemporaryFolder} from '../support/ftvm.ts';

describe('frames in a stream', () => {
  it('come out as they went in, however the bytes are cut', () => {
    const frames = fc.array(fc.uint8Array({minLength: 1, maxLength: 100}), {maxLength: 20});
    fc.assert(
      fc.property(frames, fc.array(fc.integer({min: 1, max: 30}), {minLength: 1}), (sent, cuts) => {
        const bytes = Buffer.concat(sent.map(encodeFrame));
        const decoder = new FrameDecoder();
        const received: unknown[] = [];
        for (let at = 0, cut = 0; at < bytes.length; at += cuts[cut++ % cuts.length]) {
          decoder.push(bytes.subarray(at, at + cuts[cut % cuts.length]));
          for (let frame = decoder.next(); frame !== undefined; frame = decoder.next()) received.push(frame);
        }
        assert.deepEqual(received, sent);
      }),
    );
  });

  it('have the size that the log can hold', () => {
    assert.equal(MAX_FRAME_BYTES, MAX_PACKET_BYTES);
  });

  for (const length of [0, MAX_FRAME_BYTES + 1, 0xffffffff]) {
    it(`a length of ${length} breaks the connection, and says why`, async () => {
      const decoder = new FrameDecoder();
      const head = Buffer.alloc(4);
      head.writeUInt32BE(length);
      decoder.push(head);
      assert.deepEqual(decoder.next(), {badLength: length});

      const server = createServer().listen(0, '127.0.0.1');
      await once(server, 'listening');
      const {port} = server.address() as {port: number};
      const client = createConnection({host: '127.0.0.1', port});
      const [socket] = await once(server, 'connection');
      const reason = new Promise<string>((resolve) => new FrameStream(socket, {frame: () => {}, closed: resolve}));
      client.write(head);
      assert.match(await reason, new RegExp(`a frame of ${length} bytes`));
      client.destroy();
      server.close();
    });
  }
});

describe('a NIC at a switch', () => {
  const frame = (byte: number): Uint8Array => new Uint8Array(60).fill(byte);

  it('counts what it drops while there is none, and finds it when it comes, goes and comes back', async () => {
    using folder = new TemporaryFolder();
    const path = folder.join('lan.sock');
    const notes: string[] = [];
    const nic = await StreamNic.open({kind: 'unix', path}, {secret: undefined, note: (text) => notes.push(text)});
    assert.match(notes[0], /lan\.sock: .*ENOENT.*; frames are dropped until it answers/);
    nic.send(frame(1));
    assert.equal(nic.drops.noPeer, 1);
    for (let round = 0; round < 2; round += 1) {
      const server = createServer().listen(path);
      const [socket] = await once(server, 'connection');
      const streamed = new Promise<Uint8Array>(
        (resolve) => new FrameStream(socket, {frame: resolve, closed: () => {}}),
      );
      while (notes.filter((note) => note.endsWith(': connected')).length <= round) await sleep(5);
      nic.send(frame(2));
      assert.deepEqual(await streamed, frame(2));
      server.close();
      socket.destroy();
      await once(server, 'close');
    }
    nic.close();
  });

  it('hands frames over within limits, in order, and stops reading when too many wait', async () => {
    using folder = new TemporaryFolder();
    const path = folder.join('lan.sock');
    const server = createServer().listen(path);
    await once(server, 'listening');
    const accepted = once(server, 'connection');
    const nic = await StreamNic.open({kind: 'unix', path}, {secret: undefined, note: () => {}});
    const [socket] = await accepted;
    const large = 65_000;
    let sent = 0;
    // 16 frames of 65,000 bytes are beyond what waits for a guest; the rest stays in the sockets.
    for (; sent < 100; sent += 1) socket.write(encodeFrame(new Uint8Array(large).fill(sent)));
    await sleep(200);
    assert.ok(socket.writableLength > 1 << 20, `${socket.writableLength} bytes are unread`);
    let received = 0;
    while (received < sent) {
      const frames = nic.take({frames: 3, bytes: 150_000});
      assert.ok(frames.length <= 2);
      for (const {0: byte, length} of frames) {
        assert.deepEqual([byte, length], [received, large]);
        received += 1;
      }
      if (frames.length === 0) await new Promise((resolve) => nic.onFrames(() => resolve(undefined)));
    }
    nic.close();
    server.close();
  });
});
