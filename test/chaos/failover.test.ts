// A hot backup on the channel. The primary is killed with SIGKILL at seeded random moments, and the backup carries on within a
// second, without a gap or contradiction in what users saw; hand-over while both live; a backup's death, which the guest must not feel.

import assert from 'node:assert/strict';
import {type AddressInfo, createServer} from 'node:net';
import {setTimeout as sleep} from 'node:timers/promises';
import {Random} from '../differential/random.ts';
import {digestLines, recordsOfKind, replayMustBeIdentical, transcriptOf} from '../e2e/ftvm-cli.ts';
import {checkHashChain} from '../support/fixture-guests.ts';
import {FtvmProcess, runFtvm, TemporaryFolder} from '../support/ftvm.ts';
import {SEED} from './seed.ts';
import {checkShown} from './transcripts.ts';

const KILLS = process.env.CI === 'true' ? 20 : 8;
const WORKERS = 2;
const LONGEST_LIFE_MS = 1500;
/** What the issue promises of `promote`, from its start to its answer. */
const PROMOTION_LIMIT_MS = 1000;
const THREE_LINES = /line \d+ [0-9a-f]{16}\n(?:.*\n){3}/;

describe(`a hot backup, seed ${SEED} (FTVM_TEST_SEED)`, function () {
  this.timeout(240_000);

  it(`carries on after each of ${KILLS} kills of the primary`, async () => {
    const random = new Random(SEED);
    const queue = Array.from({length: KILLS}, (_, number) => ({
      number,
      lifeMs: random.below(LONGEST_LIFE_MS),
      linesPerSecond: [20, 200, 2000][random.below(3)],
    }));
    const tookMs: number[] = [];
    await Promise.all(
      Array.from({length: WORKERS}, async () => {
        for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
          const kill = next;
          tookMs.push(
            await killPrimary(kill).catch((error: Error) => {
              throw new Error(`${JSON.stringify(kill)}: ${error.message}`, {cause: error});
            }),
          );
        }
      }),
    );
    // Two pairs share the test's host, so a single one may be late.
    const median = tookMs.sort((a, b) => a - b)[KILLS >> 1];
    assert.ok(median < PROMOTION_LIMIT_MS, `ftvm promote took ${tookMs.map(Math.round).join(', ')} ms`);
  });

  it('agrees with the recorder at every digest record', async () => {
    using folder = new TemporaryFolder();
    await using pair = await Pair.start({
      folder,
      // It computes for more than a second: a backup needs some tenths of one to join.
      guest: 'bench/guests/bin/float.elf',
      backupArgv: ['--digests', '--from-start'],
    });
    const {primary, backup} = pair;
    await primary.exit(60_000);
    const followed = await backup.exit();
    assert.equal(followed.exitCode, 0, followed.stderr);
    const recorded = digestLines(pair.logPath);
    assert.ok(recorded.length >= 2, `${recorded.length} digests`);
    assert.deepEqual(followed.stdout.trimEnd().split('\n'), recorded);
    assert.deepEqual(digestLines(pair.backupLogPath), recorded);
  });

  it('takes over from a primary that lives, by its own log and by the primary’s', async () => {
    for (const asked of ['backupLogPath', 'logPath'] as const) {
      using folder = new TemporaryFolder();
      await using pair = await Pair.start({folder, guest: 'counter'});
      const {primary, backup} = pair;
      await primary.waitFor(/line 000005/);
      const outlook = await runFtvm(['promote', pair[asked], '--dry-run', '--json']);
      assert.equal(outlook.exitCode, 0, outlook.stderr);
      const {estimatedMs, stepsToGo} = JSON.parse(outlook.stdout) as {estimatedMs: number; stepsToGo: string};
      assert.ok(estimatedMs >= 0 && BigInt(stepsToGo) >= 0n, outlook.stdout);
      const promoted = await runFtvm(['promote', pair[asked]]);
      assert.equal(promoted.exitCode, 0, promoted.stderr);
      const handedOver = await primary.exit();
      assert.deepEqual([handedOver.exitCode, handedOver.signal], [0, null], handedOver.stderr);
      assert.match(handedOver.stderr, /handed over to the backup/);
      assert.equal(recordsOfKind(pair.logPath, 'end').at(-1)?.reason, 'handedOver');
      await finish(backup);
      const whole = await transcriptOf(pair.backupLogPath);
      checkShown([primary.stdoutBytes, backup.stdoutBytes], whole);
      checkHashChain(whole);
      await replayMustBeIdentical(pair.logPath);
      const refused = await runFtvm(['promote', pair.logPath]);
      assert.equal(refused.exitCode, 107, refused.stderr);
    }
  });

  it('takes over when the primary is told to terminate', async () => {
    using folder = new TemporaryFolder();
    await using pair = await Pair.start({folder, guest: 'counter'});
    await pair.primary.waitFor(/line 000005/);
    pair.primary.kill('SIGTERM');
    assert.equal((await pair.primary.exit()).exitCode, 143);
    await pair.backup.waitFor(THREE_LINES);
    await finish(pair.backup);
    const whole = await transcriptOf(pair.backupLogPath);
    checkShown([pair.primary.stdoutBytes, pair.backup.stdoutBytes], whole);
  });

  it('may die: the primary goes on, and another one joins', async () => {
    using folder = new TemporaryFolder();
    await using pair = await Pair.start({folder, guest: 'counter'});
    const {primary} = pair;
    await primary.waitFor(/line 000003/);
    pair.backup.kill();
    await primary.waitFor(/backup lost: /, {stream: 'stderr'});
    await primary.waitFor(/line 000010/);
    await using second = pair.follow(folder.join('second.ftlog'));
    await primary.waitFor(/(?:backup joined: [\s\S]*){2}/, {stream: 'stderr'});
    await primary.waitFor(/line 000020/);
    primary.kill();
    await primary.exit();
    const promoted = await runFtvm(['promote', folder.join('second.ftlog')]);
    assert.equal(promoted.exitCode, 0, promoted.stderr);
    await finish(second);
    const whole = await transcriptOf(folder.join('second.ftlog'));
    checkShown([primary.stdoutBytes, second.stdoutBytes], whole);
    checkHashChain(whole);
  });

  it('serves followers of its own once it is live: a chain of failovers', async () => {
    using folder = new TemporaryFolder();
    await using pair = await Pair.start({folder, guest: 'counter', backupArgv: ['--listen', '127.0.0.1:0']});
    const {primary, backup} = pair;
    await primary.waitFor(/line 000003/);
    primary.kill();
    await primary.exit();
    assert.equal((await runFtvm(['promote', pair.backupLogPath])).exitCode, 0);
    const [, address] = await backup.waitFor(/listening on (127\.0\.0\.1:\d+)/, {stream: 'stderr'});
    const logPath = folder.join('third.ftlog');
    await using third = new FtvmProcess(['tail', `tcp://${address}`, '--follow', '-o', logPath]);
    await backup.waitFor(/backup joined: /, {stream: 'stderr'});
    await backup.waitFor(THREE_LINES);
    backup.kill();
    await backup.exit();
    assert.equal((await runFtvm(['promote', logPath])).exitCode, 0);
    await third.waitFor(THREE_LINES);
    await finish(third);
    const whole = await transcriptOf(logPath);
    checkShown([primary.stdoutBytes, backup.stdoutBytes, third.stdoutBytes], whole);
    checkHashChain(whole);
    assert.deepEqual(
      recordsOfKind(logPath, 'takeover').map(({generation}) => generation),
      [2, 3],
    );
  });

  it('goes on although its address is taken, and listens as soon as that is free', async () => {
    using folder = new TemporaryFolder();
    const occupant = createServer();
    await new Promise<void>((resolve) => occupant.listen(0, '127.0.0.1', resolve));
    const address = `127.0.0.1:${(occupant.address() as AddressInfo).port}`;
    await using pair = await Pair.start({folder, guest: 'counter', backupArgv: ['--listen', address]});
    const {primary, backup} = pair;
    await primary.waitFor(/line 000003/);
    primary.kill();
    await primary.exit();
    assert.equal((await runFtvm(['promote', pair.backupLogPath])).exitCode, 0);
    await backup.waitFor(/the port is occupied: trying again/, {stream: 'stderr'});
    await backup.waitFor(THREE_LINES);
    occupant.close();
    await backup.waitFor(new RegExp(`listening on ${address}`), {stream: 'stderr'});
    await finish(backup);
  });

  it('of a growing file: follows it, and carries it on when the recorder was killed', async () => {
    using folder = new TemporaryFolder();
    const logPath = folder.join('run.ftlog');
    await using primary = new FtvmProcess(['record', 'counter', '-o', logPath]);
    await primary.waitFor(/line 000002/);
    await using follower = new FtvmProcess(['tail', logPath, '--follow']);
    await primary.waitFor(/line 000015/);
    await waitForStatus(`${logPath}.follower`);
    primary.kill();
    await primary.exit();
    const promoted = await runFtvm(['promote', logPath]);
    assert.equal(promoted.exitCode, 0, promoted.stderr);
    const took = /^primary at position \d+ in (\d+) ms$/m.exec(promoted.stdout);
    assert.ok(took !== null, promoted.stdout);
    await finish(follower);
    const whole = await transcriptOf(logPath);
    checkShown([primary.stdoutBytes, follower.stdoutBytes], whole);
    checkHashChain(whole);
  });
});

