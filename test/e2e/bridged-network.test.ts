// A client's live TCP connection to Redis in a Debian guest, over TAP interfaces and bridges between network namespaces, survives its host:
// killed, stopped, or cut off. The guest is never at two places.

import assert from 'node:assert/strict';
import {randomBytes} from 'node:crypto';
import {EXIT_CODES} from '../../src/errors.ts';
import {debianGuest, GUEST_BUILD_TIMEOUT_MS} from '../guests/debian-guest.ts';
import {TemporaryFolder} from '../support/ftvm.ts';
import {needNamespaces} from '../support/network-namespace.ts';
import {hasCommand, skipUnless} from '../support/skip.ts';
import {BridgedHosts, GUEST_IP, GUEST_MAC} from './bridged-hosts.ts';
import {Connection, Counter} from './clients.ts';
import {recordsOfKind, replayMustBeIdentical} from './ftvm-cli.ts';
import {BOOT_TIMEOUT_MS, Hosts} from './hosts.ts';

const REDIS = 'redis-server --bind 0.0.0.0 --protected-mode no --dir /tmp --save 900 1000000 --appendonly no';
/** The soak says more. */
const KILLS = Number(process.env['FTVM_KILLS'] ?? 1);
/** FTVM_DOWNLOAD_BYTES=100000000 for one of a hundred megabytes. */
const DOWNLOAD_BYTES = Number(process.env['FTVM_DOWNLOAD_BYTES'] ?? 8_000_000);
/** How often the client is answered before and after each failure. */
const ANSWERS = 50;
/** Until a connection to the arbiter that was cut is there again. */
const RECONNECT_TIMEOUT_MS = 60_000;

describe('a network of TAP interfaces that outlives a host', function () {
  this.timeout(GUEST_BUILD_TIMEOUT_MS + 30_000 * KILLS + DOWNLOAD_BYTES / 200);

  before(async function () {
    needNamespaces(this);
    await debianGuest(this, ['redis-server']);
  });

  it('connections go on when the host is killed, and when the next one stops; that one halts when it wakes up', async () => {
    await using lan = await BridgedLan.boot();
    const {wires, hosts, client} = lan;
    using idle = new Connection(await wires.connect());
    assert.equal(await idle.ask('PING\r\n', 7), '+PONG\r\n');
    for (let kill = 0; kill < KILLS; kill += 1) {
      await lan.protect();
      hosts.primary.kill('SIGKILL');
      await lan.goesOn();
    }
    assert.deepEqual(wires.guestPorts, portsAfter(KILLS));

    await lan.protect();
    const stopped = hosts.primary;
    stopped.kill('SIGSTOP');
    await lan.goesOn();
    stopped.kill('SIGCONT');
    assert.equal((await stopped.exit()).exitCode, EXIT_CODES.lostArbitration, stopped.stderr);
    await client.reach(client.last + ANSWERS);
    assert.deepEqual(wires.guestPorts, portsAfter(KILLS + 1));

    assert.equal(await idle.ask('PING\r\n', 7), '+PONG\r\n');
    await client.stop();
    hosts.primary.kill('SIGINT');
    await hosts.primary.exit();
    await replayMustBeIdentical(hosts.logPath, {timeoutMs: 180_000});
    assert.equal(recordsOfKind(hosts.logPath, 'takeover').length, KILLS + 1);
  });

  it(`a download of ${DOWNLOAD_BYTES} bytes goes on when the host is killed in its middle, and is what was uploaded`, async () => {
    // The value, and Redis' copy of it on its way out.
    await using lan = await BridgedLan.boot({ram: `${256 + 2 * Math.ceil((2 * DOWNLOAD_BYTES) / 2 ** 21)}M`});
    const {wires, hosts, client} = lan;
    using connection = new Connection(await wires.connect());
    const content = randomBytes(DOWNLOAD_BYTES);
    const length = `$${DOWNLOAD_BYTES}\r\n`;
    const set = Buffer.concat([Buffer.from(`*3\r\n$3\r\nSET\r\n$3\r\nbig\r\n${length}`), content, Buffer.from('\r\n')]);
    assert.equal(await connection.ask(set, 5), '+OK\r\n');
    await lan.protect();
    let killedAt: number | undefined;
    connection.onProgress = (receivedBytes) => {
      if (killedAt !== undefined || receivedBytes < DOWNLOAD_BYTES / 16) return;
      killedAt = receivedBytes;
      hosts.primary.kill('SIGKILL');
    };
    const received = await connection.ask('GET big\r\n', length.length + DOWNLOAD_BYTES + 2);
    assert.ok((killedAt ?? DOWNLOAD_BYTES) < DOWNLOAD_BYTES, `killed after ${killedAt} bytes`);
    // Latin-1: compared whole, a failure would print it whole.
    assert.ok(
      received === `${length}${content.toString('latin1')}\r\n`,
      'what was downloaded is not what was uploaded',
    );
    await lan.goesOn();
    await client.stop();
  });

  it('a host whose cable is cut, and with it the way to the arbiter, is replaced; it halts when the cable is back', async function () {
    skipUnless(this, hasCommand('nats-server'), 'nats-server is missing (Debian: nats-server)');
    skipUnless(this, hasCommand('nft'), 'nft is missing (Debian: nftables)');
    await using lan = await BridgedLan.boot({arbiter: 'nats'});
    const {wires, hosts, client} = lan;
    await lan.protect();
    const lost = hosts.primary;
    wires.cut('h1');
    await lan.goesOn();
    // Its guest stands still, as nobody tells it that it may go on.
    await lost.waitFor(/the guest waits/, {stream: 'stderr', timeoutMs: RECONNECT_TIMEOUT_MS});
    wires.restore('h1');
    assert.equal((await lost.exit(RECONNECT_TIMEOUT_MS)).exitCode, EXIT_CODES.lostArbitration, lost.stderr);
    await client.reach(client.last + ANSWERS);
    await client.stop();
    assert.deepEqual(wires.guestPorts, portsAfter(1));
  });
});

