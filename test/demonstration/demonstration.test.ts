// The demonstration: what it says must be so, it must be able to fail, and it leaves nothing behind, however it ends.

import assert from 'node:assert/strict';
import {existsSync, mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {setTimeout as sleep} from 'node:timers/promises';
import {checkTranscript, joinTranscripts, lastLine} from '../../src/replication/demonstration/counter-transcript.ts';
import {FtvmProcess, runFtvm} from '../support/ftvm.ts';
import {skipUnless} from '../support/skip.ts';

const recorded = readFileSync(new URL('../../fixtures/guests/expected/counter-100.txt', import.meta.url));
const LINE_BYTES = 29;

describe('the check of a transcript', () => {
  it('accepts what the counter prints, cut off anywhere', () => {
    assert.deepEqual(checkTranscript(recorded), {lines: 100, fault: undefined});
    for (let end = 0; end < recorded.length; end += 7) {
      const {lines, fault} = checkTranscript(recorded.subarray(0, end));
      assert.equal(fault, undefined);
      assert.equal(lines, recorded.subarray(0, end).toString().split('\n').length - 2 + (end < 57 ? 1 : 0));
    }
    assert.equal(lastLine(recorded), 'line 000100 57cc01cb1136ded1');
  });

  it('notices every changed byte but of the last line, and every line that is missing or doubled', () => {
    const checked = recorded.length - 'finished after 100 lines\n'.length - LINE_BYTES;
    for (let at = 0; at < checked; at += 1) {
      const changed = Buffer.from(recorded);
      changed[at] ^= 1;
      assert.notEqual(checkTranscript(changed).fault, undefined, `byte ${at}`);
    }
    const lines = recorded.toString().split('\n');
    for (let n = 0; n < 99; n += 1) {
      assert.notEqual(checkTranscript(Buffer.from(lines.toSpliced(n, 1).join('\n'))).fault, undefined);
      assert.notEqual(
        checkTranscript(Buffer.from(lines.toSpliced(n + 1, 0, lines[n + 1]).join('\n'))).fault,
        undefined,
      );
    }
  });

  it('lays two transcripts over each other, wherever the first ended and however much the second repeats', () => {
    for (let end = 1; end < recorded.length; end += 83) {
      for (const repeated of [0, 1, 13, 29, 290].filter((count) => count <= end)) {
        const joined = joinTranscripts(recorded.subarray(0, end), recorded.subarray(end - repeated));
        assert.equal(joined.fault, undefined);
        assert.deepEqual(Buffer.from(joined.transcript), recorded, `${end} ${repeated}`);
      }
    }
  });

  it('notices whatever is lost or contradicted between the two', () => {
    for (let end = 60; end < 2500; end += 83) {
      for (const lost of [1, 13, LINE_BYTES, 3 * LINE_BYTES]) {
        assert.notEqual(joinTranscripts(recorded.subarray(0, end), recorded.subarray(end + lost)).fault, undefined);
      }
      const changed = Buffer.from(recorded.subarray(end - 20));
      changed[10] ^= 1;
      assert.notEqual(joinTranscripts(recorded.subarray(0, end), changed).fault, undefined);
    }
  });
});

describe('ftvm demo', function () {
  this.timeout(150_000);
  let folder = '';
  before(function () {
    skipUnless(this, existsSync('/proc/self/cwd'), 'processes are watched through /proc, which is not here');
  });
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'ftvm-test-'));
  });
  afterEach(() => rmSync(folder, {recursive: true, force: true}));

  /** Its own folder for temporary files; Node's compile cache, which would be in there, has another. */
  const environment = (): Record<string, string> => ({
    TMPDIR: folder,
    NODE_COMPILE_CACHE: join(tmpdir(), 'node-compile-cache'),
  });

  /** The ftvm processes that work in our folder. */
  function ownProcesses(): {pid: number; command: string}[] {
    return readdirSync('/proc').flatMap((name) => {
      if (!/^\d+$/.test(name)) return [];
      try {
        if (!readlinkSync(`/proc/${name}/cwd`).startsWith(folder)) return [];
        const words = readFileSync(`/proc/${name}/cmdline`, 'utf8').split('\0');
        return [{pid: Number(name), command: words[words.findIndex((word) => word.endsWith('run.js')) + 1] ?? ''}];
      } catch {
        // It has ended meanwhile, or is somebody else's.
        return [];
      }
    });
  }

  it('carries the guest on, says so, and leaves nothing behind', async () => {
    const {exitCode, stdout, stderr} = await runFtvm(['demo', '--json'], {
      environment: environment(),
      timeoutMs: 120_000,
    });
    assert.equal(exitCode, 0, stderr);
    const facts = JSON.parse(stdout);
    assert.equal(facts.verdict, 'carriedOn');
    assert.equal(facts.backup.lastLine, facts.lines);
    assert.ok(facts.primary.lastLine > 100 && facts.backup.firstLine <= facts.primary.lastLine + 1);
    assert.ok(facts.lines > facts.primary.lastLine + 100);
    assert.ok(facts.history.records > 100 && facts.history.digests >= 1 && facts.first.digests >= 1);
    assert.equal(new Set([facts.first.pid, facts.primary.pid, facts.backup.pid]).size, 3);
    assert.deepEqual(readdirSync(folder), []);
    assert.deepEqual(ownProcesses(), []);
  });

  it('keeps its logs when it is asked to', async () => {
    const {exitCode, stdout, stderr} = await runFtvm(['demo', '--keep'], {
      environment: environment(),
      timeoutMs: 120_000,
    });
    assert.equal(exitCode, 0, stderr);
    const kept = /^The logs are in (.*)$/m.exec(stdout)?.[1] ?? '';
    for (const log of ['first.ftlog', 'primary.ftlog', 'backup.ftlog']) assert.ok(existsSync(join(kept, log)), log);
    assert.match(stdout, /^carried on: \d+ lines, none lost, none contradicted/m);
    const torn = await runFtvm(['replay', join(kept, 'primary.ftlog')]);
    assert.equal(torn.exitCode, 103, torn.stderr);
  });

  for (const signal of ['SIGINT', 'SIGTERM', 'SIGKILL'] as const) {
    it(`${signal} ends it with everything that it started`, async () => {
      await using demo = new FtvmProcess(['demo'], {environment: environment()});
      await demo.waitFor(/^Kill the primary \.\.\.$/m, {stream: 'stderr', timeoutMs: 60_000});
      await sleep(300);
      assert.equal(ownProcesses().length, 2);
      demo.kill(signal);
      const {exitCode} = await demo.exit();
      assert.equal(exitCode, {SIGINT: 130, SIGTERM: 143, SIGKILL: null}[signal]);
      for (let tries = 0; ownProcesses().length > 0 && tries < 50; tries += 1) await sleep(100);
      assert.deepEqual(ownProcesses(), []);
      if (signal !== 'SIGKILL') assert.deepEqual(readdirSync(folder), []);
    });
  }

  it('fails, says what, and keeps the logs, when its backup dies', async () => {
    await using demo = new FtvmProcess(['demo'], {environment: environment()});
    await demo.waitFor(/^Kill the primary \.\.\.$/m, {stream: 'stderr', timeoutMs: 60_000});
    const backup = ownProcesses().find(({command}) => command === 'tail');
    assert.ok(backup !== undefined);
    process.kill(backup.pid, 'SIGKILL');
    const {exitCode, stderr} = await demo.exit(60_000);
    assert.equal(exitCode, 125, stderr);
    assert.match(stderr, /^error: the demonstration failed: ftvm tail .* (?:was ended|ended before)/m);
    assert.match(stderr, /^hint: The logs are kept in /m);
    assert.deepEqual(ownProcesses(), []);
    assert.equal(readdirSync(folder).length, 1);
  });
});
