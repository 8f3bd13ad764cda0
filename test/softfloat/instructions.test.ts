// The F and D instructions on the whole machine: a bare-metal guest executes the recorded cases, and beside the oracle new ones, some of
// whose singles are not NaN-boxed. What the functions compute is soft-float.test.ts's; here it is that the right one is called rightly.

import assert from 'node:assert/strict';
import {Machine} from '../../src/emulator/machine.ts';
import {PAGE_BYTES} from '../../src/emulator/paged-memory.ts';
import {skipUnless} from '../support/skip.ts';
import {ANSWER_BYTES, type Case, encodeCases, findDifference, RECORD_BYTES, withInexact} from './batch.ts';
import {Random, randomCases} from './cases.ts';
import {OPERATIONS} from './operations.ts';
import {buildGuest, compilerMissing, Oracle, oracleMissing} from './oracle.ts';
import {readVectors} from './vectors.ts';

const SEED = Number(process.env.FTVM_SEED ?? Math.floor(Math.random() * 2 ** 31));
const RANDOM_CASES = 500;
/** Where oracle.c looks for the header; the records are a page behind. */
const SHARED_OFFSET = 0x100_0000;
const RAM_BYTES = 32 * 2 ** 20;
const STEPS_PER_CASE = 200;

/** Answers of the machine for encoded cases, each started with the given accrued flags. */
function askMachine(kernel: Uint8Array, records: Uint8Array, accruedFlags: number): Uint8Array {
  const count = records.length / RECORD_BYTES;
  const machine = new Machine(
    {
      ramBytes: RAM_BYTES,
      boot: 'elf',
      commandLine: '',
      epochNs: 0n,
      rngSeed: new Uint8Array(32),
      stepsPerTick: 10,
      clock: 'virtual',
      disks: [],
      nics: [],
      entropy: false,
      reboot: false,
    },
    {kernel},
  );
  const [ram] = machine.memories;
  const firstPage = SHARED_OFFSET / PAGE_BYTES;
  const header = new Uint8Array(PAGE_BYTES);
  new BigUint64Array(header.buffer).set([BigInt(count), BigInt(accruedFlags)]);
  ram.setPage(firstPage, header);
  const recordPages = Math.ceil(records.length / PAGE_BYTES);
  const padded = new Uint8Array(recordPages * PAGE_BYTES);
  padded.set(records);
  for (let page = 0; page < recordPages; page += 1) {
    ram.setPage(firstPage + 1 + page, padded.subarray(page * PAGE_BYTES, (page + 1) * PAGE_BYTES));
  }
  const stop = machine.runUntil(BigInt(count * STEPS_PER_CASE + 1000));
  assert.deepEqual(stop, {kind: 'halted', ending: {kind: 'poweroff', code: 0}});

  const bytes = count * ANSWER_BYTES;
  const pages = Math.ceil((records.length + bytes) / PAGE_BYTES);
  const result = new Uint8Array(pages * PAGE_BYTES);
  for (let page = 0; page < pages; page += 1) {
    result.set(ram.page(firstPage + 1 + page) as Uint8Array, page * PAGE_BYTES);
  }
  return result.slice(records.length, records.length + bytes);
}

/** Spoils the box of every third single. */
function unbox(cases: readonly Case[], records: Uint8Array): void {
  const view = new DataView(records.buffer);
  let singles = 0;
  cases.forEach(({operation}, index) => {
    operation.operands.forEach((datum, i) => {
      if (datum !== 'f32') return;
      singles += 1;
      if (singles % 3 === 0)
        view.setUint32(index * RECORD_BYTES + 12 + 8 * i, singles % 2 === 0 ? 0 : 0xffff_fffe, true);
    });
  });
}

describe('floating-point instructions', () => {
  let kernel: Uint8Array;
  before(function () {
    const missing = compilerMissing();
    skipUnless(this, missing === undefined, missing ?? '');
    kernel = buildGuest();
  });

  function compare(cases: readonly Case[], records: Uint8Array, expected: Uint8Array): void {
    assert.equal(findDifference(cases, {expected, actual: askMachine(kernel, records, 0)}), undefined);
    const inexact = withInexact(expected);
    assert.equal(findDifference(cases, {expected: inexact, actual: askMachine(kernel, records, 1)}), undefined);
  }

  it('give the recorded answers', () => {
    const {cases, answers} = readVectors();
    compare(cases, encodeCases(cases), answers);
  });

  it(`agree with the oracle, seed ${SEED}`, function () {
    const missing = oracleMissing();
    skipUnless(this, missing === undefined, missing ?? '');
    using oracle = new Oracle();
    const cases = OPERATIONS.flatMap((operation) =>
      randomCases(operation, RANDOM_CASES, new Random(SEED + operation.number)),
    );
    const records = encodeCases(cases);
    unbox(cases, records);
    compare(cases, records, oracle.answer(records));
  });
});
