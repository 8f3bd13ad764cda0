// What another process has used so far, by the kernel's own account of it in /proc.

import {readFileSync} from 'node:fs';

/** Of /proc/PID/stat: user and system time, in clock ticks of 10 ms (USER_HZ is 100 on every Linux architecture in use). */
const UTIME_FIELD = 13;
const TICKS_PER_SECOND = 100;

export type Usage = {cpuS: number; peakRssBytes: number};

/** CPU seconds of all its threads, and its peak memory; NaN when it has just ended. */
export function usageOf(pid: number | string): Usage {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    // The command's name stands in parentheses and may hold spaces.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    const [user, system] = fields.slice(UTIME_FIELD - 2).map(Number);
    const peak = /^VmHWM:\s*(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'latin1'));
    return {cpuS: (user + system) / TICKS_PER_SECOND, peakRssBytes: Number(peak?.[1]) * 1024};
  } catch {
    return {cpuS: Number.NaN, peakRssBytes: Number.NaN};
  }
}

/** The first child of a process; undefined when there is none. */
export function childOf(pid: number): string | undefined {
  try {
    return readFileSync(`/proc/${pid}/task/${pid}/children`, 'latin1').split(' ')[0] || undefined;
  } catch {
    return undefined;
  }
}
