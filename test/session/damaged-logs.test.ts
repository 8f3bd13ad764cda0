// A real log, damaged in every way a short one can be: cut at every byte, every single bit changed. Each goes through replay itself, the
// machine included: a named error with its offset, or torn and good up to there; never a hang, silence, or another kind of exception.

import assert from 'node:assert/strict';
import {readFileSync, writeFileSync} from 'node:fs';
import {type ErrorCode, FtvmError} from '../../src/errors.ts';
import {readLog} from '../../src/logformat/log-reader.ts';
import {replay} from '../../src/session/replaying.ts';
import {SEED} from '../chaos/seed.ts';
import {assertNamed} from '../e2e/ftvm-cli.ts';
import {runFtvm, TemporaryFolder} from '../support/ftvm.ts';

/** Every bit where nobody waits for it, elsewhere one of so many; test/corruption changes all of them, without a machine. */
const BIT_STRIDE = process.env.CI === 'true' ? 1 : 5;
/** A replay of this log takes some 20 ms. */
const TIME_LIMIT_MS = 10_000;

type Outcome =
  | {kind: 'identical' | 'torn'; records: number; offset?: bigint}
  | {kind: 'refused'; code: ErrorCode; offset: unknown; message: string};

describe(`a real log, damaged, seed ${SEED} (FTVM_TEST_SEED)`, function () {
  this.timeout(240_000);
  const folder = new TemporaryFolder();
  const path = folder.join('run.ftlog');
  let log: Buffer;
  let ends: number[];

  before(async () => {
    const {exitCode, stderr} = await runFtvm(['record', 'hello', '-o', path, '--ram', '2M', '--clock', 'virtual']);
    assert.equal(exitCode, 0, stderr);
    log = readFileSync(path);
    const {frames} = readLog(new Uint8Array(log));
    const start = log.length - frames.reduce((sum, {lengthBytes}) => sum + lengthBytes, 0);
    ends = [start];
    for (const {lengthBytes} of frames) ends.push(ends.at(-1)! + lengthBytes);
  });

  after(() => folder[Symbol.dispose]());

  const outcomeOf = async (bytes: Uint8Array): Promise<Outcome> => {
    writeFileSync(path, bytes);
    const timeUp = Promise.withResolvers<never>();
    const timer = setTimeout(() => timeUp.reject(new Error('the replay hangs')), TIME_LIMIT_MS);
    try {
      const {logEnd, verified} = await Promise.race([replay({logPaths: [path]}), timeUp.promise]);
      if (logEnd?.kind === 'torn') return {kind: 'torn', records: verified.records, offset: logEnd.offset};
      return {kind: 'identical', records: verified.records};
    } catch (error) {
      if (!(error instanceof FtvmError)) throw error;
      return {kind: 'refused', code: error.code, offset: error.details['offset'], message: error.message};
    } finally {
      clearTimeout(timer);
    }
  };

  it('undamaged, is identical (or nothing here would mean anything)', async () => {
    assert.equal((await outcomeOf(log)).kind, 'identical');
  });

  it('cut at every byte, is torn and good up to its last whole frame', async () => {
    for (let length = 0; length < log.length; length += 1) {
      const outcome = await outcomeOf(log.subarray(0, length));
      const whole = ends.filter((end) => end <= length).at(-1);
      const at = `cut at ${length}: ${JSON.stringify(outcome, bigintText)}`;
      if (whole === undefined || whole === ends[0]) {
        assert.ok(outcome.kind === 'refused' && outcome.code === 'torn', at);
      } else {
        assert.ok(outcome.kind === 'torn' && Number(outcome.offset) === whole, at);
      }
    }
  });

  it('with any single bit changed, is refused by name and offset', async () => {
    const codes = new Map<string, number>();
    for (let bit = SEED % BIT_STRIDE; bit < log.length * 8; bit += BIT_STRIDE) {
      const damaged = Buffer.from(log);
      damaged[bit >> 3] ^= 1 << (bit & 7);
      const outcome = await outcomeOf(damaged);
      const at = `byte ${bit >> 3}, bit ${bit & 7}: ${JSON.stringify(outcome, bigintText)}`;
      assert.ok(outcome.kind === 'refused', at);
      assert.ok(['corrupt', 'notALog', 'mismatchedVersion'].includes(outcome.code), at);
      if (outcome.code === 'corrupt') {
        const [offset, frameStart] = [Number(outcome.offset), ends.filter((end) => end <= bit >> 3).at(-1) ?? 0];
        // The byte that is named lies in the frame that was damaged.
        assert.ok(offset >= frameStart && offset <= log.length, at);
        assert.match(outcome.message, new RegExp(`\\bbyte ${offset}\\b`), at);
      }
      codes.set(outcome.code, (codes.get(outcome.code) ?? 0) + 1);
    }
    assert.ok((codes.get('corrupt') ?? 0) > (log.length * 7) / BIT_STRIDE, JSON.stringify([...codes]));
  });

  it('is refused in the same way by every command, with its exit code', async () => {
    const cut = log.subarray(0, log.length - 5);
    writeFileSync(path, cut);
    for (const argv of [
      ['replay', path],
      ['dump', path],
    ]) {
      assert.equal((await runFtvm(argv)).exitCode, 103, argv[0]);
    }
    const damaged = Buffer.from(log);
    damaged[log.length - 20] ^= 8;
    writeFileSync(path, damaged);
    for (const argv of [
      ['replay', path],
      ['dump', path],
      ['tail', path],
      ['promote', path],
      ['promote', '--dry-run', path],
    ]) {
      assertNamed(await runFtvm(argv), 104, /^error: .*the log is corrupt at byte \d+: /);
    }
    assert.deepEqual(readFileSync(path), damaged, 'a refused log must be left as it is');
  });
});

function bigintText(_key: string, value: unknown): unknown {
  return typeof value === 'bigint' ? String(value) : value;
}
