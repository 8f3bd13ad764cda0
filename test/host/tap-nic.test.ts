// The NIC at a TAP interface, against the kernel: frames both ways, back-pressure, and everything that can be wrong with an interface.

import assert from 'node:assert/strict';
import {randomBytes} from 'node:crypto';
import {setTimeout as sleep} from 'node:timers/promises';
import {FtvmError} from '../../src/errors.ts';
import {TapNic} from '../../src/host/nic/tap-nic.ts';
import {NetworkNamespace, needNamespaces} from '../support/network-namespace.ts';

const LIMITS = {frames: 256, bytes: 512 * 1024};
const KERNEL = '10.9.0.1';
const KERNEL_MAC = '52:54:00:00:00:01';
const GUEST = '10.9.0.2';
const GUEST_MAC = '52:54:00:00:00:02';
const UDP_PORT = 4000;
const ETHER_IPV4 = 0x0800;
const PROTOCOL_ICMP = 1;
const PROTOCOL_UDP = 17;
const ECHO_REQUEST = 8;
const ECHO_REPLY = 0;
/** Behind the headers of Ethernet and IPv4. */
const ICMP_OFFSET = 34;
/** What a flood is made of, and how many of its frames wait in this process at most: 1 MiB. */
const FLOOD_BYTES = 1000;
const FULL_FRAMES = 1007;
/** Debian's user nobody. */
const NOBODY = 65534;

describe('a NIC at a TAP interface', () => {
  before(function () {
    needNamespaces(this);
  });

  it('carries frames both ways: the kernel answers what the guest asks', async () => {
    using host = tapHost();
    using nic = open(host);
    const answered = Promise.withResolvers<Buffer>();
    nic.onFrames(() => {
      for (const frame of nic.take(LIMITS).map((bytes) => Buffer.from(bytes))) {
        if (frame.readUInt16BE(12) === ETHER_IPV4 && frame[23] === PROTOCOL_ICMP) answered.resolve(frame);
      }
    });
    const payload = randomBytes(1400);
    // An interface that has just come up may lose what comes first.
    const asking = setInterval(() => nic.send(echo(payload)), 500);
    nic.send(echo(payload));
    const answer = await answered.promise.finally(() => clearInterval(asking));
    assert.equal(answer[ICMP_OFFSET], ECHO_REPLY);
    assert.deepEqual(answer.subarray(ICMP_OFFSET + 8), payload);
    assert.deepEqual(nic.drops, {noPeer: 0, congested: 0, badSize: 0});
  });

  it('reads nothing that the guest does not take; the rest waits in the kernel, whose queue is bounded', async () => {
    using host = tapHost();
    using nic = open(host);
    const sent = 3000;
    const numbers = (frames: Uint8Array[]): number[] => frames.filter(isDatagram).map(numberOf);
    flood(host, sent);
    await sleep(50);
    const received = numbers(nic.take({frames: sent, bytes: 1 << 30}));
    assert.ok(Math.abs(received.length - FULL_FRAMES) < 50, `${received.length} frames waited`);
    nic.onFrames(() => received.push(...numbers(nic.take(LIMITS))));
    await until(() => received.length === sent);
    assert.deepEqual(
      received,
      Array.from({length: sent}, (_, index) => index),
    );
  });

  it('keeps no event loop busy, neither while nothing comes nor while the guest takes nothing', async () => {
    using host = tapHost();
    using _nic = open(host);
    for (const count of [0, 2 * FULL_FRAMES]) {
      flood(host, count);
      await sleep(50);
      const before = process.cpuUsage();
      await sleep(300);
      const {user, system} = process.cpuUsage(before);
      assert.ok(user + system < 50_000, `${user + system} µs of CPU time in 300 ms after ${count} frames`);
    }
  });

  it('counts frames that it cannot send, says so once, and goes on when the interface is up again', () => {
    using host = tapHost();
    const notes: string[] = [];
    using nic = open(host, notes);
    host.ip('link set tap0 down');
    for (const bytes of [0, 1]) nic.send(echo(new Uint8Array(bytes)));
    assert.deepEqual(nic.drops, {noPeer: 2, congested: 0, badSize: 0});
    host.ip('link set tap0 up');
    nic.send(echo(new Uint8Array(2)));
    nic.send(new Uint8Array(3));
    assert.deepEqual(nic.drops, {noPeer: 2, congested: 0, badSize: 1});
    assert.deepEqual(notes, [
      'tap:tap0: the interface is down; frames are dropped until it is back',
      'tap:tap0: up again',
    ]);
  });

  it('survives that the interface is taken away, and uses it when it is back', async () => {
    using host = tapHost();
    const notes: string[] = [];
    using nic = open(host, notes);
    host.ip('link del tap0');
    await until(() => notes.length > 0);
    nic.send(echo(new Uint8Array(0)));
    assert.equal(nic.drops.noPeer, 1);
    addTap(host);
    // It looks for the interface where this thread is.
    using _inside = host.enter();
    await until(() => {
      nic.send(echo(new Uint8Array(0)));
      return notes.length > 1;
    });
    assert.deepEqual(notes, [
      'tap:tap0: the interface is gone; frames are dropped until it is back',
      'tap:tap0: up again',
    ]);
  });

  describe('says what is wrong', () => {
    for (const [what, prepare, pattern, hint] of [
      ['no interface', () => {}, /there is no interface tap0/, /ip tuntap add dev tap0/],
      ['a down one', (host) => host.ip('tuntap add dev tap0 mode tap'), /is down/, /ip link set tap0 up/],
      ['no TAP', (host) => host.ip('link add tap0 type bridge'), /no TAP interface/, /ip tuntap list/],
      ['a TUN', (host) => host.ip('tuntap add dev tap0 mode tun'), /no TAP interface/, /mode tap/],
    ] as [string, (host: NetworkNamespace) => void, RegExp, RegExp][]) {
      it(what, () => {
        using host = new NetworkNamespace('tap');
        prepare(host);
        assert.throws(() => open(host), failure(pattern, hint));
      });
    }

    it('one that is in use', () => {
      using host = tapHost();
      using _nic = open(host);
      assert.throws(() => open(host), failure(/another process is attached/, /of its own/));
    });
  });

  describe('an unprivileged user', () => {
    it('uses an interface that was made for him, and no other', () => {
      using host = new NetworkNamespace('tap');
      host.ip(`tuntap add dev tap0 mode tap user ${NOBODY}; link set tap0 up`);
      host.ip('tuntap add dev tap1 mode tap user 1; link set tap1 up');
      assert.equal(openUnprivileged(host, {name: 'tap0', mode: '666'}), 'open');
      assert.match(
        openUnprivileged(host, {name: 'tap1', mode: '666'}),
        /tap:tap1: the interface belongs to another user/,
      );
      assert.match(openUnprivileged(host, {name: 'tap0', mode: '600'}), /cannot open \/dev\/net\/tun: EACCES/);
    });
  });
});

