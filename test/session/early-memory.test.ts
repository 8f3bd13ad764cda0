// Memory that was made ready before there was a machine is as good as the machine's own, wherever the images come to lie in it.

import assert from 'node:assert/strict';
import {writeFileSync} from 'node:fs';
import {RAM_LIMIT_BYTES, wasmPages} from '../../src/emulator/layout.ts';
import {resolveGuest} from '../../src/guests/manifest.ts';
import {StateDigest} from '../../src/session/digests.ts';
import {earlyMemory} from '../../src/session/early-memory.ts';
import {HostedMachine} from '../../src/session/hosted-machine.ts';
import {TemporaryFolder} from '../support/ftvm.ts';

const MIB = 2 ** 20;

describe('early memory', () => {
  const folder = new TemporaryFolder();
  after(() => folder[Symbol.dispose]());
  const file = (name: string, lengthBytes: number): string => {
    writeFileSync(folder.join(name), new Uint8Array(lengthBytes).fill(1));
    return folder.join(name);
  };

  it('is zeros, of the size that a machine asks for', async () => {
    const paths = {kernel: file('kernel', 5 * MIB), initrd: file('initrd', 3 * MIB)};
    const memory = await earlyMemory({ramBytes: 32 * MIB, paths});
    assert.ok(memory !== undefined);
    assert.equal(memory.buffer.byteLength, wasmPages(32 * MIB) * 0x10000);
    assert.ok(Buffer.from(memory.buffer).every((byte) => byte === 0));
  });

  it('is left to the machine where it cannot be, or would not hold the images', async () => {
    const paths = {kernel: file('kernel', 5 * MIB)};
    assert.equal(await earlyMemory({ramBytes: 4 * MIB, paths}), undefined);
    assert.equal(await earlyMemory({ramBytes: RAM_LIMIT_BYTES + 2 * MIB, paths}), undefined);
    assert.notEqual(await earlyMemory({ramBytes: 4 * MIB, paths: {kernel: folder.join('nowhere')}}), undefined);
  });

  it('makes no difference to the guest', async () => {
    const {boot, images, paths, ramBytes} = await resolveGuest('hello');
    const digestIn = async (memory: WebAssembly.Memory | undefined): Promise<string> => {
      const config = {
        ...{ramBytes, boot, commandLine: '', epochNs: 0n, rngSeed: new Uint8Array(32), stepsPerTick: 1, reboot: false},
        ...{clock: 'virtual' as const, disks: [], nics: [], entropy: false},
      };
      const machine = new HostedMachine(config, images, [], memory);
      machine.runUntil(1000n);
      return Buffer.from((await StateDigest.create(machine)).compute()).toString('hex');
    };
    assert.equal(await digestIn(await earlyMemory({ramBytes, paths})), await digestIn(undefined));
  });
});
