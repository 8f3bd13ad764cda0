// A client's live TCP connection to Redis in a Debian guest survives the SIGKILL of the guest's host, as often as it happens: it counts
// over one connection, and every answer is exactly the last one plus one. Switch and uplink are the only things that stay.

import assert from 'node:assert/strict';
import {randomBytes} from 'node:crypto';
import {EXIT_CODES} from '../../src/errors.ts';
import {debianGuest, GUEST_BUILD_TIMEOUT_MS} from '../guests/debian-guest.ts';
import {recordsOfKind, replayMustBeIdentical} from './ftvm-cli.ts';
import {Lan} from './lan.ts';
import {SlowChannel} from './slow-channel.ts';

/** The soak says more. */
const KILLS = Number(process.env.FTVM_KILLS ?? 3);
/** A request that fell into the gap waits for a retransmission of TCP's, at worst its second; and the host here is shared. */
const LONGEST_GAP_MS = 5000;
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