type DisposableNic = TapNic & Disposable;

function open(host: NetworkNamespace, notes: string[] = []): DisposableNic {
  const nic = host.inside(() => new TapNic('tap0', {note: (text) => notes.push(text)}));
  return Object.assign(nic, {[Symbol.dispose]: () => nic.close()});
}

/** Opens a TAP interface as nobody, where /dev/net/tun has this mode; what came of it. */
function openUnprivileged(host: NetworkNamespace, {name, mode}: {name: string; mode: string}): string {
  const program = `
    const {TapNic} = await import(${JSON.stringify(new URL('../../src/host/nic/tap-nic.ts', import.meta.url).href)});
    process.setgroups([]);
    process.setgid(${NOBODY});
    process.setuid(${NOBODY});
    try {
      new TapNic('${name}', {note() {}}).close();
      console.log('open');
    } catch (error) {
      console.log(error.message);
    }`;
  // `ip netns exec` has given the shell mounts of its own.
  const shell = `mount -t tmpfs none /dev/net && mknod -m ${mode} /dev/net/tun c 10 200 && exec "$@"`;
  return host.run(['sh', '-c', shell, 'sh', process.execPath, '--input-type=module', '-e', program]).trim();
}

/** A host with tap0, at the other end of which GUEST is said to be. */
function tapHost(): NetworkNamespace {
  const host = new NetworkNamespace('tap');
  addTap(host);
  return host;
}

/** The kernel's own queue is longer than what a test floods it with. */
function addTap(host: NetworkNamespace): void {
  host.ip(`tuntap add dev tap0 mode tap; link set tap0 address ${KERNEL_MAC}; addr add ${KERNEL}/24 dev tap0`);
  host.ip(`link set tap0 txqueuelen 5000; link set tap0 up; neigh add ${GUEST} lladdr ${GUEST_MAC} dev tap0`);
}

const failure = (message: RegExp, hint: RegExp) => (error: unknown) =>
  error instanceof FtvmError && error.code === 'network' && message.test(error.message) && hint.test(error.hint ?? '');

/** An ICMP echo request from the guest to the kernel (RFC 791, 792). */
function echo(payload: Uint8Array): Buffer {
  const icmp = Buffer.concat([Buffer.of(ECHO_REQUEST, 0, 0, 0, 0, 1, 0, 1), payload]);
  icmp.writeUInt16BE(checksum(icmp), 2);
  const ip = Buffer.alloc(20);
  ip.writeUInt16BE(0x4500, 0);
  ip.writeUInt16BE(ip.length + icmp.length, 2);
  ip.writeUInt16BE((64 << 8) | PROTOCOL_ICMP, 8);
  ip.set(GUEST.split('.').map(Number), 12);
  ip.set(KERNEL.split('.').map(Number), 16);
  ip.writeUInt16BE(checksum(ip), 10);
  const macs = [KERNEL_MAC, GUEST_MAC].map((mac) => Buffer.from(mac.replaceAll(':', ''), 'hex'));
  return Buffer.concat([...macs, Buffer.of(ETHER_IPV4 >> 8, ETHER_IPV4 & 0xff), ip, icmp]);
}

/** RFC 1071. */
function checksum(bytes: Buffer): number {
  let sum = 0;
  for (let at = 0; at < bytes.length; at += 2) sum += (bytes[at] << 8) | (bytes[at + 1] ?? 0);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >> 16);
  return ~sum & 0xffff;
}

/** The kernel sends so many numbered datagrams to the guest. */
function flood(host: NetworkNamespace, count: number): void {
  const print = `printf %0${FLOOD_BYTES}d $n`;
  host.run(['bash', '-c', `exec >/dev/udp/${GUEST}/${UDP_PORT}; for ((n = 0; n < ${count}; n++)); do ${print}; done`]);
}

function isDatagram(frame: Uint8Array): boolean {
  return frame[23] === PROTOCOL_UDP && Buffer.from(frame).readUInt16BE(36) === UDP_PORT;
}

/** The decimal number that is a datagram's payload. */
function numberOf(frame: Uint8Array): number {
  return Number(Buffer.from(frame.subarray(42)).toString());
}

async function until(condition: () => boolean): Promise<void> {
  for (let attempt = 0; !condition(); attempt += 1) {
    assert.ok(attempt < 1000, 'this did not come true in 10 s');
    await sleep(10);
  }
}
