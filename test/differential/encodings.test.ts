// The generator's encodings against a disassembler: each table's words, with random operands, must be what their names say.
// Two tables that were both read wrongly out of the manual would otherwise test nothing.

import assert from 'node:assert/strict';
import {execFileSync} from 'node:child_process';
import {mkdtempSync, rmSync, writeFileSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {hasCommand, skipUnless} from '../support/skip.ts';
import {generate, KINDS} from './generate.ts';
import type {Parcel} from './units.ts';

const OBJDUMP = 'riscv64-linux-gnu-objdump';
const ASSEMBLER = 'riscv64-linux-gnu-as';

/** The mnemonics of the words, in order. They go through the assembler, so that the object names our extensions. */
function disassembleAll(parcels: readonly Parcel[]): string[] {
  const folder = mkdtempSync(join(tmpdir(), 'ftvm-objdump-'));
  try {
    const object = join(folder, 'words.o');
    const lines = parcels.map(({bytes, word}) => `.insn ${bytes}, 0x${word.toString(16)}`);
    writeFileSync(join(folder, 'words.s'), `${lines.join('\n')}\n`);
    execFileSync(ASSEMBLER, ['-march=rv64gc_zba_zbb_zbs', '-o', object, join(folder, 'words.s')]);
    const output = execFileSync(OBJDUMP, ['-d', '-M', 'no-aliases', '-z', object], {
      encoding: 'utf8',
      maxBuffer: 1 << 26,
    });
    return [...output.matchAll(/^\s*[0-9a-f]+:\s+[0-9a-f]+\s+(\S+)/gm)].map((match) => match[1]!);
  } finally {
    rmSync(folder, {recursive: true, force: true});
  }
}

/** The mnemonic in the generator's name for a word; undefined where the disassembler has none. */
function mnemonic({name, word}: Parcel): string | undefined {
  // binutils knows the exact conversions with rounding mode 0 only.
  if (/^fcvt\.d\.(w|wu|s)$/.test(name) && (word & 0x7000) !== 0) return undefined;
  if (name === 'illegal' || name.includes('hint') || name === 'pause') return undefined;
  const first = name.split(' ')[0]!;
  return first === 'csrr' ? 'csrrs' : first;
}

describe('encodings of the generator', () => {
  for (const kind of KINDS.filter((name) => name !== 'illegal' && name !== 'mixed')) {
    it(`${kind}: the disassembler reads the names that were meant`, function () {
      skipUnless(this, hasCommand(OBJDUMP), `${OBJDUMP} is not installed (Debian: binutils-riscv64-linux-gnu)`);
      const {layout} = generate(1, {kind, sequences: 100, length: 40});
      const parcels = layout.parcels.flat().filter((parcel) => mnemonic(parcel) !== undefined);
      const read = disassembleAll(parcels);
      assert.equal(read.length, parcels.length);
      parcels.forEach((parcel, index) => {
        const message = `${parcel.word.toString(16)}: ${parcel.name}, disassembled as ${read[index]}`;
        assert.ok(agree(mnemonic(parcel)!, read[index]!), message);
      });
    });
  }
});

function agree(expected: string, got: string): boolean {
  const plain = got.replace(/\.(aq|rl|aqrl)$/, '');
  const same: Record<string, string[]> = {
    'fence.tso': ['fence.tso', 'fence'],
    csrrwi: ['csrrwi', 'fsrmi', 'fsflagsi'],
    // Hints: the disassembler prints the instruction that they would be.
    'c.add': ['c.add', 'c.nop'],
    'c.addi': ['c.addi', 'c.nop'],
    'c.slli': ['c.slli', 'c.slli64'],
    'c.srli': ['c.srli', 'c.srli64'],
    'c.srai': ['c.srai', 'c.srai64'],
    'fmv.x.w': ['fmv.x.w', 'fmv.x.s'],
    'fmv.w.x': ['fmv.w.x', 'fmv.s.x'],
  };
  return (same[expected] ?? [expected]).includes(plain);
}
