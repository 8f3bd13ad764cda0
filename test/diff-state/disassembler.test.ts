// The disassembler, judged by binutils' objdump: every instruction of the tables with random operands, and every halfword that is a
// compressed instruction. The seed is printed, and taken from FTVM_SEED.

import assert from 'node:assert/strict';
import {execFileSync} from 'node:child_process';
import {writeFileSync} from 'node:fs';
import {decode, INSTRUCTIONS} from '../../src/emulator/isa/decoder.ts';
import {disassemble} from '../../src/emulator/isa/disassembler.ts';
import type {Instruction} from '../../src/emulator/isa/instruction.ts';
import {TemporaryFolder} from '../support/ftvm.ts';
import {hasCommand, skipUnless} from '../support/skip.ts';

const CASES_EACH = 12;
const PREFIX = 'riscv64-linux-gnu-';
/** Registers that objdump names and this machine does not have stay numbers for us. */
const KNOWN_CSRS = [1, 2, 3, 0x100, 0x104, 0x105, 0x106, 0x10a, 0x140, 0x141, 0x142, 0x143, 0x144, 0x14d, 0x180]
  .concat([0x300, 0x301, 0x302, 0x303, 0x304, 0x305, 0x306, 0x30a, 0x320, 0x323, 0x33f, 0x340, 0x341, 0x342, 0x343])
  .concat([0x344, 0x3a0, 0x3a2, 0x3b0, 0x3bf, 0xb00, 0xb02, 0xb03, 0xb1f, 0xc00, 0xc01, 0xc02, 0xc03, 0xc1f])
  .concat([0xf11, 0xf12, 0xf13, 0xf14, 0xf15, 0x7c1, 0x5ff]);

describe('the disassembler', () => {
  const seed = Number(process.env['FTVM_SEED'] ?? Date.now() % 2 ** 31);

  it(`writes every instruction as objdump does (seed ${seed})`, function () {
    skipUnless(this, hasCommand(`${PREFIX}objdump`), 'needs binutils for RISC-V: apt install gcc-riscv64-linux-gnu');
    this.timeout(60_000);
    const random = randomWords(seed);
    const words = INSTRUCTIONS.flatMap((instruction) =>
      Array.from({length: CASES_EACH}, () => withOperands(instruction, random)),
    );
    const expected = objdump(words.map((word) => `.insn 4, 0x${word.toString(16)}`));
    assert.equal(expected.length, words.length);
    words.forEach((word, index) => {
      const actual = disassemble(word & 0xffff, word, BigInt(index * 4));
      assert.equal(actual.lengthBytes, 4);
      assert.equal(normalised(actual.text), expected[index], `word 0x${word.toString(16)}`);
    });
    // The names that were judged are the tables', each of them.
    const judged = new Set(words.map((word) => INSTRUCTIONS[decode(word & 0xffff, word).index].name));
    assert.equal(judged.size, INSTRUCTIONS.length);
  });

  it('shows compressed instructions as what they stand for', function () {
    skipUnless(this, hasCommand(`${PREFIX}objdump`), 'needs binutils for RISC-V: apt install gcc-riscv64-linux-gnu');
    this.timeout(60_000);
    const halves = Array.from({length: 0x10000}, (_, half) => half).filter((half) => (half & 3) !== 3);
    const legal = halves.filter((half) => decode(half, half).index >= 0);
    assert.ok(legal.length > 30_000);
    // The expansion, assembled as a word of its own, is what objdump must write.
    const expected = objdump(legal.map((half) => `.insn 4, 0x${decode(half, half).word.toString(16)}`));
    legal.forEach((half, index) => {
      const actual = disassemble(half, half, BigInt(index * 4));
      assert.equal(actual.lengthBytes, 2);
      assert.equal(actual.encoding, half);
      assert.equal(normalised(actual.text), expected[index], `halfword 0x${half.toString(16)}`);
    });
  });

  it('writes what is no instruction as data', () => {
    assert.deepEqual(disassemble(0, 0, 0n), {text: '.2byte 0x0000', lengthBytes: 2, encoding: 0});
    assert.equal(disassemble(0xffff, 0xffffffff, 0n).text, '.4byte 0xffffffff');
  });
});

/** The disassembly of each line, in objdump's words less its spaces and symbols. */
function objdump(lines: readonly string[]): string[] {
  using folder = new TemporaryFolder();
  const source = folder.join('words.s');
  const object = folder.join('words.o');
  writeFileSync(source, `${lines.join('\n')}\n`);
  execFileSync(`${PREFIX}as`, ['-march=rv64gc_zba_zbb_zbs_zicsr_zifencei', source, '-o', object]);
  const text = execFileSync(`${PREFIX}objdump`, ['-d', '-z', '-M', 'no-aliases', object], {
    maxBuffer: 1 << 28,
  }).toString();
  return [...text.matchAll(/^\s*[0-9a-f]+:\s+[0-9a-f]+\s+(.*)$/gm)].map((match) =>
    match[1]
      .replace(/\s*[<#].*$/, '')
      .replace(/\s+/, ' ')
      .trim(),
  );
}

/** Our text in objdump's manner: no blanks between operands; objdump writes shift amounts in hexadecimal, targets without 0x. */
function normalised(text: string): string {
  const joined = text.replaceAll(', ', ',');
  if (/^(b(eq|ne|lt|ge|ltu|geu)|jal) /.test(joined)) return joined.replace(/0x([0-9a-f]+)$/, '$1');
  if (!/^(slli|srli|srai|slliw|srliw|sraiw|slli\.uw|rori|roriw|bclri|bexti|binvi|bseti) /.test(joined)) return joined;
  return joined.replace(/(\d+)$/, (amount) => `0x${Number(amount).toString(16)}`);
}

function withOperands(instruction: Instruction, random: () => number): number {
  const {name, format, match} = instruction;
  let free = random() & ~format.mask;
  if (format.operands.includes('rm')) free = withRoundingMode(name, free, random);
  if (name === 'fence') free = (random() & 0x0ff0_0000) | 0;
  if (name === 'fence.i') free = 0;
  if (format.operands.includes('csr')) {
    const number = KNOWN_CSRS[random() % KNOWN_CSRS.length];
    free = (free & 0x000f_ffff) | (number << 20);
  }
  return (match | free) >>> 0;
}

/** objdump does not know the exact conversions with a mode, which the manual allows. */
function withRoundingMode(name: string, word: number, random: () => number): number {
  const mode = /^fcvt\.d\.(s|w|wu)$/.test(name) ? 0 : [0, 1, 2, 3, 4, 7][random() % 6];
  return (word & ~0x7000) | (mode << 12);
}

/** xorshift32 (Marsaglia, 2003). */
function randomWords(seed: number): () => number {
  let state = seed >>> 0 || 1;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    state >>>= 0;
    return state;
  };
}
