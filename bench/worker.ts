// One measured run of ftvm in a process of its own: `node bench/worker.ts JOB`, JOB as JSON. It composes the session's classes as
// the commands do, so that a run without a log differs from a recording by the journal and the gate alone. It prints a Run as JSON.

import {randomBytes} from 'node:crypto';
import {statSync, writeSync} from 'node:fs';
import {resolveGuest} from '../src/guests/manifest.ts';
import type {Console} from '../src/host/console.ts';
import {HOST_CLOCK} from '../src/host/monotonic-clock.ts';
import {LiveSource} from '../src/session/live-source.ts';
import {NO_FOLLOWERS} from '../src/session/primary.ts';
import {startRecording} from '../src/session/recording.ts';
import {replay} from '../src/session/replaying.ts';
import {Session} from '../src/session/session.ts';
import {machineClass} from './engines.ts';
import type {GuestSpec, Job, Mark, Run, Step} from './job.ts';
import {Scenario} from './scenario.ts';

/** As `ftvm record` guesses; a clock input corrects it. */
const STEPS_PER_TICK = 20;

const marks: Mark[] = [];

type Outcome = {console: string};

function perform(work: Job): Promise<Outcome> {
  switch (work.mode) {
    case 'plain':
      return runPlain(work.guest, work.steps);
    case 'record':
      return runRecording(work.guest, work.steps, work.logPath);
    case 'replay':
      return runReplay(work.logPath, work.marks);
  }
}

/** The guest by itself: live inputs, outputs shown at once, no journal, no digest. */
async function runPlain(guest: GuestSpec, steps: readonly Step[]): Promise<Outcome> {
  const {boot, images, commandLine, ramBytes} = await resolveGuest(guest.image, {append: guest.append});
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
  const console = new WatchedConsole(steps, () => mark(machine.position));
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
  console.onFinished = () => guest.endsItself || source.finish('stopped');
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
  return {console: console.tail};
}

async function runRecording(guest: GuestSpec, steps: readonly Step[], logPath: string): Promise<Outcome> {
  const resolved = await resolveGuest(guest.image, {append: guest.append});
  const console = new WatchedConsole(steps, () => ({
    ...mark(primary.machine.position),
    logBytes: statSync(logPath).size,
  }));
  const primary = await startRecording({
    ...resolved,
    logPath,
    overwrite: true,
    clock: 'real',
    disks: [],
    nics: [],
    reboot: false,
    console,
    followers: NO_FOLLOWERS,
    durable: false,
    lineageId: new Uint8Array(randomBytes(16)),
    arbiter: null,
  });
  console.onFinished = () => guest.endsItself || primary.source.finish('stopped');
  await primary.run();
  return {console: console.tail};
}

async function runReplay(logPath: string, wanted: readonly {name: string; position: string}[]): Promise<Outcome> {
  const left = wanted.map(({name, position}) => ({name, position: BigInt(position)}));
  await replay({
    logPaths: [logPath],
    onProgress(position) {
      while (left.length > 0 && position >= left[0].position) marks.push({name: left.shift()!.name, ...mark(position)});
    },
  });
  return {console: ''};
}

function mark(position: bigint): Omit<Mark, 'name'> {
  const {user, system} = process.cpuUsage();
  return {wallS: performance.now() / 1000, cpuS: (user + system) / 1e6, position: String(position)};
}

/** A console that a scenario watches, and at which nobody types. */
class WatchedConsole implements Console {
  readonly #scenario: Scenario;
  onFinished: () => void = () => {};
  readonly pendingBytes = 0;
  readonly backlogBytes = 0;
  /** Somebody might still type: an idle guest is not stuck. */
  readonly ended = false;

  constructor(steps: readonly Step[], look: () => Omit<Mark, 'name'>) {
    this.#scenario = new Scenario(steps, (step) => {
      marks.push({name: step.name, ...look()});
      if (this.#scenario.finished) this.onFinished();
    });
  }

  get tail(): string {
    return this.#scenario.tail;
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

const job = JSON.parse(process.argv[2]) as Job;
const outcome = await perform(job);
const {userCPUTime, systemCPUTime, maxRSS} = process.resourceUsage();
const run: Run = {
  marks,
  wallS: performance.now() / 1000,
  cpuS: (userCPUTime + systemCPUTime) / 1e6,
  peakRssBytes: maxRSS * 1024,
  console: outcome.console,
};
writeSync(1, JSON.stringify(run));
process.exit(0);
