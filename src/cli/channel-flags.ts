// Flags that every command with a channel has: how fast a lost host is noticed, and the secret that both hosts share.

import * as Flags from '@oclif/core/flags';

export const CHANNEL_FLAGS = {
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
  'secret-file': Flags.string({
    description: 'secret that both hosts share, needed beyond the loopback (32 random bytes, mode 0600)',
    helpValue: 'FILE',
  }),
};

export function timingOf(flags: {heartbeat: number; takeover: number}): {heartbeatMs: number; takeoverMs: number} {
  return {heartbeatMs: flags.heartbeat, takeoverMs: Math.max(flags.takeover, 2 * flags.heartbeat)};
}
