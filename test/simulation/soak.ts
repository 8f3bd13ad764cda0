// Many simulated lives: `node test/simulation/soak.ts [LIVES] [FIRST_SEED]`, 20,000 from a random seed unless told. A life in which
// something did not hold is printed with its seed; the exit code is then 1. `soak.ts 1 SEED` tells one life again, and what happened.

import {ALL_FAULTS} from './faults.ts';
import {simulate} from './simulation.ts';

const ROUNDS = 4;
const REPORT_INTERVAL = 500;

const [livesText = '20000', seedText] = process.argv.slice(2);
const lives = Number(livesText);
const firstSeed = seedText === undefined ? Math.floor(Math.random() * 2 ** 31) : Number(seedText);
if (!Number.isSafeInteger(lives) || lives < 1 || !Number.isSafeInteger(firstSeed)) {
  process.stderr.write('usage: soak.ts [LIVES] [FIRST_SEED]\n');
  process.exit(2);
}

const startMs = performance.now();
let bad = 0;
let takeovers = 0;
let rescued = 0;
for (let seed = firstSeed; seed < firstSeed + lives; seed += 1) {
  const life = await simulate({seed, faults: ALL_FAULTS, rounds: ROUNDS});
  takeovers += life.takeovers;
  if (life.rescued) rescued += 1;
  if (lives === 1) process.stdout.write(`${life.history.join('\n')}\n`);
  if (life.violations.length > 0) {
    bad += 1;
    process.stdout.write(`seed ${seed}:\n  ${life.violations.slice(0, 5).join('\n  ')}\n`);
  }
  const done = seed - firstSeed + 1;
  if (done % REPORT_INTERVAL === 0 || done === lives) {
    const seconds = Math.round((performance.now() - startMs) / 1000);
    process.stdout.write(
      `${done} lives from seed ${firstSeed}, ${seconds} s: ${takeovers} generations won, ${rescued} rescued by a person, ${bad} bad\n`,
    );
  }
}
process.exitCode = bad > 0 ? 1 : 0;
