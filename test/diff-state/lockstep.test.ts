// The search in lockstep against the plainest possible one: two machines from power-on, one step at a time, everything compared after
// each. Pairs of runs are made by seeded random changes to the inputs of one. FTVM_SEED takes a seed.

import assert from 'node:assert/strict';
import type {Machine} from '../../src/emulator/machine.ts';
import {compareLogRuns} from '../../src/session/log-difference.ts';
import {TemporaryFolder} from '../support/ftvm.ts';
import {machineOf, randomNumbers, recordRun, type TimedInput, writeRun} from './runs.ts';

const CASES = 10;
/** Steps that the plain search makes at most. */
const PLAIN_LIMIT_STEPS = 150_000n;

type Found = {state: bigint | undefined; step: bigint | undefined; pc: bigint | undefined};

describe('the search in lockstep', function () {
  this.timeout(240_000);
  const seed = Number(process.env['FTVM_SEED'] ?? Date.now() % 2 ** 31);

  it(`finds what a comparison after every step finds (seed ${seed})`, async () => {
    using folder = new TemporaryFolder();
    const random = randomNumbers(seed);
    const run = recordRun('echo');
    const seen = {step: 0, none: 0};
    for (let n = 0; n < CASES; n += 1) {
      const changed = changedInputs(run.inputs, random);
      const end = run.end < PLAIN_LIMIT_STEPS ? run.end : PLAIN_LIMIT_STEPS;
      const [a, b] = [folder.join(`${n}a.ftlog`), folder.join(`${n}b.ftlog`)];
      writeRun(a, {guest: 'echo', inputs: run.inputs.filter(({position}) => position <= end), end});
      writeRun(b, {guest: 'echo', inputs: changed.inputs.filter(({position}) => position <= end), end});
      const found = await compareLogRuns({a, b});
      const plain = plainSearch(run.inputs, changed.inputs, end);
      const actual = {state: found.state?.position, step: found.step?.position};
      assert.deepEqual(actual, {state: plain.state, step: plain.step}, `case ${n}: ${changed.what}`);
      if (found.parting !== undefined && plain.pc !== undefined)
        assert.equal(found.parting.position, plain.pc, `case ${n}: ${changed.what}`);
      assert.equal(found.verdict === 'different', plain.state !== undefined);
      if (found.step === undefined) seen.none += 1;
      else seen.step += 1;
    }
    assert.ok(seen.step > 0, 'no case led to a difference');
  });
});

/** One input more, less, later, in two parts, or with another byte. */
function changedInputs(inputs: readonly TimedInput[], random: () => number): {inputs: TimedInput[]; what: string} {
  const index = random() % inputs.length;
  const {position, input} = inputs[index];
  if (input.kind !== 'console') throw new Error('the echo guest has console inputs only');
  const others = (...instead: TimedInput[]): TimedInput[] =>
    [...inputs.slice(0, index), ...instead, ...inputs.slice(index + 1)].sort((x, y) => Number(x.position - y.position));
  switch (random() % 5) {
    case 0: {
      const bytes = input.bytes.slice();
      bytes[random() % bytes.length] ^= 1 << (random() % 7);
      return {inputs: others({position, input: {kind: 'console', bytes}}), what: `another byte in input ${index}`};
    }
    case 1: {
      const later = position + BigInt(random() % 3000);
      return {inputs: others({position: later, input}), what: `input ${index} at ${later} instead of ${position}`};
    }
    case 2:
      return {inputs: others(), what: `without input ${index}`};
    case 3: {
      const at = random() % input.bytes.length;
      const parts = [input.bytes.subarray(0, at), input.bytes.subarray(at)].filter(({length}) => length > 0);
      return {
        inputs: others(...parts.map((bytes): TimedInput => ({position, input: {kind: 'console', bytes}}))),
        what: `input ${index} in ${parts.length} parts`,
      };
    }
    default: {
      const ticks = position / 20n + BigInt(random() % 50);
      const clock: TimedInput = {position, input: {kind: 'clock', ticks: ticks + 1000n, stepsPerTick: 20}};
      return {inputs: others(clock, {position, input}), what: `a clock input before input ${index}`};
    }
  }
}

/** Where the state, registers or memory, and the pc first differ: compared after every step and after every delivery. */
function plainSearch(a: readonly TimedInput[], b: readonly TimedInput[], end: bigint): Found {
  const found: Found = {state: undefined, step: undefined, pc: undefined};
  const machines = [machineOf('echo'), machineOf('echo')];
  for (const machine of machines) machine.memories[0].takeDirty();
  for (let position = 0n; position <= end; position += 1n) {
    for (const [n, inputs] of [a, b].entries()) {
      const machine = machines[n];
      if (machine.ending === undefined && machine.position < position) machine.runUntil(position);
      machine.takeOutputs();
      if (machine.ending !== undefined || machine.position < position) continue;
      for (const each of inputs) if (each.position === position) machine.deliver(each.input);
    }
    const difference = differing(machines[0], machines[1]);
    if (difference.state) found.state ??= position;
    // The step that ends here is named by where it began.
    if (difference.program) found.step ??= position - 1n;
    if (difference.pc) found.pc ??= position - 1n;
    if (found.pc !== undefined) break;
  }
  return found;
}

function differing(a: Machine, b: Machine): {state: boolean; program: boolean; pc: boolean} {
  const names = a.state.entries
    .filter((entry, n) => Buffer.compare(entry.read(), b.state.entries[n].read()) !== 0)
    .map(({name}) => name);
  const [ram, other] = [a.memories[0], b.memories[0]];
  const dirty = new Set([...ram.takeDirty(), ...other.takeDirty()]);
  const pages = [...dirty].some(
    (index) => Buffer.compare(ram.page(index) as Uint8Array, other.page(index) as Uint8Array) !== 0,
  );
  const program = names.some((name) => name !== 'lines' && PROGRAM.test(name)) || pages;
  return {state: names.length > 0 || pages, program, pc: names.includes('pc')};
}

/** The hart's entries, by their names in registers.ts. */
const PROGRAM =
  /^(pc|[xf]\d+|fflags|frm|mstatus\.FS|reservation|m[a-z]+|s[a-z]+|cycleOffset|instretOffset|trappedSteps|privilege|waiting|pmp(cfg|addr)\d+)$/;
