// A client's live TCP connection to Redis in a Debian guest survives the SIGKILL of the guest's host, as often as it happens: it counts
// over one connection, and every answer is exactly the last one plus one. Switch and uplink are the only things that stay.

import assert from 'node:assert/strict';
import {createHash, randomBytes} from 'node:crypto';
import {setTimeout as sleep} from 'node:timers/promises';
import {EXIT_CODES} from '../../src/errors.ts';
import {SEED} from '../chaos/seed.ts';
import {Random} from '../differential/random.ts';
import {debianGuest, GUEST_BUILD_TIMEOUT_MS} from '../guests/debian-guest.ts';
import {recordsOf, recordsOfKind, replayMustBeIdentical} from './ftvm-cli.ts';
import {Lan} from './lan.ts';
import {SlowChannel} from './slow-channel.ts';

/** The soak says more. */
const KILLS = Number(process.env.FTVM_KILLS ?? 3);
/** Each host dies within that time after the client has been answered twenty times. */
const LATEST_KILL_MS = 500;
/** Longer than a client waits whose request fell into the gap: for a retransmission of TCP's, at worst its second. */
const LONGEST_GAP_MS = 5000;
/** A download across a kill; FTVM_DOWNLOAD_BYTES=100000000 for one of a hundred megabytes. */
const DOWNLOAD_BYTES = Number(process.env['FTVM_DOWNLOAD_BYTES'] ?? 8_000_000);
const BLOCK_BYTES = 64_000;
/** An answer comes within that time, if nobody holds it. */
const LOG_DELAY_MS = 150;
const WITHOUT_OUTPUT_RULE = new URL('../support/without-output-rule.ts', import.meta.url);

describe('a network that outlives a host', function () {
  this.timeout(GUEST_BUILD_TIMEOUT_MS + 30_000 * KILLS + DOWNLOAD_BYTES / 200);

  before(async function () {
    await debianGuest(this, ['redis-server']);
  });

  it(`Redis counts over one connection through ${KILLS} kills; the next value is always the last plus one, seed ${SEED}`, async function () {
    const random = new Random(SEED);
    await using lan = await Lan.start(this);
    const {hosts, client} = lan;
    await lan.boot();
    using idle = await lan.connect();
    assert.equal(await idle.ask('PING\r\n', 7), '+PONG\r\n');
    const gaps: number[] = [];
    for (let kill = 0; kill < KILLS; kill += 1) {
      await hosts.addBackup();
      await client.reach(client.last + 20);
      await sleep(random.below(LATEST_KILL_MS));
      const {last} = client;
      client.takeLongestGapMs();
      hosts.primary.kill('SIGKILL');
      await client.reach(last + 20);
      gaps.push(client.takeLongestGapMs());
      await hosts.promoted();
    }
    await client.stop();
    (this.test as Mocha.Test).title += `; the client's gaps: ${gaps.join(', ')} ms`;
    // A connection on which nothing was said through all of it works as before.
    assert.equal(await idle.ask('PING\r\n', 7), '+PONG\r\n');
    // Every incarnation announced itself, and nobody came back: one move for each kill.
    assert.equal(await lan.moves(), KILLS);
    hosts.primary.kill('SIGINT');
    await hosts.primary.exit();
    // The logs of all hosts, in order, are one history from power-on across every takeover; the survivor's log is all of it.
    const {logPath, logPaths} = hosts;
    assert.equal(logPaths.length, KILLS + 1);
    const verdict = await replayMustBeIdentical(logPaths, {timeoutMs: 180_000});
    const [, records] = /^identical: (\d+) records/.exec(verdict) ?? [];
    assert.equal(Number(records), recordsOf(logPath).length);
    assert.equal(recordsOfKind(logPath, 'takeover').length, KILLS);
    assert.ok(recordsOfKind(logPath, 'input').some(({input}) => input.kind === 'packet'));
  });

  it(`${DOWNLOAD_BYTES} bytes on their way out when the host dies arrive whole`, async function () {
    await using lan = await Lan.start(this);
    const {hosts} = lan;
    // The value, and Redis' copy of it on its way out.
    await lan.boot({ram: `${256 + 2 * Math.ceil((2 * DOWNLOAD_BYTES) / 2 ** 21)}M`});
    await lan.client.stop();
    using connection = await lan.connect();
    const {content, fill} = numberedBlocks(Math.ceil(DOWNLOAD_BYTES / BLOCK_BYTES));
    assert.equal(await connection.ask(fill, 5), '+OK\r\n');
    await hosts.addBackup();
    const head = `$${content.length}\r\n`;
    let killedAt = 0;
    connection.onProgress = (receivedBytes) => {
      if (killedAt > 0 || receivedBytes < DOWNLOAD_BYTES / 4) return;
      killedAt = receivedBytes;
      hosts.primary.kill('SIGKILL');
    };
    const received = await connection.fetch('GET big\r\n', head.length + content.length + 2);
    assert.ok(killedAt > 0 && killedAt < content.length, `killed after ${killedAt} bytes`);
    assert.equal(sha256(received), sha256(Buffer.concat([Buffer.from(head), content, Buffer.from('\r\n')])));
    await hosts.promoted();
  });

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
    await lan.boot();
    const answered = await dieWithLateLog(lan);
    assert.ok((await lan.counter()) >= answered);
    await lan.client.reach(answered + 5);
    await lan.client.stop();
  });

  it('would not pass without the Output Rule: answers that the client has are forgotten, and its connection is dead', async function () {
    await using lan = await Lan.start(this);
    await lan.boot({preload: WITHOUT_OUTPUT_RULE});
    const answered = await dieWithLateLog(lan);
    assert.ok((await lan.counter()) < answered);
    await assert.rejects(lan.client.reach(answered + 5, LONGEST_GAP_MS), /was awaited|came|broke/);
  });
});

/** The host dies with the client's last answer not in the backup's log, which goes live. Resolves to that answer. */
async function dieWithLateLog({hosts, client}: Lan): Promise<number> {
  using channel = await SlowChannel.open({port: hosts.port, delayMs: LOG_DELAY_MS});
  await hosts.addBackup({address: channel.address});
  await client.reach(client.last + 5);
  hosts.primary.kill('SIGKILL');
  channel.cut();
  const {last} = client;
  await hosts.promoted();
  return last;
}

/** A value of so many blocks, each with its number, and the question to Redis that puts it together there: it need not be uploaded. */
function numberedBlocks(count: number): {content: Buffer; fill: Buffer} {
  const block = randomBytes(BLOCK_BYTES - 8);
  const number = (n: number): Buffer => Buffer.from(String(n).padStart(8, '0'));
  const content = Buffer.concat(Array.from({length: count}, (_, n) => [number(n), block]).flat());
  const script = `for n = 0, ${count - 1} do redis.call('APPEND', 'big', string.format('%08d', n) .. ARGV[1]) end return redis.status_reply('OK')`;
  const words = [Buffer.from('EVAL'), Buffer.from(script), Buffer.from('0'), block];
  const bulk = words.flatMap((word) => [Buffer.from(`$${word.length}\r\n`), word, Buffer.from('\r\n')]);
  return {content, fill: Buffer.concat([Buffer.from(`*${words.length}\r\n`), ...bulk])};
}

function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}
