// The recorder is killed with SIGKILL at seeded random moments, without a backup: whatever the log holds then is good to its last
// whole frame, replay calls it torn, and promote carries it on without a gap or contradiction in what was shown.

import assert from 'node:assert/strict';
import {existsSync, statSync} from 'node:fs';
import {setTimeout as sleep} from 'node:timers/promises';
import {Random} from '../differential/random.ts';
import {recordsOfKind, transcriptOf} from '../e2e/ftvm-cli.ts';
import {checkHashChain} from '../support/fixture-guests.ts';
import {FtvmProcess, runFtvm, TemporaryFolder} from '../support/ftvm.ts';
import {SEED} from './seed.ts';
import {checkShown} from './transcripts.ts';

const KILLS = 30;
/** At a time: each is mostly waiting. */
const WORKERS = 3;
const LONGEST_LIFE_MS = 1200;

describe(`a recorder killed at ${KILLS} moments, seed ${SEED} (FTVM_TEST_SEED)`, function () {
  this.timeout(400_000);

  it('leaves logs that are good, torn, and carried on', async () => {
    const random = new Random(SEED);
    const lives = Array.from({length: KILLS}, () => random.below(LONGEST_LIFE_MS));
    const queue = lives.map((lifeMs, number) => ({lifeMs, number}));
    const outcomes: string[] = [];
    await Promise.all(
      Array.from({length: WORKERS}, async () => {
        for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
          outcomes.push(await killAndCarryOn(next).catch((error: Error) => named(error, next)));
        }
      }),
    );
    const carriedOn = outcomes.filter((outcome) => outcome === 'carriedOn').length;
    assert.ok(carriedOn >= KILLS * 0.8, `only ${carriedOn} of ${KILLS} kills came after the first frame`);
  });
});

/** Killed `lifeMs` after its log appeared, while somebody types. */
async function killAndCarryOn({lifeMs, number}: {lifeMs: number; number: number}): Promise<'carriedOn' | 'noHeader'> {
  using folder = new TemporaryFolder();
  const logPath = folder.join('run.ftlog');
  await using recorder = new FtvmProcess(['record', 'counter', '-o', logPath]);
  recorder.write('rate 200\r');
  while (!existsSync(logPath)) await sleep(2);
  await sleep(lifeMs / 2);
  recorder.write(`say number ${number}\r`);
  await sleep(lifeMs / 2);
  recorder.kill();
  await recorder.exit();
  const shown = [recorder.stdoutBytes];
  if (statSync(logPath).size === 0 || recordsOfKind(logPath, 'header').length === 0) {
    await mustFail(['replay', logPath], 103);
    await mustFail(['promote', logPath], 103);
    assert.equal(shown[0].length, 0, 'something was shown before the log had a header');
    return 'noHeader';
  }

  const {exitCode, stdout, stderr} = await runFtvm(['replay', logPath]);
  assert.equal(exitCode, 103, `${stdout}${stderr}`);
  assert.match(stdout, /^torn at byte \d+: identical up to there: /m);

  // Twice in a row: the first one that carries on is killed as well.
  await using second = new FtvmProcess(['promote', logPath]);
  await second.waitFor(/line \d+ [0-9a-f]{16}\n(?:.*\n){5}/);
  second.kill();
  await second.exit();
  shown.push(second.stdoutBytes);

  await using third = new FtvmProcess(['promote', logPath]);
  await third.waitFor(/line \d+ [0-9a-f]{16}\n(?:.*\n){2}/);
  third.write('stop\r');
  const end = await third.exit();
  assert.equal(end.exitCode, 0, end.stderr);
  shown.push(third.stdoutBytes);

  // Identical from power-on across both takeovers.
  const whole = await transcriptOf(logPath);
  checkShown(shown, whole);
  // The second one's six lines; the third may have shown again what the second had shown already.
  assert.ok(checkHashChain(whole) >= 4);
  assert.deepEqual(
    recordsOfKind(logPath, 'takeover').map(({generation}) => generation),
    [2, 3],
  );
  return 'carriedOn';
}

async function mustFail(argv: string[], exitCode: number): Promise<void> {
  const result = await runFtvm(argv);
  assert.equal(result.exitCode, exitCode, `${result.stdout}${result.stderr}`);
  assert.match(result.stderr, /^error: .*\n(?:hint: .*\n)?$/);
}

function named(error: Error, kill: {lifeMs: number; number: number}): never {
  throw new Error(`kill ${kill.number} (after ${kill.lifeMs} ms): ${error.message}`, {cause: error});
}
