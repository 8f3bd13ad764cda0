// Very many frames that no honest peer sends, against every socket (FTVM_HOSTILE_FRAMES=1000000: a million). Most of them go straight to the
// objects behind the sockets, a share through real sockets to a real session and a real switch. Whoever sends them is dropped with a
// reason, honest peers are served all the while, and memory stays what it was.

import assert from 'node:assert/strict';
import {createSocket} from 'node:dgram';
import {once} from 'node:events';
import {readFileSync} from 'node:fs';
import {createConnection, type NetConnectOpts} from 'node:net';
import {setTimeout as sleep, setImmediate as turn} from 'node:timers/promises';
import {setFlagsFromString} from 'node:v8';
import {runInNewContext} from 'node:vm';
import {askControl, ControlServer, controlSocketPath} from '../../src/host/control-socket.ts';
import {FrameDecoder, FrameStream} from '../../src/host/nic/frame-stream.ts';
import {AcknowledgementFilter} from '../../src/host/switch/acknowledgement-filter.ts';
import {LearningSwitch} from '../../src/host/switch/learning-switch.ts';
import {DatagramSender, datagramKey} from '../../src/replication/authentication.ts';
import {HeartbeatSocket} from '../../src/replication/heartbeat.ts';
import {encodeMessage, type Message, MessageReader} from '../../src/replication/messages.ts';
import {Random} from '../differential/random.ts';
import {replayMustShow} from '../e2e/ftvm-cli.ts';
import {FtvmProcess, TemporaryFolder} from '../support/ftvm.ts';
import {type Framing, type HostileFrame, hostileFrame, noise} from './hostile-frames.ts';
import {
  CHANNEL,
  closedInTheEnd,
  ETHERNET,
  FOLLOWER_SAYS,
  FollowerAlone,
  LOG,
  PRIMARY_SAYS,
  PrimaryAlone,
  SESSION,
  STREAM,
  worldOf,
} from './peers-alone.ts';
import {SEED} from './seed.ts';
import {Wire} from './wire.ts';

const FRAMES = Number(process.env['FTVM_HOSTILE_FRAMES'] ?? 50_000);
/** What each socket gets of them. */
const SHARES = {primary: 0.25, follower: 0.2, heartbeats: 0.15, stream: 0.2, control: 0.1, processes: 0.1};
/** Frames that one hostile peer sends, unless it is dropped before. */
const MOST_PER_PEER = 24;
const MEBIBYTE = 2 ** 20;
const REQUESTS = [
  {command: 'status'},
  {command: 'resume'},
  {command: 'set', loss: 0.5, port: 'lan', cut: true},
  {command: 'promote', dryRun: true},
].map((request) => Buffer.from(JSON.stringify(request)));

describe(`${FRAMES} hostile frames, seed ${SEED} (FTVM_TEST_SEED, FTVM_HOSTILE_FRAMES)`, function () {
  this.timeout(3_600_000);

  it('from a follower: the primary drops it with a reason, and serves the next', () =>
    withinMemory(toPrimary, SHARES.primary));

  it('from a primary: the follower drops it with a reason', () => withinMemory(toFollower, SHARES.follower));

  it('to the heartbeats: none of them counts', () => withinMemory(toHeartbeats, SHARES.heartbeats));

  it('to a switch: the guest is unplugged with a reason, and the others are not', () =>
    withinMemory(toStream, SHARES.stream));

  it('to a control socket: each line is answered', () => withinMemory(toControl, SHARES.control));

  it('to a session and a switch, through their sockets: they go on', toProcesses);

  for (const [name, decoder, check] of [
    ['channel', MessageReader, () => toPrimary(2000)],
    ['frame stream', FrameDecoder, () => toStream(2000)],
  ] as const) {
    it(`finds a ${name} that believes every length`, async () => {
      const unplant = believeEveryLength(decoder, name === 'channel' ? CHANNEL : STREAM);
      try {
        await assert.rejects(async () => check(), /beyond all limits/);
      } finally {
        unplant();
      }
    });
  }
});

/** Sends a peer's frames until it is dropped; returns how many. */
function attack(random: Random, {valid, framing, wire}: {valid: Uint8Array[]; framing: Framing; wire: Wire}): number {
  const count = random.between(1, MOST_PER_PEER);
  let inStep = true;
  for (let sent = 0; sent < count; ) {
    const frame: HostileFrame = hostileFrame(random, valid, framing);
    sent += 1;
    // As TCP may bring it: in two parts.
    const cut = random.below(frame.bytes.length + 1);
    wire.say(frame.bytes.subarray(0, cut));
    wire.say(frame.bytes.subarray(cut));
    if (frame.beyondLimits && inStep) assert.ok(!wire.listens, 'a length beyond all limits was believed');
    inStep &&= frame.whole;
    if (!wire.listens) return sent;
  }
  return count;
}

