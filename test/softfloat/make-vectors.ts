// Writes the recorded answers anew: node test/softfloat/make-vectors.ts. Needs the oracle; a fixed seed, so that two runs agree.

import {mkdirSync, writeFileSync} from 'node:fs';
import {join} from 'node:path';
import {decodeAnswer, encodeCases} from './batch.ts';
import {Random, randomCases, specialCases} from './cases.ts';
import {OPERATIONS} from './operations.ts';
import {Oracle} from './oracle.ts';
import {formatVector, VECTORS_FOLDER} from './vectors.ts';

const SEED = 754;
const SPECIAL_PER_OPERATION = 60;
const RANDOM_PER_OPERATION = 60;

using oracle = new Oracle();
mkdirSync(VECTORS_FOLDER, {recursive: true});
for (const format of ['f32', 'f64']) {
  const lines = [
    `# Answers of QEMU's user mode (riscv64): operation, rounding mode, operands = result, flags; hexadecimal bit patterns.`,
    `# Made by: node test/softfloat/make-vectors.ts`,
  ];
  for (const operation of OPERATIONS.filter(({name}) => name.startsWith(format))) {
    const random = new Random(SEED + operation.number);
    const special = specialCases(operation);
    const cases = Array.from({length: SPECIAL_PER_OPERATION}, () => random.pick(special));
    cases.push(...randomCases(operation, RANDOM_PER_OPERATION, random));
    const answers = oracle.answer(encodeCases(cases));
    lines.push(...cases.map((each, index) => formatVector(each, decodeAnswer(operation, answers, index))));
  }
  writeFileSync(join(VECTORS_FOLDER, `${format}.txt`), `${lines.join('\n')}\n`);
}
