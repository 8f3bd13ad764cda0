// The ELF reader: real executables against readelf's view of them, and everything that can be wrong with a file.

import {strict as assert} from 'node:assert';
import {parseElf} from '../../src/emulator/image/elf.ts';
import {FtvmError} from '../../src/errors.ts';
import {readGuestFile, readManifest} from '../support/fixture-guests.ts';

const RAM = {start: 0x8000_0000, end: 0x8400_0000};

type Load = {address: number; fileBytes: number; memoryBytes: number; offset?: number};

/** A small executable with these segments; the fields of its header may be overwritten. */
function makeElf(loads: Load[], entry = loads[0]?.address ?? 0): {bytes: Uint8Array; view: DataView} {
  const dataOffset = 64 + loads.length * 56;
  const bytes = new Uint8Array(dataOffset + loads.reduce((sum, load) => sum + load.fileBytes, 0));
  const view = new DataView(bytes.buffer);
  bytes.set([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1]);
  view.setUint16(16, 2, true);
  view.setUint16(18, 243, true);
  view.setUint32(20, 1, true);
  view.setBigUint64(24, BigInt(entry), true);
  view.setBigUint64(32, 64n, true);
  view.setUint16(52, 64, true);
  view.setUint16(54, 56, true);
  view.setUint16(56, loads.length, true);
  let offset = dataOffset;
  for (const [index, load] of loads.entries()) {
    const at = 64 + index * 56;
    view.setUint32(at, 1, true);
    view.setBigUint64(at + 8, BigInt(load.offset ?? offset), true);
    view.setBigUint64(at + 16, 0xffff_ffff_8000_0000n, true); // virtual: not to be used
    view.setBigUint64(at + 24, BigInt(load.address), true);
    view.setBigUint64(at + 32, BigInt(load.fileBytes), true);
    view.setBigUint64(at + 40, BigInt(load.memoryBytes), true);
    bytes.fill(index + 1, offset, offset + load.fileBytes);
    offset += load.fileBytes;
  }
  return {bytes, view};
}

function expectBad(bytes: Uint8Array, pattern: RegExp): void {
  assert.throws(
    () => parseElf(bytes, RAM),
    (error) => {
      assert.ok(error instanceof FtvmError && error.code === 'badImage', String(error));
      assert.match(error.message, pattern);
      return true;
    },
  );
}

describe('the ELF reader', () => {
  const CODE = {address: 0x8000_0000, fileBytes: 16, memoryBytes: 64};

  it('gives segments by physical address, with what is zero', () => {
    const {bytes} = makeElf([CODE, {address: 0x8000_1000, fileBytes: 4, memoryBytes: 4}], 0x8000_0002);
    const {entry, segments} = parseElf(bytes, RAM);
    assert.equal(entry, 0x8000_0002);
    assert.deepEqual(
      segments.map(({address, bytes, memoryBytes}) => [address, bytes.length, bytes[0], memoryBytes]),
      [
        [0x8000_0000, 16, 1, 64],
        [0x8000_1000, 4, 2, 4],
      ],
    );
  });

  for (const guest of readManifest().guests) {
    it(`reads ${guest.name}`, () => {
      const {entry, segments} = parseElf(readGuestFile(guest.file), RAM);
      assert.equal(entry, 0x8000_0000);
      assert.ok(segments.length > 0);
    });
  }

  it('names what is not an executable for this machine', () => {
    const patched = (patch: (view: DataView) => void): Uint8Array => {
      const {bytes, view} = makeElf([CODE]);
      patch(view);
      return bytes;
    };
    expectBad(new Uint8Array(0), /not an ELF/);
    expectBad(Buffer.from('#!/bin/sh\n'), /not an ELF/);
    expectBad(
      patched((view) => view.setUint8(4, 1)),
      /32-bit/,
    );
    expectBad(
      patched((view) => view.setUint8(5, 2)),
      /big-endian/,
    );
    expectBad(
      patched((view) => view.setUint16(18, 62, true)),
      /x86-64/,
    );
    expectBad(
      patched((view) => view.setUint16(18, 9999, true)),
      /machine 9999/,
    );
    expectBad(
      patched((view) => view.setUint16(16, 3, true)),
      /type 3/,
    );
    expectBad(
      patched((view) => view.setUint16(16, 1, true)),
      /type 1/,
    );
    expectBad(
      patched((view) => view.setUint16(56, 0, true)),
      /no program headers/,
    );
    expectBad(
      patched((view) => view.setUint16(54, 32, true)),
      /headers of 32 bytes/,
    );
    expectBad(
      patched((view) => view.setUint32(64, 2, true)),
      /no segments/,
    );
    expectBad(
      patched((view) => view.setBigUint64(24, 0x9000_0000n, true)),
      /entry point 0x90000000/,
    );
    expectBad(
      patched((view) => view.setBigUint64(24, 0x8000_0001n, true)),
      /entry point/,
    );
    expectBad(
      patched((view) => view.setBigUint64(32, 2n ** 63n, true)),
      /offset is 0x8000000000000000/,
    );
  });

  it('names segments that do not fit', () => {
    expectBad(makeElf([{...CODE, address: 0x10000}]).bytes, /segment 0x10000–0x10040 lies outside RAM/);
    expectBad(makeElf([{...CODE, address: RAM.end - 32}]).bytes, /outside RAM/);
    expectBad(makeElf([{...CODE, memoryBytes: 8}]).bytes, /larger in the file/);
    expectBad(makeElf([CODE, {...CODE, address: 0x8000_003f}]).bytes, /overlap at 0x8000003f/);
    expectBad(makeElf([{...CODE, offset: 1e9}]).bytes, /truncated/);
    assert.equal(parseElf(makeElf([CODE, {...CODE, address: 0x8000_0040}]).bytes, RAM).segments.length, 2);
  });

  it('never fails but by name: cut at every byte, and with every bit of the headers flipped', () => {
    const {bytes} = makeElf([CODE, {address: 0x8000_1000, fileBytes: 4, memoryBytes: 4}]);
    let refused = 0;
    const attempt = (candidate: Uint8Array): void => {
      try {
        parseElf(candidate, RAM);
      } catch (error) {
        assert.ok(error instanceof FtvmError && error.code === 'badImage', String(error));
        refused++;
      }
    };
    for (let length = 0; length < bytes.length; length++) attempt(bytes.slice(0, length));
    assert.equal(refused, bytes.length, 'every cut is noticed');
    refused = 0;
    for (let bit = 0; bit < (64 + 2 * 56) * 8; bit++) {
      const flipped = bytes.slice();
      flipped[bit >> 3]! ^= 1 << (bit & 7);
      attempt(flipped);
    }
    assert.ok(refused > 300, `${refused} flips were noticed`);
  });
});
