// What a guest must learn of the time that passed while nobody ran it: after a takeover, and after a pause (DESIGN 3).

import type {Input} from '../emulator/input.ts';
import type {MachineInterface} from '../emulator/machine-interface.ts';
import type {HostClock} from '../host/monotonic-clock.ts';

/** A gap that mtime leaps over; after a longer one, at which watchdogs would bark, only the real-time clock moves. */
const LONGEST_LEAP_NS = 60_000_000_000n;
const NS_PER_TICK = 100n;

/** Where the guest's real-time clock stands: `epochNs` + `rtcOffsetNs` + mtime. */
export type GuestEpoch = {epochNs: bigint; rtcOffsetNs: bigint};

/** The inputs that bring the guest's clocks to the present. */
export function timeGap(machine: MachineInterface, {epochNs, rtcOffsetNs}: GuestEpoch, clock: HostClock): Input[] {
  const gapNs = clock.wallNs() - (epochNs + rtcOffsetNs + machine.mtime * NS_PER_TICK);
  if (gapNs <= 0n) return [];
  if (gapNs > LONGEST_LEAP_NS) return [{kind: 'rtc', offsetNs: rtcOffsetNs + gapNs}];
  const {stepsPerTick} = machine;
  return [{kind: 'clock', ticks: machine.mtime + gapNs / NS_PER_TICK, stepsPerTick}];
}
