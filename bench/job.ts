// What a measured process is asked to do, and what it says of itself afterwards. The same for ftvm and QEMU, so that whatever
// compares them need not know which is which.

/** How ftvm runs the guest: without a log, recording one, recording with a backup attached, or replaying. */
export type FtvmMode = 'plain' | 'record' | 'backup' | 'replay';
/** How QEMU runs it: plain TCG, counting instructions, or its own record and replay. */
export type QemuMode = 'tcg' | 'icount' | 'rrRecord' | 'rrReplay';

/** A line of a scenario. Each leaves a mark with its name. */
export type Step =
  /** Waits for a text on the console, behind what was waited for before. */
  | {name: string; waitFor: string}
  /** Lets time pass. */
  | {name: string; sleepMs: number};

export type GuestSpec = {
  /** A guest's name or a path, as `ftvm record` takes it. */
  image: string;
  /** Added to the kernel's command line. */
  append?: string;
  /** In place of the guest's own. */
  initrdPath?: string;
  /** Base images of disks. */
  disks?: readonly string[];
  /** Whether the guest ends by itself after the last step, and is to be waited for. */
  endsItself: boolean;
};

/** What executes instructions. */
export type Engine = 'interpreter' | 'translator';

export type Job =
  | {mode: 'plain'; guest: GuestSpec; steps: readonly Step[]}
  | {mode: 'record'; guest: GuestSpec; steps: readonly Step[]; logPath: string}
  /** Recorded with a backup attached, which is a process of its own on this host. `joinAfter`: the step after which it comes, in place
   *  of at once. */
  | {mode: 'backup'; guest: GuestSpec; steps: readonly Step[]; logPath: string; joinAfter?: string}
  /** That process: follows HOST:PORT, and ends with its primary. */
  | {mode: 'follow'; endpoint: string; logPath: string}
  /** `marks`: positions at which a mark is wanted, by name. */
  | {mode: 'replay'; logPath: string; marks: readonly {name: string; position: string}[]};

/** Clocks of the process when a step was done. Seconds since the process started; CPU seconds of the whole process. */
export type Mark = {
  name: string;
  wallS: number;
  cpuS: number;
  /** Decimal. Where the machine stood; ftvm only. */
  position?: string;
  /** Size of the log; recording only. */
  logBytes?: number;
  /** What the backup has used, and what was sent to it; `backup` only. */
  backupCpuS?: number;
  channelBytes?: number;
  /** Resident memory at its highest so far; QEMU only. */
  peakRssBytes?: number;
};

export type Run = {
  marks: readonly Mark[];
  /** The process at its end. */
  wallS: number;
  cpuS: number;
  peakRssBytes?: number;
  /** How far the backup was behind, once it had joined, at even intervals; `backup` only. */
  lagsMs?: readonly number[];
  /** How long the guest stood still while the backup took the last of its state, where it came late; `backup` only. */
  joinPausesMs?: readonly number[];
  /** The backup's own run; `backup` only. */
  backup?: Run;
  console: string;
};

/** Seconds between two marks; the process's start and end are called `start` and `end`. */
export function between(run: Run, from: string, to: string): {wallS: number; cpuS: number} {
  const [a, b] = [markOf(run, from), markOf(run, to)];
  return {wallS: b.wallS - a.wallS, cpuS: b.cpuS - a.cpuS};
}

/** Steps between two marks; undefined where they were not counted. */
export function stepsBetween(run: Run, from: string, to: string): number | undefined {
  const [a, b] = [markOf(run, from).position, markOf(run, to).position];
  return a === undefined || b === undefined ? undefined : Number(BigInt(b) - BigInt(a));
}

export function markOf(run: Run, name: string): Mark {
  if (name === 'start') return {name, wallS: 0, cpuS: 0};
  if (name === 'end') return {name, wallS: run.wallS, cpuS: run.cpuS};
  const mark = run.marks.find((candidate) => candidate.name === name);
  if (mark === undefined) throw new Error(`no mark ${name}; the console ends with:\n${run.console.slice(-1500)}`);
  return mark;
}