async function toPrimary(frames: number): Promise<void> {
  const random = new Random(SEED);
  const valid = FOLLOWER_SAYS.map(encodeMessage);
  const hello = valid[0];
  const primary = await PrimaryAlone.open();
  let honest = 0;
  let dropped = 0;
  for (let sent = 0; sent < frames; ) {
    const wire = new Wire({isDeaf: random.chance(0.1)});
    primary.accept(wire);
    if (random.chance(0.7)) {
      wire.say(hello);
      if (random.chance(0.5)) await turn();
    }
    sent += attack(random, {valid, framing: CHANNEL, wire});
    await turn();
    if (!wire.writable && wire.heard.length > 0) {
      const farewell = lastFarewell(wire.heard);
      if (farewell !== undefined) assert.ok(farewell.length > 5, `dropped with the reason "${farewell}"`);
      dropped += 1;
    }
    assert.ok(wire.writableLength < MEBIBYTE, `${wire.writableLength} bytes wait for a peer`);
    wire.hangUp();
    if (random.chance(0.05)) {
      const good = new Wire({isDeaf: false});
      primary.accept(good);
      good.say(hello);
      await turn();
      assert.match(String(messages(good.heard)[0]?.kind), /welcome/, 'an honest follower is not greeted');
      assert.ok(good.heard.includes(Buffer.from(LOG.bytes)), 'an honest follower does not get the log');
      good.hangUp();
      honest += 1;
    }
  }
  assert.equal(primary.replication.followers.length, 0);
  assert.ok(honest > 0 && dropped > 0, `${honest} honest followers, ${dropped} dropped ones`);
  await primary.close();
}

async function toFollower(frames: number): Promise<void> {
  const random = new Random(SEED + 1);
  const valid = PRIMARY_SAYS.map(encodeMessage);
  let dropped = 0;
  for (let sent = 0; sent < frames; ) {
    const follower = new FollowerAlone({isDeaf: random.chance(0.1)});
    if (random.chance(0.8)) follower.wire.say(valid[0]);
    if (random.chance(0.3)) follower.feed.requestState();
    sent += attack(random, {valid, framing: CHANNEL, wire: follower.wire});
    await turn();
    if (!follower.wire.writable) {
      assert.ok((follower.ended ?? '').length > 5, `ended with the reason "${follower.ended}"`);
      dropped += 1;
    }
    assert.ok(follower.wire.writableLength < MEBIBYTE, `${follower.wire.writableLength} bytes wait for a primary`);
    assert.ok(follower.syncsUnderWay <= 1, `${follower.syncsUnderWay} syncs are under way`);
    follower.close();
  }
  assert.ok(dropped > 0);
}

async function toHeartbeats(frames: number): Promise<void> {
  const random = new Random(SEED + 2);
  let arrive: (datagram: Uint8Array) => void = () => {};
  const world = worldOf(async (_, onDatagram) => {
    arrive = (datagram) => onDatagram(datagram, {host: '127.0.0.1', port: 9});
    return {port: 9, send: () => {}, close: () => {}};
  });
  const socket = await HeartbeatSocket.open(world, {host: '127.0.0.1', port: 0});
  const heartbeat = socket.pair({session: SESSION, side: 'primary', to: undefined});
  const sender = new DatagramSender(datagramKey({secret: undefined, session: SESSION, sender: 'follower'}));
  const old: Uint8Array[] = [];
  for (let sent = 0; sent < frames; sent += 1) {
    if (old.length === 0 || random.chance(0.01)) {
      const honest = sender.seal();
      heartbeat.lastHeardMs = undefined;
      arrive(honest);
      assert.ok(heartbeat.lastHeardMs !== undefined, 'an honest heartbeat was not heard');
      old.push(honest);
      if (old.length > 100) old.shift();
    }
    heartbeat.lastHeardMs = undefined;
    const frame = hostileFrame(random, old, noFraming(12));
    arrive(frame.bytes);
    assert.equal(heartbeat.lastHeardMs, undefined, `${frame.bytes.toString('hex')} counted`);
  }
  heartbeat.close();
  socket.close();
}

