// Runs ftvm in this process and takes the time. What records, follows or replays is what the commands call, with a console that a
// scenario watches; a run without a log differs from a recording by the journal and the gate alone.

import {randomBytes} from 'node:crypto';
import {statSync} from 'node:fs';
import {resolveGuest} from '../src/guests/manifest.ts';
import type {Console} from '../src/host/console.ts';
import {HOST_CLOCK} from '../src/host/monotonic-clock.ts';
import {nodeWorld} from '../src/replication/node-world.ts';
import {runRecording} from '../src/replication/run-recording.ts';
import {runTail} from '../src/replication/run-tail.ts';
import type {SessionStatus} from '../src/replication/session-status.ts';
import type {World} from '../src/replication/world.ts';
import {LiveSource} from '../src/session/live-source.ts';
import {replay} from '../src/session/replaying.ts';
import {Session} from '../src/session/session.ts';
import {Backup} from './backup.ts';
import {machineClass} from './engines.ts';
import type {GuestSpec, Job, Mark, Run} from './job.ts';
import {Scenario} from './scenario.ts';

/** As `ftvm record` guesses; a clock input corrects it. */
const STEPS_PER_TICK = 20;
/** Those of the commands, where no flag is given. */
const TIMING = {heartbeatMs: 100, takeoverMs: 1000};
/** How often a backup's lag is looked at. */
const LAG_INTERVAL_MS = 20;

type Outcome = Pick<Run, 'marks' | 'console' | 'lagsMs' | 'backup'>;
type Live = Extract<Job, {guest: GuestSpec}>;
type PrimaryStatus = Extract<SessionStatus, {role: 'primary'}>;

export async function perform(job: Job): Promise<Run> {
  const outcome = await outcomeOf(job);
  const {userCPUTime, systemCPUTime, maxRSS} = process.resourceUsage();
  return {
    ...outcome,
    wallS: performance.now() / 1000,
    cpuS: (userCPUTime + systemCPUTime) / 1e6,
    peakRssBytes: maxRSS * 1024,
  };
}

function outcomeOf(job: Job): Promise<Outcome> {
  switch (job.mode) {
    case 'plain':
      return runPlain(job);
    case 'record':
      return runRecord(job, undefined);
    case 'backup':
      return runProtected(job);
    case 'follow':
      return follow(job);
    case 'replay':
      return runReplay(job);
  }
}

/** The guest by itself: live inputs, outputs shown at once, no journal, no digest. */
async function runPlain({guest, steps}: Live): Promise<Outcome> {
  const {boot, images, commandLine, ramBytes} = await resolve(guest);
  const HostMachine = await machineClass();
  const machine = new HostMachine(
    {
      ramBytes,
      boot,
      commandLine,
      epochNs: HOST_CLOCK.wallNs(),
      rngSeed: new Uint8Array(randomBytes(32)),
      stepsPerTick: STEPS_PER_TICK,
      clock: 'real',
      disks: [],
      nics: [],
      entropy: true,
      reboot: false,
    },
    images,
  );
  const marks: Mark[] = [];
  const scenario = new Scenario(steps, ({name}) => {
    marks.push({name, ...clocks(), position: String(machine.position)});
    if (scenario.finished && !guest.endsItself) source.finish('stopped');
  });
  const console = new WatchedConsole(scenario);
  const source = new LiveSource({
    clock: HOST_CLOCK,
    console,
    nics: [],
    entropy: (lengthBytes) => new Uint8Array(randomBytes(lengthBytes)),
    clockMode: 'real',
    outputDueNs: () => undefined,
    durable: undefined,
    slowdownMs: () => 0,
  });
  await new Session({
    machine,
    source,
    journal: {append: () => {}, room: async () => {}},
    gate: {
      hold(outputs) {
        for (const output of outputs) if (output.kind === 'console') console.write(output.bytes);
      },
      update() {},
    },
  }).run();
  return {marks, console: scenario.tail};
}

/** `ftvm record --listen`, and the backup that attaches as soon as it can. */
async function runProtected(job: Live & {logPath: string}): Promise<Outcome> {
  const backup = new Backup(`${job.logPath}.backup`);
  try {
    const outcome = await runRecord(job, backup);
    return {...outcome, backup: await backup.run()};
  } finally {
    backup.kill();
  }
}