/** Returns how long `ftvm promote` took, in milliseconds. */
async function killPrimary(kill: {number: number; lifeMs: number; linesPerSecond: number}): Promise<number> {
  using folder = new TemporaryFolder();
  await using pair = await Pair.start({folder, guest: 'counter'});
  const {primary, backup} = pair;
  primary.write(`rate ${kill.linesPerSecond}\r`);
  await sleep(kill.lifeMs / 2);
  primary.write(`say number ${kill.number}\r`);
  await sleep(kill.lifeMs / 2);
  primary.kill();
  await primary.exit();
  const promoted = await runFtvm(['promote', pair.backupLogPath]);
  assert.equal(promoted.exitCode, 0, promoted.stderr);
  const took = /^primary at position \d+ in (\d+) ms$/m.exec(promoted.stdout);
  assert.ok(took !== null, promoted.stdout);
  await backup.waitFor(THREE_LINES);
  await finish(backup);
  const whole = await transcriptOf(pair.backupLogPath);
  checkShown([primary.stdoutBytes, backup.stdoutBytes], whole);
  assert.ok(checkHashChain(whole) > 3);
  // As the backup counts it: how long the command itself takes to start says something of this host's load alone.
  return Number(took[1]);
}

/** The counter is told to stop, and does. */
async function finish(live: FtvmProcess): Promise<void> {
  live.write('stop\r');
  const {exitCode, stderr, stdout} = await live.exit();
  assert.equal(exitCode, 0, stderr);
  assert.match(stdout, /told to stop/);
}