function toStream(frames: number): void {
  const random = new Random(SEED + 3);
  const table = new LearningSwitch({nowMs: () => performance.now()});
  const filter = new AcknowledgementFilter({nowMs: () => performance.now()});
  const plugIn = (wire: Wire, closed: (reason: string) => void): void => {
    const stream = new FrameStream(wire.socket, {
      frame: (frame) => {
        filter.pass(frame);
        table.receive(number, frame);
      },
      drained: () => table.drained(number),
      closed(reason) {
        table.detach(number);
        closed(reason);
      },
    });
    const number = table.attach({
      name: 'a guest',
      send: (frame) => stream.send(frame),
      congested: () => stream.congested,
      read: ({on}) => (on ? stream.resume() : stream.pause()),
    });
  };
  const deaf = new Wire({isDeaf: true});
  plugIn(deaf, () => assert.fail('a guest was unplugged that did nothing'));
  for (let sent = 0; sent < frames; ) {
    let reason: string | undefined;
    const wire = new Wire({isDeaf: false});
    plugIn(wire, (why) => {
      reason = why;
    });
    sent += attack(random, {valid: ETHERNET, framing: STREAM, wire});
    if (wire.destroyed) assert.match(reason ?? 'none', /a frame of \d+ bytes, which no Ethernet frame has/);
    wire.hangUp();
  }
  assert.ok(deaf.writableLength < 5 * MEBIBYTE, `${deaf.writableLength} bytes wait for a guest`);
  assert.ok(table.statistics.macs.length <= 4096 && table.statistics.ports.length < 100);
}

async function toControl(frames: number): Promise<void> {
  const random = new Random(SEED + 4);
  using folder = new TemporaryFolder();
  const server = await ControlServer.listen(folder.join('c.sock'), async ({command}) => ({ok: command === 'status'}));
  for (let sent = 0; sent < frames; ) {
    const lines = Array.from({length: 500}, () => hostileLine(random));
    const answers = await sayLines(server.path, lines);
    assert.equal(answers.length, lines.length);
    for (const answer of answers) assert.equal(typeof (JSON.parse(answer) as {ok: unknown}).ok, 'boolean');
    sent += lines.length;
  }
  assert.equal((await askControl(server.path, {command: 'status'})).ok, true);
  server.close();
}

async function toProcesses(): Promise<void> {
  const random = new Random(SEED + 5);
  const share = (FRAMES * SHARES.processes) / 4;
  using folder = new TemporaryFolder();
  const logPath = folder.join('run.ftlog');
  await using session = new FtvmProcess(['record', 'counter', '-o', logPath, '--listen', '127.0.0.1:0']);
  const guests = folder.join('lan.sock');
  await using lan = new FtvmProcess(['switch', '--port', `unix:${guests}`]);
  const [, port] = await session.waitFor(/listening on 127\.0\.0\.1:(\d+)/, {stream: 'stderr'});
  await lan.waitFor(/guests plug in/, {stream: 'stderr'});
  await session.waitFor(/line 000002/);
  const before = [residentBytes(session), residentBytes(lan)];

  const valid = FOLLOWER_SAYS.filter(({kind}) => kind !== 'bye').map(encodeMessage);
  await overSockets(random, {frames: share, valid, framing: CHANNEL, to: {host: '127.0.0.1', port: Number(port)}});
  await overSockets(random, {frames: share, valid: ETHERNET, framing: STREAM, to: {path: guests}});
  for (let sent = 0; sent < share; sent += 100) {
    const lines = Array.from({length: 50}, () => hostileLine(random));
    assert.equal((await sayLines(controlSocketPath(logPath), lines)).length, lines.length);
    assert.equal((await sayLines(`${guests}.control`, lines)).length, lines.length);
  }
  const udp = createSocket('udp4');
  for (let sent = 0; sent < share; sent += 1) {
    udp.send(noise(random, random.below(1400)), Number(port), '127.0.0.1');
    if (sent % 100 === 0) await turn();
  }
  await new Promise<void>((resolve) => udp.close(resolve));

  const grown = [residentBytes(session) - before[0], residentBytes(lan) - before[1]];
  for (const bytes of grown) assert.ok(bytes < 200 * MEBIBYTE, `${Math.round(bytes / MEBIBYTE)} MiB more are resident`);
  assert.equal((await askControl(`${guests}.control`, {command: 'status'})).ok, true);
  await askControl(controlSocketPath(logPath), {command: 'resume'});
  session.write('rate 1000\r');
  await session.waitFor(/line 001000/);
  session.write('stop\r');
  const {exitCode, stderr} = await session.exit();
  assert.equal(exitCode, 0, stderr);
  await replayMustShow(session.stdoutBytes, logPath);
}

