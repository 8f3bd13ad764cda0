// A machine's configuration for tests that need one and do not care for the rest of it.

import type {MachineConfig} from '../../src/emulator/config.ts';

export function machineConfig(boot: MachineConfig['boot'], ramBytes: number): MachineConfig {
  return {
    ramBytes,
    boot,
    commandLine: boot === 'linux' ? 'console=ttyS0' : '',
    epochNs: 0n,
    rngSeed: Uint8Array.from({length: 32}, (_, index) => index),
    stepsPerTick: 10,
    clock: 'virtual',
    disks: [],
    nics: [],
    entropy: false,
    reboot: true,
  };
}