/** `ftvm record`. */
async function runRecord(job: Live & {logPath: string}, backup?: Backup): Promise<Outcome> {
  const {guest, steps, logPath} = job;
  const resolved = await resolve(guest);
  const marks: Mark[] = [];
  const lagsMs: number[] = [];
  const scenario = new Scenario(steps, ({name}) => {
    const used = {...clocks(), logBytes: statSync(logPath).size, ...backup?.usage()};
    void status().then((session) => marks.push({name, ...used, position: session!.position}));
    if (scenario.finished && !guest.endsItself) stop.abort();
  });
  const {world, status} = watched(await nodeWorld({secretPath: undefined, note: () => {}}), scenario);
  const stop = new AbortController();
  const sampler = setInterval(async () => {
    const lagMs = (await status())?.followers.find(({eligible}) => eligible)?.lagMs;
    if (lagMs !== undefined) lagsMs.push(lagMs);
  }, LAG_INTERVAL_MS);
  if (backup === undefined) clearInterval(sampler);
  await runRecording(
    world,
    {...resolved, logPath, overwrite: true, clock: 'real', disks: [], reboot: false, arbiter: null, durable: false},
    {
      listen: backup === undefined ? undefined : '127.0.0.1:0',
      net: [],
      timing: TIMING,
      signal: stop.signal,
      note(text) {
        const endpoint = /^listening on (\S+)$/.exec(text)?.[1];
        if (endpoint !== undefined) backup?.attach(endpoint);
      },
    },
  );
  clearInterval(sampler);
  return {marks, console: scenario.tail, ...(backup === undefined ? {} : {lagsMs})};
}

/** `ftvm tail`. */
async function follow({endpoint, logPath}: Extract<Job, {mode: 'follow'}>): Promise<Outcome> {
  const {outcome, ended} = await runTail(await nodeWorld({secretPath: undefined, note: () => {}}), {
    sources: [`tcp://${endpoint}`],
    follow: true,
    autoPromote: false,
    fromStart: false,
    timing: TIMING,
    logPath,
    overwrite: true,
    eligible: true,
    listen: undefined,
    net: [],
    paths: {},
    onOutput: undefined,
    onProgress: () => {},
    onDigest: () => {},
    signal: new AbortController().signal,
    note: () => {},
  });
  if (outcome !== 'followed') throw new Error(`the backup was ${outcome}; the log ended: ${ended}`);
  return {marks: [], console: ''};
}

async function runReplay({logPath, marks: wanted}: Extract<Job, {mode: 'replay'}>): Promise<Outcome> {
  const marks: Mark[] = [];
  const left = wanted.map(({name, position}) => ({name, position: BigInt(position)}));
  await replay({
    logPaths: [logPath],
    onProgress(position) {
      while (left.length > 0 && position >= left[0].position)
        marks.push({name: left.shift()!.name, ...clocks(), position: String(position)});
    },
  });
  return {marks, console: ''};
}

function resolve({image, append, initrdPath}: GuestSpec): ReturnType<typeof resolveGuest> {
  return resolveGuest(image, {append, initrdPath});
}

function clocks(): {wallS: number; cpuS: number} {
  const {user, system} = process.cpuUsage();
  return {wallS: performance.now() / 1000, cpuS: (user + system) / 1e6};
}

/** A world whose console is the scenario's, and whose session, once it is there, can be asked for its status from here. */
function watched(world: World, scenario: Scenario): {world: World; status(): Promise<PrimaryStatus | undefined>} {
  let ask: Parameters<World['control']>[1] | undefined;
  return {
    world: {
      ...world,
      openConsole: () => new WatchedConsole(scenario),
      control(path, handle) {
        ask = handle;
        return world.control(path, handle);
      },
    },
    async status() {
      const reply = await ask?.({command: 'status'});
      return reply?.ok === true ? (reply as unknown as PrimaryStatus) : undefined;
    },
  };
}

/** A console that a scenario watches, and at which nobody types. */
class WatchedConsole implements Console {
  readonly #scenario: Scenario;
  readonly pendingBytes = 0;
  readonly backlogBytes = 0;
  /** Somebody might still type: an idle guest is not stuck. */
  readonly ended = false;

  constructor(scenario: Scenario) {
    this.#scenario = scenario;
  }

  take(): Uint8Array {
    return new Uint8Array(0);
  }

  write(bytes: Uint8Array): void {
    this.#scenario.show(Buffer.from(bytes).toString('latin1'));
  }

  onInput(): void {}

  close(): void {}
}
