// An instruction on two pages, of which the second is decoded when there is no room: everything is forgotten then, the first page too, on
// which the interpreter stands.

import assert from 'node:assert/strict';
import {CodeCache} from '../../src/emulator/hart/code-cache.ts';
import {Machine} from '../../src/emulator/machine.ts';
import {elfOf} from '../support/bare-elf.ts';
import {bareConfig} from '../translator/equivalence.ts';

const TARGET = 8;
/** The last halfword of the first page. */
const BRANCH = 0xffe;
const STEPS = 100n;

describe('an instruction on two pages', () => {
  it('is executed where it stands, though its second page had no room', () => {
    const full = Object.getOwnPropertyDescriptor(CodeCache.prototype, 'full') as PropertyDescriptor;
    let pages = 0;
    Object.defineProperty(CodeCache.prototype, 'full', {
      configurable: true,
      get() {
        pages += 1;
        return pages === 2;
      },
    });
    try {
      const machine = new Machine(bareConfig({ramBytes: 8 * 2 ** 20}), {kernel: elfOf(program())});
      machine.runUntil(STEPS);
      assert.deepEqual(machine.ending, {kind: 'poweroff', code: 0});
      assert.ok(pages > 2, 'there was always room');
    } finally {
      Object.defineProperty(CodeCache.prototype, 'full', full);
    }
  });
});

/** Two pages: a jump to the branch that lies on both, which leads back into the first one, where the machine is switched off. */
function program(): Uint8Array {
  const bytes = new Uint8Array(0x2000);
  const view = new DataView(bytes.buffer);
  const code = [
    jal(BRANCH), // 0:  j BRANCH
    0x0000_0013, // 4:  nop
    0x0010_03b7, // 8:  lui t2, 0x100      the finisher
    0x0000_5437, //     lui s0, 0x5
    0x5554_0413, //     addi s0, s0, 0x555
    0x0083_a023, //     sw s0, 0(t2)
  ];
  for (const [n, word] of code.entries()) view.setUint32(4 * n, word, true);
  view.setUint32(BRANCH, beqz(TARGET - BRANCH), true);
  return bytes;
}

function jal(offset: number): number {
  return (((offset >> 1) & 0x3ff) << 21) | (((offset >> 11) & 1) << 20) | 0x6f;
}

/** beq x0, x0 */
function beqz(offset: number): number {
  const high = (((offset >> 12) & 1) << 31) | (((offset >> 5) & 0x3f) << 25);
  return high | (((offset >> 1) & 0xf) << 8) | (((offset >> 11) & 1) << 7) | 0x63;
}
