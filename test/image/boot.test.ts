// Where the boot plan puts things: nothing overlaps, everything lies in RAM, and what does not fit is refused with the amount
// of RAM that would do. That real firmware and a real kernel like the plan is shown by test/guests/debian-boot.test.ts.

import {strict as assert} from 'node:assert';
import type {BootImages} from '../../src/emulator/config.ts';
import {type BootPlan, planBoot} from '../../src/emulator/image/boot.ts';
import {type ErrorCode, FtvmError} from '../../src/errors.ts';
import {readGuestFile} from '../support/fixture-guests.ts';
import {cellsOf, decodeDeviceTree, nodeAt} from './device-tree-decoder.ts';
import {machineConfig} from './machine-config.ts';

const MIB = 2 ** 20;
const RAM_BASE = 0x8000_0000;

/** A kernel Image of 1 MiB that says it needs 3 MiB. */
function kernelImage(): Uint8Array {
  const bytes = new Uint8Array(MIB);
  const view = new DataView(bytes.buffer);
  view.setBigUint64(8, 0x20_0000n, true);
  view.setBigUint64(16, BigInt(3 * MIB), true);
  bytes.set(Buffer.from('RISCV\0\0\0RSC\x05', 'latin1'), 48);
  return bytes;
}

function refused(code: ErrorCode, action: () => unknown): FtvmError {
  try {
    action();
  } catch (error) {
    assert.ok(error instanceof FtvmError, String(error));
    assert.equal(error.code, code);
    return error;
  }
  assert.fail('it was accepted');
}

function checkDisjoint(plan: BootPlan, ramBytes: number): void {
  const sorted = [...plan.writes].sort((a, b) => a.address - b.address);
  for (const [index, {address, bytes}] of sorted.entries()) {
    assert.ok(address >= RAM_BASE && address + bytes.length <= RAM_BASE + ramBytes);
    const next = sorted[index + 1];
    assert.ok(next === undefined || address + bytes.length <= next.address, `writes ${index} and ${index + 1} overlap`);
  }
}

describe('the boot plan', () => {
  const images: BootImages = {
    kernel: kernelImage(),
    firmware: new Uint8Array(270_000).fill(1),
    initrd: new Uint8Array(5_000_001).fill(2),
  };

  it('starts OpenSBI with the boot information, the tree and the initrd', () => {
    const ramBytes = 32 * MIB;
    const plan = planBoot(machineConfig('linux', ramBytes), images);
    checkDisjoint(plan, ramBytes);
    assert.equal(plan.registers.pc, 0x8000_0000n);
    assert.equal(plan.registers.a0, 0n);
    const at = (address: bigint) => plan.writes.find((write) => write.address === Number(address))!.bytes;
    const info = at(plan.registers.a2);
    const view = new DataView(info.buffer, info.byteOffset, info.byteLength);
    const fields = Array.from({length: 6}, (_, index) => view.getBigUint64(index * 8, true));
    assert.deepEqual(fields, [0x4942534fn, 2n, 0x8020_0000n, 1n, 0n, 0n]);
    assert.equal(at(0x8020_0000n), images.kernel);
    const chosen = nodeAt(decodeDeviceTree(at(plan.registers.a1)).root, '/chosen');
    const [, start] = cellsOf(chosen, 'linux,initrd-start');
    const [, end] = cellsOf(chosen, 'linux,initrd-end');
    assert.equal(at(BigInt(start!)), images.initrd);
    assert.equal(end! - start!, images.initrd!.length);
  });

  it('leaves room behind the tree, which the firmware enlarges', () => {
    const plan = planBoot(machineConfig('linux', 32 * MIB), images);
    const tree = plan.writes.find(({address}) => address === Number(plan.registers.a1))!;
    assert.ok(RAM_BASE + 32 * MIB - (tree.address + tree.bytes.length) >= 32 * 1024);
  });

  it('starts an executable in M mode with the tree, and is the same each time', () => {
    const kernel = readGuestFile('bin/hello.elf');
    const config = machineConfig('elf', 2 * MIB);
    const plan = planBoot(config, {kernel});
    checkDisjoint(plan, config.ramBytes);
    assert.deepEqual(plan.registers.pc, 0x8000_0000n);
    assert.equal(plan.registers.a2, 0n);
    assert.deepEqual(planBoot(config, {kernel}), plan);
  });

  it('starts an ELF kernel behind firmware', () => {
    const elf = readGuestFile('bin/hello.elf').slice();
    // The same program, moved up by 2 MiB: entry point and the one segment's address.
    const view = new DataView(elf.buffer);
    view.setBigUint64(24, 0x8020_0000n, true);
    view.setBigUint64(64 + 24, 0x8020_0000n, true);
    const plan = planBoot(machineConfig('linux', 8 * MIB), {kernel: elf, firmware: images.firmware!});
    assert.ok(plan.writes.some(({address}) => address === 0x8020_0000));
    checkDisjoint(plan, 8 * MIB);
  });

  it('says how much RAM is needed, and that much is enough', () => {
    for (let ramBytes = 2 * MIB; ramBytes <= 8 * MIB; ramBytes += 2 * MIB) {
      const error = refused('badImage', () => planBoot(machineConfig('linux', ramBytes), images));
      const [, needed] = /--ram (\d+)M/.exec(error.hint!)!;
      checkDisjoint(planBoot(machineConfig('linux', Number(needed) * MIB), images), Number(needed) * MIB);
      refused('badImage', () => planBoot(machineConfig('linux', (Number(needed) - 2) * MIB), images));
    }
  });

  it('refuses what cannot be started', () => {
    const config = machineConfig('linux', 32 * MIB);
    const {kernel, firmware} = images as Required<BootImages>;
    refused('usage', () => planBoot(config, {kernel}));
    refused('usage', () => planBoot(machineConfig('elf', 32 * MIB), {kernel}));
    refused('badImage', () => planBoot(config, {kernel, firmware: new Uint8Array(0)}));
    refused('badImage', () => planBoot(config, {kernel, firmware: readGuestFile('bin/hello.elf')}));
    refused('badImage', () => planBoot(config, {kernel, firmware: new Uint8Array(3 * MIB)}));
    refused('badImage', () => planBoot(config, {kernel: new Uint8Array(0), firmware}));
    assert.match(
      refused('badImage', () => planBoot(config, {kernel: Uint8Array.of(0x1f, 0x8b, 8), firmware})).hint!,
      /gzip/,
    );
    const damaged = kernelImage();
    new DataView(damaged.buffer).setBigUint64(8, 2n ** 60n, true);
    refused('badImage', () => planBoot(config, {kernel: damaged, firmware}));
  });
});
