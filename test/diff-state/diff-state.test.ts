// `ftvm diff-state` as its user meets it: two runs that differ in one byte, states at positions, logs of different lengths, torn
// ones, other machines; and everything that is not a log or a state, by name.

import assert from 'node:assert/strict';
import {readFileSync, truncateSync, writeFileSync} from 'node:fs';
import type {LogRecord} from '../../src/logformat/record.ts';
import {type FtvmResult, runFtvm, TemporaryFolder} from '../support/ftvm.ts';
import {readRecords, withOtherByte, writeRecords} from './edited-log.ts';
import {configOf, headerOf, machineOf, runInputs, type TimedInput, text, writeRun} from './runs.ts';

const DIFFERENT = 117;
const CODES = {
  usage: 101,
  divergence: 102,
  torn: 103,
  corrupt: 104,
  artefact: 105,
  version: 106,
  notALog: 109,
  file: 111,
};

describe('ftvm diff-state', function () {
  this.timeout(60_000);
  const folder = new TemporaryFolder();
  const recorded = folder.join('recorded.ftlog');
  const changed = folder.join('changed.ftlog');
  const state = folder.join('at.ftstate');
  let records: LogRecord[];

  before(async () => {
    const run = await runFtvm(['record', 'echo', '--clock', 'virtual', '-o', recorded], {
      input: 'one line\nanother\nquit\n',
    });
    assert.equal(run.exitCode, 0, run.stderr);
    records = readRecords(recorded);
    writeRecords(changed, withOtherByte(records, {nth: 0, byte: 3, to: 0x5f}));
    const saved = await runFtvm(['replay', recorded, '--to', '10000', '--save-state', state]);
    assert.equal(saved.exitCode, 0, saved.stderr);
  });

  after(() => folder[Symbol.dispose]());

  const diff = (...argv: string[]): Promise<FtvmResult> => runFtvm(['diff-state', ...argv]);

  it('names the first position, the registers and the instruction of two runs that differ in one byte', async () => {
    const {exitCode, stdout, stderr} = await diff(recorded, changed);
    assert.equal(exitCode, DIFFERENT, stderr);
    assert.match(stdout, /^different: A \S+recorded\.ftlog, B \S+changed\.ftlog$/m);
    assert.match(stdout, /^ {2}A \d+ {2}@\d+ {2}input console 22 bytes "one line\\nanother\\nquit\\n"$/m);
    assert.match(stdout, /^ {2}B \d+ {2}@\d+ {2}input console 22 bytes "one_line\\nanother\\nquit\\n"$/m);
    assert.match(stdout, /^the states first differ at position \d+, by what was delivered there:$/m);
    assert.match(stdout, /^ {4}uart\.\w+ +A 6f6e6520\w+ \(22 bytes\) +B 6f6e655f\w+ \(22 bytes\)$/m);
    assert.match(stdout, /^the first step that does otherwise: from position (\d+) to \d+$/m);
    assert.match(stdout, /^ {2}both: pc 0x8000\w+, M mode: lbu a0, 0\(a4\)$/m);
    assert.match(stdout, /^ {4}a0 \(x10\) +0x\w+ +0x20 +0x5f$/m);
  });

  it('says the same as JSON', async () => {
    const {exitCode, stdout} = await diff(recorded, changed, '--json');
    assert.equal(exitCode, DIFFERENT);
    const found = JSON.parse(stdout);
    assert.equal(found.verdict, 'different');
    assert.equal(found.commonInputs, 0);
    assert.equal(found.inputs.b.input.bytes.text, 'one_line\\nanother\\nquit\\n');
    assert.equal(found.state.cause, 'inputs');
    assert.equal(found.step.a.code.instruction.text, 'lbu a0, 0(a4)');
    assert.equal(found.step.a.code.pc, found.step.b.code.pc);
    assert.deepEqual(
      found.step.difference.entries.map(({name, a, b}: Record<string, unknown>) => ({name, a, b})),
      [{name: 'x10', a: '32', b: '95'}],
    );
    assert.match(found.step.position, /^\d+$/);
  });

  it('says where the difference of the input becomes one of the path, and which pages it reached', async () => {
    // `sum` prints a number for some lines and echoes the others: another last letter is another way.
    const [a, b] = [folder.join('sum.ftlog'), folder.join('sun.ftlog')];
    const inputs = (line: string) => [{position: 0n, input: text(`${line}\n`)}];
    const end = waitsAt(inputs('sun'));
    writeRun(a, {guest: 'echo', inputs: inputs('sum'), end});
    writeRun(b, {guest: 'echo', inputs: inputs('sun'), end});
    const {exitCode, stdout, stderr} = await diff(a, b);
    assert.equal(exitCode, DIFFERENT, stderr);
    assert.match(stdout, /^the ways part with the step from position \d+ to \d+: A goes on at 0x8\w+, B at 0x8\w+$/m);
    assert.match(stdout, /^ {2}both: pc 0x8\w+, M mode: b\w+ .*0x8\w+$/m);
    const later = await diff(`${a}@${end}`, `${b}@${end}`);
    assert.equal(later.exitCode, DIFFERENT);
    assert.match(later.stdout, /^ {2}memory: \d+ pages? in \d+ ranges$/m);
    assert.match(later.stdout, /^ {4}0x8\w+–0x8\w+ +\d+ pages? +first at 0x8\w+ +A [0-9a-f]{32} +B [0-9a-f]{32}$/m);
  });

  it('finds one and the same log identical, and states of it', async () => {
    const logs = await diff(recorded, recorded);
    assert.equal(logs.exitCode, 0, logs.stderr);
    assert.match(logs.stdout, /^identical: the same inputs: \d+ inputs, [1-9]\d* digests, to position \d+\n$/);
    for (const [a, b] of [
      [state, state],
      [state, recorded],
      [recorded, state],
      [`${recorded}@10_000`, state],
      [`${recorded}@10000`, recorded],
    ]) {
      const {exitCode, stdout, stderr} = await diff(a, b);
      assert.equal(exitCode, 0, stderr);
      assert.match(stdout, /^identical at position 10000: pc 0x8\w+, M mode: \w+/);
    }
  });

  it('lists what two positions of one log differ in', async () => {
    const {exitCode, stdout} = await diff(state, `${recorded}@10001`);
    assert.equal(exitCode, DIFFERENT);
    assert.match(stdout, /^A \S+at\.ftstate, position 10000, pc 0x8\w+, M mode: /m);
    assert.match(stdout, /^B \S+@10001, position 10001, pc 0x8\w+, M mode: /m);
    assert.match(stdout, /^ {4}position +A 10000 +B 10001$/m);
    const json = JSON.parse((await diff(state, `${recorded}@10001`, '--json')).stdout);
    assert.equal(json.verdict, 'different');
    const position = json.difference.entries.find(({name}: {name: string}) => name === 'position');
    assert.deepEqual([position.a, position.b], ['10000', '10001']);
  });

  it('bounds its lists and counts the rest', async () => {
    const {stdout} = await diff(state, `${recorded}@14000`, '--lines', '2');
    assert.match(stdout, /^ {4}… and \d+ more entries$/m);
  });

  it('takes a log that is the beginning of another as such', async () => {
    const short = folder.join('short.ftlog');
    const beginning = records.filter(({position}) => position <= 14_000n);
    writeRecords(short, [...beginning, {kind: 'end', position: 14_000n, reason: 'stopped', ending: null}]);
    const {exitCode, stdout, stderr} = await diff(short, recorded);
    assert.equal(exitCode, 0, stderr);
    assert.match(stdout, /^prefix: the same inputs as far as both go: \d+ inputs, \d+ digests, to position 14000$/m);
    assert.match(stdout, /^ {2}\S+short\.ftlog: \d+ records, \d+ inputs, to position 14000$/m);
  });

  it('compares what there is of a torn log, and says so', async () => {
    const torn = folder.join('torn.ftlog');
    writeFileSync(torn, readFileSync(changed));
    truncateSync(torn, readFileSync(changed).length - 3);
    const cut = await diff(recorded, torn);
    assert.equal(cut.exitCode, DIFFERENT, cut.stderr);
    assert.match(
      cut.stderr,
      /torn\.ftlog is torn at byte \d+ \(partialPayload, \d+ bytes after the last whole frame\)/,
    );
    // What was lost stood behind the input: nobody knows what else came.
    assert.match(cut.stdout, /^no step does otherwise up to position \d+$/m);
    writeRecords(
      torn,
      records.filter(({kind}) => kind !== 'end'),
    );
    const whole = await diff(torn, recorded);
    assert.equal(whole.exitCode, 0, whole.stderr);
    assert.match(whole.stderr, /torn\.ftlog is torn at byte \d+ \(noEnd, 0 bytes after the last whole frame\)/);
  });

  it('looks no further than --to', async () => {
    const first = records.find(({kind}) => kind === 'input')?.position as bigint;
    const {exitCode, stdout} = await diff(recorded, changed, '--to', String(first + 10n));
    assert.equal(exitCode, DIFFERENT);
    assert.match(stdout, new RegExp(`^no step does otherwise up to position ${first + 10n}$`, 'm'));
    if (first === 0n) return;
    const before = await diff(recorded, changed, '--to', String(first - 1n));
    assert.equal(before.exitCode, 0);
  });

  it('knows that an input in two parts is the same input', async () => {
    const [a, b] = [folder.join('whole.ftlog'), folder.join('parts.ftlog')];
    const inputs = (parts: string[]) => parts.map((part) => ({position: 0n, input: text(part)}));
    const end = waitsAt(inputs(['ab\n']));
    writeRun(a, {guest: 'echo', inputs: inputs(['ab\n']), end});
    writeRun(b, {guest: 'echo', inputs: inputs(['a', 'b\n']), end});
    const {exitCode, stdout, stderr} = await diff(a, b);
    assert.equal(exitCode, 0, stderr);
    assert.match(stdout, /^equivalent: other records, and the same states:/m);
  });

  it('says plainly that the machines are not the same', async () => {
    const [a, b] = [folder.join('small.ftlog'), folder.join('large.ftlog')];
    writeRun(a, {guest: 'echo', inputs: [], end: 5_000n});
    writeRun(b, {guest: 'echo', inputs: [], end: 5_000n, config: configOf({ramBytes: 32 << 20, commandLine: 'other'})});
    const {exitCode, stdout} = await diff(a, b);
    assert.equal(exitCode, DIFFERENT);
    assert.match(stdout, /^the machines are not the same:$/m);
    assert.match(stdout, /^ {2}config\.ramBytes +A 16777216 +B 33554432$/m);
    assert.match(stdout, /^the states differ from power-on:$/m);
    const other = folder.join('other.ftlog');
    writeRun(other, {guest: 'hello', inputs: [], end: 5_000n});
    assert.match((await diff(a, other)).stdout, /^ {2}kernel\.sha256 +A \w{64} +B \w{64}$/m);
  });

  it('notices a digest that does not hold', async () => {
    const wrong = folder.join('wrong.ftlog');
    writeRecords(
      wrong,
      records.map((record) => (record.kind === 'digest' ? {...record, digest: new Uint8Array(16)} : record)),
    );
    const {exitCode, stderr} = await diff(recorded, wrong);
    assert.equal(exitCode, CODES.divergence);
    assert.match(stderr, /the digest in \S+wrong\.ftlog expected 0{32}, got [0-9a-f]{32}/);
  });

  it('names what it cannot compare', async () => {
    const noise = folder.join('noise');
    writeFileSync(noise, 'neither a log nor a state');
    const empty = folder.join('empty');
    writeFileSync(empty, '');
    const halfState = folder.join('half.ftstate');
    writeFileSync(halfState, readFileSync(state).subarray(0, 2000));
    const badState = folder.join('bad.ftstate');
    writeFileSync(badState, flippedAt(readFileSync(state), 3000));
    const badLog = folder.join('bad.ftlog');
    writeFileSync(badLog, flippedAt(readFileSync(recorded), 300));
    const newer = folder.join('newer.ftlog');
    writeRecords(newer, [{kind: 'header', position: 0n, ...headerOf('echo'), machineVersion: 9999}]);
    const cases: [argv: string[], exitCode: number, message: RegExp][] = [
      [[noise, recorded], CODES.notALog, /noise is neither a log nor a state file/],
      [[recorded, empty], CODES.notALog, /empty is neither/],
      [[folder.join('absent'), recorded], CODES.file, /absent: there is no such file/],
      [[folder.path, recorded], CODES.file, /it is a folder/],
      [[halfState, recorded], CODES.torn, /half\.ftstate: the state file is torn at byte \d+/],
      [[badState, recorded], CODES.corrupt, /bad\.ftstate: the state file is corrupt at byte \d+/],
      [[recorded, badLog], CODES.corrupt, /bad\.ftlog: the log is corrupt at byte \d+/],
      [[recorded, newer], CODES.version, /newer\.ftlog was recorded by ftvm 0\.0\.0-test with machine version 9999/],
      [[`${recorded}@99999999`, state], CODES.usage, /position 99999999 is beyond it/],
      [[`${recorded}@here`, state], CODES.usage, /"here" is not a position/],
      [[`${state}@5`, state], CODES.usage, /a state file holds one position only/],
      [[state, state, '--to', '5'], CODES.usage, /--to limits the comparison of two logs/],
      [[recorded, changed, '--to', 'x'], CODES.usage, /not a position/],
      [[recorded], CODES.usage, /required arg/],
      [[recorded, recorded, '--kernel', noise], CODES.artefact, /the kernel is not the one that was recorded/],
    ];
    for (const [argv, exitCode, message] of cases) {
      const result = await diff(...argv);
      assert.match(result.stderr, message, argv.join(' '));
      assert.equal(result.exitCode, exitCode, `${argv.join(' ')}\n${result.stderr}`);
      assert.doesNotMatch(result.stderr, /^\s+at /m, 'a stack trace');
    }
  });
});

/** Where the echo guest waits for more. */
function waitsAt(inputs: readonly TimedInput[]): bigint {
  const machine = machineOf('echo');
  runInputs(machine, inputs, 1_000_000n);
  return machine.position;
}

function flippedAt(bytes: Uint8Array, offset: number): Uint8Array {
  const copy = new Uint8Array(bytes);
  copy[offset] ^= 1;
  return copy;
}