/** Until the session answers its control socket. */
async function waitForStatus(logPath: string): Promise<void> {
  const {askControl, controlSocketPath} = await import('../../src/host/control-socket.ts');
  for (let tries = 0; ; tries += 1) {
    const reply = await askControl(controlSocketPath(logPath), {command: 'status'}).catch((error: Error) => error);
    if (!(reply instanceof Error) && BigInt(String(reply['position'])) > 0n) return;
    if (tries === 500) throw reply;
    await sleep(10);
  }
}

/** A recorder that listens, and a backup that has joined it. */
class Pair implements AsyncDisposable {
  readonly #folder: TemporaryFolder;
  readonly #address: string;
  readonly primary: FtvmProcess;
  readonly backup: FtvmProcess;

  private constructor(parts: {
    folder: TemporaryFolder;
    primary: FtvmProcess;
    address: string;
    backupArgv: readonly string[];
  }) {
    this.#folder = parts.folder;
    this.#address = parts.address;
    this.primary = parts.primary;
    this.backup = this.follow(this.backupLogPath, parts.backupArgv);
  }

  static async start(options: {folder: TemporaryFolder; guest: string; backupArgv?: readonly string[]}): Promise<Pair> {
    const {folder, guest, backupArgv = []} = options;
    const primary = new FtvmProcess(['record', guest, '-o', folder.join('run.ftlog'), '--listen', '127.0.0.1:0']);
    const [, address] = await primary.waitFor(/listening on (127\.0\.0\.1:\d+)/, {stream: 'stderr'});
    const pair = new Pair({folder, primary, address, backupArgv});
    await primary.waitFor(/backup joined: /, {stream: 'stderr'}).catch((error: Error) => {
      throw new Error(`${error.message}\n--- the backup's stderr\n${pair.backup.stderr}`, {cause: error});
    });
    return pair;
  }

  get logPath(): string {
    return this.#folder.join('run.ftlog');
  }

  get backupLogPath(): string {
    return this.#folder.join('backup.ftlog');
  }

  follow(logPath: string, argv: readonly string[] = []): FtvmProcess {
    return new FtvmProcess(['tail', `tcp://${this.#address}`, '--follow', '-o', logPath, ...argv]);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.primary[Symbol.asyncDispose]();
    await this.backup[Symbol.asyncDispose]();
  }
}
