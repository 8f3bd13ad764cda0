// The machines that the differential tests run: QEMU, the oracle, and ours. A test gets both by looping over `runners`.

import {runFtvm} from '../support/ftvm-machine.ts';
import {type GuestResult, type GuestRun, qemuMissing, runQemu} from '../support/qemu.ts';

export interface GuestRunner {
  readonly name: string;
  /** Why this machine cannot run here, or undefined. */
  missing(): string | undefined;
  run(run: GuestRun): Promise<GuestResult>;
}

export const oracle: GuestRunner = {name: 'QEMU', missing: qemuMissing, run: runQemu};
export const ours: GuestRunner = {name: 'ftvm', missing: () => undefined, run: runFtvm};

export const runners: GuestRunner[] = [oracle, ours];
