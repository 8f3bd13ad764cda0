// The recorded answers of the oracle, one case per line: `operation rm operands… = result flags`, in hexadecimal; lines of # are remarks.

import {readdirSync, readFileSync} from 'node:fs';
import {join} from 'node:path';
import {ANSWER_BYTES, type Answer, type Case} from './batch.ts';
import {OPERATIONS} from './operations.ts';

export const VECTORS_FOLDER = join(import.meta.dirname, '../../fixtures/softfloat');
const BOX = 0xffff_ffff_0000_0000n;

export function formatVector({operation, rm, operands}: Case, {result, flags}: Answer): string {
  const given = operands.map((value) => value.toString(16)).join(' ');
  return `${operation.name} ${rm} ${given} = ${result.toString(16)} ${flags.toString(16)}`;
}

/** Every recorded case, with the answers in the layout of oracle.c. */
export function readVectors(): {cases: Case[]; answers: Uint8Array} {
  const lines = readdirSync(VECTORS_FOLDER)
    .sort()
    .flatMap((file) => readFileSync(join(VECTORS_FOLDER, file), 'utf8').split('\n'))
    .filter((line) => line !== '' && !line.startsWith('#'));
  const answers = new DataView(new ArrayBuffer(lines.length * ANSWER_BYTES));
  const cases = lines.map((line, index): Case => {
    const [given, answer] = line.split(' = ').map((half) => half.split(' '));
    const operation = OPERATIONS.find(({name}) => name === given[0]);
    if (operation === undefined) throw new Error(`unknown operation in: ${line}`);
    const [result, flags] = answer.map((digits) => BigInt(`0x${digits}`));
    answers.setBigUint64(index * ANSWER_BYTES, operation.result === 'f32' ? result | BOX : result, true);
    answers.setBigUint64(index * ANSWER_BYTES + 8, flags, true);
    return {operation, rm: Number(given[1]), operands: given.slice(2).map((digits) => BigInt(`0x${digits}`))};
  });
  return {cases, answers: new Uint8Array(answers.buffer)};
}
