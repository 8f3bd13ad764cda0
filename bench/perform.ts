// Runs ftvm in this process and takes the time. What records, follows or replays is what the commands call, with a console that a
// scenario watches; a run without a log differs from a recording by the journal and the gate alone.

import {randomBytes} from 'node:crypto';
import {statSync} from 'node:fs';
import {findGuest, type ResolvedGuest} from '../src/guests/manifest.ts';
import {HOST_CLOCK} from '../src/host/monotonic-clock.ts';
import {nodeWorld} from '../src/replication/node-world.ts';
import {runRecording} from '../src/replication/run-recording.ts';
import {runTail} from '../src/replication/run-tail.ts';
import {earlyMemory} from '../src/session/early-memory.ts';
import {HostedMachine} from '../src/session/hosted-machine.ts';
import {LiveSource} from '../src/session/live-source.ts';
import {replay} from '../src/session/replaying.ts';
import {Session} from '../src/session/session.ts';
import {Backup} from './backup.ts';
import {CountedWorld, WatchedConsole} from './counted-world.ts';
import type {GuestSpec, Job, Mark, Run} from './job.ts';
import {Scenario} from './scenario.ts';

/** As `ftvm record` guesses; a clock input corrects it. */
const STEPS_PER_TICK = 40;
/** A host so busy that one side is silent for the commands' second shall still be measured. */
const TIMING = {heartbeatMs: 100, takeoverMs: 15_000};
/** How often a backup's lag is looked at. */
const LAG_INTERVAL_MS = 20;

type Outcome = Pick<Run, 'marks' | 'console' | 'lagsMs' | 'joinPausesMs' | 'backup'>;
type Live = Extract<Job, {guest: GuestSpec}>;

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
  const {boot, images, commandLine, ramBytes, memory} = await resolve(guest);
  const machine = new HostedMachine(
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
    [],
    memory,
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
async function runProtected(job: Extract<Job, {mode: 'backup'}>): Promise<Outcome> {
  const backup = new Backup({logPath: `${job.logPath}.backup`, joinAfter: job.joinAfter});
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
  const disks = guest.disks ?? [];
  const resolved = await resolve(guest);
  const marks: Mark[] = [];
  const lagsMs: number[] = [];
  const joinPausesMs: number[] = [];
  const stop = new AbortController();
  const scenario = new Scenario(steps, ({name}) => {
    const used = {...clocks(), logBytes: statSync(logPath).size};
    const ofBackup = backup === undefined ? {} : {backupCpuS: backup.cpuS, channelBytes: counted.sentBytes};
    backup?.passed(name);
    void counted.status().then((status) => {
      marks.push({name, ...used, ...ofBackup, position: status!.position});
      if (backup !== undefined && scenario.finished && status!.standing !== 'protected') backup.fail(status!.standing);
    });
    if (scenario.finished && !guest.endsItself) stop.abort();
  });
  const counted = await CountedWorld.open(scenario);
  const sampler = setInterval(async () => {
    const lagMs = (await counted.status())?.followers.find(({eligible}) => eligible)?.lagMs;
    if (lagMs !== undefined) lagsMs.push(lagMs);
  }, LAG_INTERVAL_MS);
  if (backup === undefined) clearInterval(sampler);
  await runRecording(
    counted.world,
    {
      ...resolved,
      logPath,
      overwrite: true,
      clock: 'real',
      disks,
      reboot: false,
      arbiter: null,
      durable: disks.length > 0,
    },
    {
      listen: backup === undefined ? undefined : '127.0.0.1:0',
      net: [],
      timing: TIMING,
      signal: stop.signal,
      note(text) {
        const endpoint = /^listening on (\S+)$/.exec(text)?.[1];
        if (endpoint !== undefined) backup?.listening(endpoint);
        const pauseMs = /the guest stood still for (\d+) ms \(\d+ pages\)$/.exec(text)?.[1];
        if (pauseMs !== undefined) joinPausesMs.push(Number(pauseMs));
      },
    },
  );
  clearInterval(sampler);
  return {marks, console: scenario.tail, ...(backup === undefined ? {} : {lagsMs, joinPausesMs})};
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

async function resolve(spec: GuestSpec): Promise<ResolvedGuest & {memory: WebAssembly.Memory | undefined}> {
  const {image, append, initrdPath} = spec;
  const found = await findGuest(image, {append, initrdPath});
  const [guest, memory] = await Promise.all([found.read(), earlyMemory(found)]);
  return {...guest, memory};
}

function clocks(): {wallS: number; cpuS: number} {
  const {user, system} = process.cpuUsage();
  return {wallS: performance.now() / 1000, cpuS: (user + system) / 1e6};
}
