// Our machine as the tests' runner: the bare Machine under virtual time, without session and log. Input is typed when the
// console shows what it waits for, and disk requests complete at the next boundary, so that a run is the same every time.

import {Machine} from '../../src/emulator/machine.ts';
import type {GuestResult, GuestRun} from './qemu.ts';

const SLICE_STEPS = 1_000_000n;
/** A guest that has not ended by then is stuck; with a time limit in seconds too. */
const POSITION_LIMIT = 20_000_000_000n;

export async function runFtvm(run: GuestRun): Promise<GuestResult> {
  const {machine} = makeMachine(run);
  const deadlineMs = performance.now() + (run.timeoutMs ?? 20_000);
  const steps = [...(run.input ?? [])];
  const chunks: Uint8Array[] = [];
  let seen = '';
  while (machine.position < POSITION_LIMIT && performance.now() < deadlineMs) {
    const stop = machine.runUntil(machine.position + SLICE_STEPS);
    for (const output of machine.takeOutputs()) {
      if (output.kind !== 'console') continue;
      chunks.push(output.bytes);
      seen += Buffer.from(output.bytes).toString('latin1');
    }
    if (stop.kind === 'halted') {
      const exitCode = stop.ending.kind === 'poweroff' ? stop.ending.code : undefined;
      return {console: new Uint8Array(Buffer.concat(chunks)), exitCode};
    }
    const delivered = type() || completeDisks();
    if (stop.kind === 'idle' && stop.deadlineTicks === undefined && !delivered) break;
  }
  return {console: new Uint8Array(Buffer.concat(chunks)), exitCode: undefined};

  function type(): boolean {
    const step = steps[0];
    if (step === undefined || !seen.includes(step.after)) return false;
    seen = seen.slice(seen.indexOf(step.after) + step.after.length);
    steps.shift();
    machine.deliver({
      kind: 'console',
      bytes: typeof step.send === 'string' ? Buffer.from(step.send, 'latin1') : step.send,
    });
    return true;
  }

  function completeDisks(): boolean {
    let delivered = false;
    machine.pendingRequests().disks.forEach((requests, disk) => {
      if (requests.length === 0) return;
      machine.deliver({kind: 'disk', disk, count: requests.length, status: 'ok'});
      delivered = true;
    });
    return delivered;
  }
}

/** A bare-metal machine with the guest in it; its disk, if any, is empty. */
export function makeMachine(run: GuestRun): {machine: Machine} {
  const disks = run.diskBytes === undefined ? [] : [{sizeBytes: run.diskBytes}];
  const machine = new Machine(
    {
      ramBytes: (run.ramMebibytes ?? 128) * 2 ** 20,
      boot: 'elf',
      commandLine: '',
      epochNs: 0n,
      rngSeed: new Uint8Array(32),
      stepsPerTick: 10,
      clock: 'virtual',
      disks,
      nics: [],
      entropy: false,
      reboot: false,
    },
    {kernel: run.kernel},
    disks.map(({sizeBytes}) => ({sizeBytes, read: (_offset: number, into: Uint8Array) => void into.fill(0)})),
  );
  return {machine};
}
