// How fast a lost host is noticed: flags that every command with a channel has.

import {Flags} from '@oclif/core';

export const TIMING_FLAGS = {
  heartbeat: Flags.integer({
    description: 'how often each side is heard at least, in milliseconds',
    default: 100,
    min: 10,
    max: 60_000,
    helpValue: 'MS',
  }),
  takeover: Flags.integer({
    description: 'silence after which the other side is taken for dead, in milliseconds',
    default: 1000,
    min: 50,
    max: 600_000,
    helpValue: 'MS',
  }),
};

export function timingOf(flags: {heartbeat: number; takeover: number}): {heartbeatMs: number; takeoverMs: number} {
  return {heartbeatMs: flags.heartbeat, takeoverMs: Math.max(flags.takeover, 2 * flags.heartbeat)};
}
