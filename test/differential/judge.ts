// Judges a machine against the oracle: both run the same image of random sequences, and their consoles are compared line by
// line. A difference is narrowed down to the sequence and the first unit that brings it about, so that the message names
// one instruction with the seed that makes it again.

import {spawnSync} from 'node:child_process';
import {mkdtempSync, rmSync, writeFileSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {hasCommand} from '../support/skip.ts';
import {type Generated, type GenerateOptions, generate} from './generate.ts';
import {type GuestRunner, oracle} from './runner.ts';

const OBJDUMP = 'riscv64-linux-gnu-objdump';
const TIMEOUT_MS = 60_000;

export type Judged = {
  /** undefined when both agree; else what differs, ready to be shown. */
  difference: string | undefined;
  /** What the oracle printed. */
  lines: string[];
};

export async function judge(seed: number, options: GenerateOptions, candidate: GuestRunner): Promise<Judged> {
  const generated = generate(seed, options);
  const [expected, actual] = await both(generated, candidate);
  const line = expected.findIndex((text, index) => text !== actual[index]);
  if (line < 0 && expected.length === actual.length) return {difference: undefined, lines: expected};
  const at = line < 0 ? expected.length : line;
  const sequence = /^#(\d+) /.exec(expected[at] ?? '')?.[1];
  const shown = `${oracle.name}: ${expected[at] ?? '(nothing)'}\n${candidate.name}: ${actual[at] ?? '(nothing)'}`;
  const again = `seed ${seed}, options ${JSON.stringify(options)}`;
  if (sequence === undefined) return {difference: `${again}: line ${at} differs\n${shown}`, lines: expected};
  const detail = await narrow(seed, {...options, only: Number(sequence), verbose: true}, candidate);
  return {difference: `${again}: sequence ${sequence} differs\n${shown}\n${detail}`, lines: expected};
}

/** Runs an image and gives back its console lines; throws when the guest does not come to its end. */
export async function runSequences(generated: Generated, runner: GuestRunner): Promise<string[]> {
  const {console, exitCode} = await runner.run({kernel: generated.image, timeoutMs: TIMEOUT_MS});
  const lines = Buffer.from(console).toString('latin1').split('\n');
  if (exitCode !== 0 || lines.at(-2) !== 'end') {
    lines.push(`${runner.name}: the guest ended with ${exitCode ?? 'the time limit'}`);
  }
  return lines;
}

async function both(generated: Generated, candidate: GuestRunner): Promise<[string[], string[]]> {
  const expected = await runSequences(generated, oracle);
  return [expected, await runSequences(generated, candidate)];
}

/** Finds the least number of units after which the two differ, by bisection, and shows the last of them. */
async function narrow(seed: number, options: GenerateOptions, candidate: GuestRunner): Promise<string> {
  const length = generate(seed, options).lengths[0]!;
  const differs = async (unitLimit: number) => {
    const [expected, actual] = await both(generate(seed, {...options, unitLimit}), candidate);
    return expected.join('\n') !== actual.join('\n');
  };
  let agreeing = -1;
  let differing = length;
  while (differing - agreeing > 1) {
    const middle = (agreeing + differing) >> 1;
    if (await differs(middle)) differing = middle;
    else agreeing = middle;
  }
  const generated = generate(seed, {...options, unitLimit: differing});
  const [expected, actual] = await both(generated, candidate);
  const differences: string[] = [];
  for (let index = 0; index < Math.max(expected.length, actual.length) && differences.length < 20; index++) {
    if (expected[index] === actual[index]) continue;
    differences.push(
      `  ${oracle.name}: ${expected[index] ?? '(nothing)'}`,
      `  ${candidate.name}: ${actual[index] ?? '(nothing)'}`,
    );
  }
  const unit = differing - 1;
  const parcels = generated.layout.parcels[0]!.filter((parcel) => parcel.unit === unit);
  const words = parcels.map(
    (parcel) => `  ${disassemble(parcel.word, parcel.bytes) ?? parcel.name}   (${parcel.name})`,
  );
  return [
    differing === 0 ? 'it differs before the first unit' : `the first unit that matters is ${unit}:`,
    ...words,
    'with that many units:',
    ...differences,
  ].join('\n');
}

/** `00b50533  add a0,a0,a1`, or undefined where objdump is not installed. */
export function disassemble(word: number, bytes: 2 | 4): string | undefined {
  if (!hasCommand(OBJDUMP)) return undefined;
  const folder = mkdtempSync(join(tmpdir(), 'ftvm-objdump-'));
  try {
    const file = join(folder, 'word.bin');
    const data = Buffer.alloc(4);
    data.writeUInt32LE(word >>> 0);
    writeFileSync(file, data.subarray(0, bytes));
    const output = spawnSync(OBJDUMP, ['-D', '-b', 'binary', '-m', 'riscv:rv64', file], {encoding: 'utf8'}).stdout;
    const line = output.split('\n').find((text) => /^\s*0:/.test(text));
    return line?.replace(/^\s*0:\s*/, '').replace(/\s+/g, ' ');
  } finally {
    rmSync(folder, {recursive: true, force: true});
  }
}