/** Connections one after the other, each with a few frames. */
async function overSockets(
  random: Random,
  {frames, valid, framing, to}: {frames: number; valid: Uint8Array[]; framing: Framing; to: NetConnectOpts},
): Promise<void> {
  for (let sent = 0; sent < frames; ) {
    const count = random.between(1, MOST_PER_PEER);
    const pieces = Array.from({length: count}, () => hostileFrame(random, valid, framing).bytes);
    const socket = createConnection(to);
    const closed = closedInTheEnd(socket);
    if (framing === CHANNEL && random.chance(0.7)) socket.write(valid[0]);
    socket.resume().end(Buffer.concat(pieces));
    await Promise.race([closed, sleep(1000)]);
    socket.destroy();
    sent += count;
  }
}

/** A request that is none, without line ends in it. It never ends, pauses or promotes a session. */
function hostileLine(random: Random): Buffer {
  const valid = REQUESTS.filter((request) => !request.includes('resume') || random.chance(0.5));
  const {bytes} = hostileFrame(random, valid, noFraming(0));
  const deep = random.chance(0.01) ? Buffer.from('[{"command":'.repeat(random.below(4000))) : bytes;
  return Buffer.concat([deep.map((byte) => (byte === 0x0a ? 0x20 : byte)), Buffer.from('\n')]);
}

async function sayLines(path: string, lines: readonly Buffer[]): Promise<string[]> {
  const socket = createConnection(path);
  await once(socket, 'connect');
  let text = '';
  socket.setEncoding('utf8').on('data', (part: string) => {
    text += part;
    if (text.split('\n').length > lines.length) socket.destroy();
  });
  const closed = closedInTheEnd(socket);
  socket.write(Buffer.concat(lines));
  await Promise.race([closed, sleep(20_000)]);
  return text.split('\n').slice(0, -1);
}

function messages(bytes: Uint8Array): Message[] {
  const reader = new MessageReader();
  reader.push(bytes);
  const all: Message[] = [];
  for (let message = reader.next(); message !== undefined; message = reader.next()) all.push(message);
  return all;
}

function lastFarewell(bytes: Uint8Array): string | undefined {
  const last = messages(bytes).at(-1);
  return last?.kind === 'bye' ? (last.bye.message ?? last.bye.reason) : undefined;
}

/** What is kept after all that may not depend on how much it was. */
async function withinMemory(run: (frames: number) => unknown, share: number): Promise<void> {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as () => void;
  const used = (): number => {
    collect();
    const {heapUsed, external} = process.memoryUsage();
    return heapUsed + external;
  };
  await run(500);
  const before = used();
  await run(FRAMES * share);
  await turn();
  const grown = used() - before;
  assert.ok(grown < 32 * MEBIBYTE, `${(grown / MEBIBYTE).toFixed(1)} MiB more are in use`);
}

function residentBytes({child}: FtvmProcess): number {
  const [, pages] = readFileSync(`/proc/${child.pid}/statm`, 'utf8').split(' ');
  return Number(pages) * 4096;
}

/** Of what announces no length: four bytes of it are overwritten all the same. */
function noFraming(lengthAt: number): Framing {
  return {lengthAt, lengthBytes: () => 4, littleEndian: true, isNoHead: true};
}

type Decoder = {prototype: {push(bytes: Uint8Array): void; next(): unknown}};

/** Plants the fault: the decoder waits for as many bytes as a frame announces. Returns what takes it out again. */
function believeEveryLength({prototype}: Decoder, {lengthAt, lengthBytes, littleEndian}: Framing): () => void {
  const {push, next} = prototype;
  const waiting = new WeakMap<object, Buffer>();
  prototype.push = function (bytes) {
    waiting.set(this, Buffer.concat([waiting.get(this) ?? Buffer.alloc(0), bytes]));
  };
  prototype.next = function () {
    const bytes = waiting.get(this) ?? Buffer.alloc(0);
    const length = bytes.length === 0 ? 0 : lengthBytes(bytes);
    const headBytes = lengthAt + length;
    if (bytes.length < headBytes) return undefined;
    const announced =
      length === 0 ? 0 : littleEndian ? bytes.readUIntLE(lengthAt, length) : bytes.readUIntBE(lengthAt, length);
    if (bytes.length < headBytes + announced) return undefined;
    push.call(this, bytes.subarray(0, headBytes + announced));
    waiting.set(this, bytes.subarray(headBytes + announced));
    return next.call(this);
  };
  return () => Object.assign(prototype, {push, next});
}