/** The guest has moved once in each takeover, from one host to the other. */
function portsAfter(takeovers: number): string[] {
  return Array.from({length: takeovers + 1}, (_, index) => (index % 2 === 0 ? 'h1' : 'h2'));
}

/** A guest on the first of two hosts, and a client that counts in it. */
class BridgedLan implements AsyncDisposable {
  readonly wires: BridgedHosts;
  readonly hosts: Hosts;
  readonly client = new Counter();
  readonly #all: AsyncDisposableStack;

  private constructor(parts: {wires: BridgedHosts; hosts: Hosts; all: AsyncDisposableStack}) {
    this.wires = parts.wires;
    this.hosts = parts.hosts;
    this.#all = parts.all;
  }

  /** `nats`: the arbiter is on the bridge's own host, a third one; else it is a folder that every host reaches. */
  static async boot(options: {arbiter?: 'nats'; ram?: string} = {}): Promise<BridgedLan> {
    await using all = new AsyncDisposableStack();
    const folder = all.use(new TemporaryFolder());
    const wires = all.use(new BridgedHosts());
    const arbiter = options.arbiter === 'nats' ? await wires.startNats(folder) : `dir:${folder.path}`;
    const hosts = all.use(new Hosts({folder, places: wires.places(folder), arbiter, mac: GUEST_MAC}));
    const {ram} = options;
    await hosts.power('debian-redis-server', `${GUEST_IP} ftvm.run="${REDIS}"`, ram === undefined ? {} : {ram});
    await hosts.primary.waitFor(/Ready to accept connections/, {timeoutMs: BOOT_TIMEOUT_MS});
    const lan = new BridgedLan({wires, hosts, all: all.move()});
    lan.#all.defer(() => lan.client.close());
    lan.client.start(await wires.connect());
    return lan;
  }

  /** Adds a backup, and counts on. */
  async protect(): Promise<void> {
    await this.hosts.addBackup();
    await this.client.reach(this.client.last + ANSWERS);
  }

  /** Waits until the backup has taken over, and the client counts on. */
  async goesOn(): Promise<void> {
    await this.hosts.promoted();
    await this.client.reach(this.client.last + ANSWERS);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#all.disposeAsync();
  }
}
