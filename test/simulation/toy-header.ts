// The header of a toy guest's log; its lineage comes from the seed.

import {createHash} from 'node:crypto';
import {FORMAT_VERSION} from '../../src/logformat/limits.ts';
import type {LogHeader} from '../../src/logformat/record.ts';

const DISK_BYTES = 4096;

export function toyHeader(seed: number): LogHeader {
  return {
    formatVersion: FORMAT_VERSION,
    machineVersion: 1,
    ftvmVersion: '0.1.0',
    config: {
      ramBytes: 2 ** 21,
      boot: 'elf',
      commandLine: '',
      epochNs: 1_767_225_600_000_000_000n,
      rngSeed: new Uint8Array(32),
      stepsPerTick: 100,
      clock: 'real',
      disks: [{sizeBytes: DISK_BYTES}],
      nics: [],
      entropy: true,
      reboot: false,
    },
    artefacts: [],
    disks: [{sha256: new Uint8Array(32), sizeBytes: DISK_BYTES, pathHint: 'toy.img'}],
    lineageId: new Uint8Array(createHash('sha256').update(String(seed)).digest().subarray(0, 16)),
    arbiter: 'dir:/simulated',
    host: {hostname: 'simulated', bootId: 'x', pid: 1},
    controlSocket: null,
  };
}
