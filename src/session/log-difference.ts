// `diff-state` of two logs: what their records say differently, where the machines' states first differ, and the first instruction
// that does otherwise. What both logs have in common is run once, by one machine, against the digests of both; then there are two.

import type {Machine} from '../emulator/machine.ts';
import {type ArtefactPaths, type Artefacts, loadArtefacts} from './artefacts.ts';
import {StateDigest} from './digests.ts';
import {divergence, hex} from './divergence.ts';
import {FileFeed} from './file-feed.ts';
import {describeStep, type StepAccount, watchStep} from './guest-step.ts';
import {HostedMachine} from './hosted-machine.ts';
import {Lockstep, type Watch} from './lockstep.ts';
import {LockstepSide, type SharedPages} from './lockstep-side.ts';
import {compareLogs, type LogComparison, type LogSummary, type StatedDigest} from './log-comparison.ts';
import {RecordQueue} from './record-queue.ts';
import {compareStates, groupOf, isEmpty, type StateDifference} from './state-comparison.ts';
import {copyMachine} from './state-restore.ts';
import {viewOfMachine} from './state-view.ts';

/** The first difference of the states. */
export type FirstDifference = {
  position: bigint;
  /** `powerOn`: before the first step. `inputs`: by what the logs deliver at this position. `step`: by the step that ended here. */
  cause: 'powerOn' | 'inputs' | 'step';
  difference: StateDifference;
};

/** The first step whose effect on registers or memory differs. */
export type FirstStep = {
  /** Steps executed before it. */
  position: bigint;
  a: StepAccount;
  b: StepAccount;
  /** Of the states after it. */
  difference: StateDifference;
};

/** The first step that leads to different pcs; beyond PARTING_STEPS steps of search, one that leads apart for long. */
export type Parting = Pick<FirstStep, 'position' | 'a' | 'b'>;

export type LogDifference = {
  /** `identical`: the same inputs. `prefix`: one log goes further. `equivalent`: other records, and never another state. */
  verdict: 'identical' | 'prefix' | 'equivalent' | 'different';
  logs: LogComparison;
  /** The states were compared up to here. */
  comparedThrough: bigint;
  digestsChecked: number;
  state: FirstDifference | undefined;
  /** Undefined also when the registers differ already in `state`. */
  step: FirstStep | undefined;
  /** Undefined when none was found. */
  parting: Parting | undefined;
};

/** So far behind the first differing step no parting of the ways is passed over; beyond that it is searched for in chunks. */
const PARTING_STEPS = 200_000;

export type LogDifferenceOptions = {
  a: string;
  b: string;
  paths?: ArtefactPaths;
  /** Do not look further than this position. */
  limit?: bigint | undefined;
  onProgress?: (what: string, position: bigint) => void;
};

/** Throws FtvmError as reading and replaying do. */
export async function compareLogRuns(options: LogDifferenceOptions): Promise<LogDifference> {
  const logs = await compareLogs({a: options.a, b: options.b});
  const end = logs.a.position < logs.b.position ? logs.a.position : logs.b.position;
  const limit = options.limit !== undefined && options.limit < end ? options.limit : end;
  const run = new LogPair({logs, limit, options});
  try {
    return await run.compare();
  } finally {
    await run.close();
  }
}

class LogPair {
  readonly #logs: LogComparison;
  readonly #limit: bigint;
  readonly #options: LogDifferenceOptions;
  readonly #feeds: FileFeed[] = [];
  readonly #artefacts: Artefacts[] = [];
  #digestsChecked = 0;

  constructor(parts: {logs: LogComparison; limit: bigint; options: LogDifferenceOptions}) {
    this.#logs = parts.logs;
    this.#limit = parts.limit;
    this.#options = parts.options;
  }

  async close(): Promise<void> {
    for (const feed of this.#feeds) await feed.close();
    for (const {disks} of this.#artefacts) for (const disk of disks) disk.close();
  }

  async compare(): Promise<LogDifference> {
    const {headers, first} = this.#logs;
    const differAt = earliest(first.a?.record.position, first.b?.record.position);
    if (headers.length > 0) return this.#compareMachines();
    if (differAt !== undefined && differAt <= this.#limit) return this.#compareInputs(differAt);
    await this.#runCommon(this.#limit);
    const goesFurther = this.#logs.a.position !== this.#logs.b.position || differAt !== undefined;
    return this.#result({verdict: goesFurther ? 'prefix' : 'identical'});
  }

  /** Other configurations or other files: two machines from power-on. */
  async #compareMachines(): Promise<LogDifference> {
    const sides: LockstepSide[] = [];
    for (const log of [this.#logs.a, this.#logs.b]) {
      const artefacts = await this.#load(log);
      const machine = new HostedMachine(log.header.config, artefacts.images, artefacts.disks);
      sides.push(await this.#side(log, machine));
    }
    const [a, b] = sides;
    a.begin(a.capturePages());
    b.begin(b.capturePages());
    const atPowerOn = differenceOf(a, b);
    const state: FirstDifference | undefined = isEmpty(atPowerOn)
      ? undefined
      : {position: 0n, cause: 'powerOn', difference: atPowerOn};
    return this.#follow(this.#lockstep(a, b), state);
  }

  /** The same machine, other inputs from `position` on. */
  async #compareInputs(position: bigint): Promise<LogDifference> {
    const a = await this.#runCommon(position);
    const artefacts = this.#artefacts[0];
    const {header} = this.#logs.b;
    const b = await this.#side(this.#logs.b, copyMachine(a.machine, header.config, artefacts));
    await b.skipInputs(this.#logs.commonInputs);
    const pages: SharedPages = a.capturePages();
    a.begin(pages);
    b.begin(pages);
    return this.#follow(this.#lockstep(a, b), undefined);
  }

  /** One machine up to `position`, by the inputs that both logs have there; every digest of either log on the way is compared. */
  async #runCommon(position: bigint): Promise<LockstepSide> {
    const {a, b, commonInputs} = this.#logs;
    const artefacts = await this.#load(a);
    const side = await this.#side(a, new HostedMachine(a.header.config, artefacts.images, artefacts.disks));
    const digest = await StateDigest.create(side.machine);
    const stated = [...tagged(a), ...tagged(b)]
      .filter((each) => each.position <= position && each.inputsBefore <= commonInputs)
      .sort((left, right) => Number(left.position - right.position) || left.inputsBefore - right.inputsBefore);
    for (const each of stated) {
      await side.runTo(each.position, each.inputsBefore);
      await side.deliver(each.inputsBefore);
      this.#check(side.machine, each, digest.compute());
    }
    await side.runTo(position, commonInputs);
    await side.deliver(commonInputs);
    if (side.position < position) {
      throw divergence({
        position: side.position,
        what: `the guest of ${a.path}`,
        expected: `to run on to position ${position}`,
        actual: side.machine.ending === undefined ? 'a wait for an input that the log does not hold' : 'its end',
        recent: [],
      });
    }
    return side;
  }

  #check(machine: Machine, stated: StatedDigest & {path: string}, actual: Uint8Array): void {
    const expected = hex(stated.digest);
    this.#digestsChecked += 1;
    if (machine.position === stated.position && expected === hex(actual)) return;
    throw divergence({
      position: machine.position,
      what: `the digest in ${stated.path}`,
      expected,
      actual: hex(actual),
      recent: [],
    });
  }

  /** From two machines in step to the first differences. `state` is the difference that there is already. */
  async #follow(lockstep: Lockstep, powerOn: FirstDifference | undefined): Promise<LogDifference> {
    const {a, b} = lockstep;
    let state = powerOn;
    await lockstep.deliver();
    if (state === undefined && lockstep.differs(EVERYTHING))
      state = {position: a.position, cause: 'inputs', difference: differenceOf(a, b)};
    if (state === undefined) {
      const found = await lockstep.search(EVERYTHING, this.#limit);
      if (!found) return this.#result({verdict: 'equivalent'});
      // One step on: is it the step, or what the logs deliver behind it?
      await lockstep.step();
      const byStep = lockstep.differs(EVERYTHING);
      if (!byStep) await lockstep.deliver();
      state = {position: later(a, b), cause: byStep ? 'step' : 'inputs', difference: differenceOf(a, b)};
      if (byStep) lockstep.restore();
    }
    const step = await this.#firstStep(lockstep, state);
    const parting = step === undefined ? undefined : await this.#parting(lockstep, step);
    return this.#result({verdict: 'different', state, step, parting});
  }

  /** The first step that differs in what programs see; what differs already in memory is not counted. */
  async #firstStep(lockstep: Lockstep, state: FirstDifference): Promise<FirstStep | undefined> {
    const {a, b} = lockstep;
    const ignoredPages = new Set<string>();
    if (state.cause !== 'step') {
      // Once the harts differ, no step is the first to differ.
      if (state.difference.entries.some(({name}) => isOfProgram(name))) return undefined;
      for (const {name, ranges} of state.difference.memories)
        for (const {firstPage, pageCount} of ranges)
          for (let n = 0; n < pageCount; n += 1) ignoredPages.add(`${name}:${firstPage + n}`);
    }
    const watch: Watch = {entries: isOfProgram, ignoredPages};
    if (!(await lockstep.search(watch, this.#limit))) return undefined;
    return {...(await accountOfStep(lockstep)), difference: differenceOf(a, b)};
  }

  /** The step itself when it leads apart, or one of the next. */
  async #parting(lockstep: Lockstep, step: FirstStep): Promise<Parting | undefined> {
    if (step.a.pcAfter !== step.b.pcAfter || step.a.step !== step.b.step) return step;
    await lockstep.deliver();
    const isFound = await lockstep.searchParting(PARTING_STEPS, this.#limit);
    if (!isFound && !(await lockstep.search(ONLY_PC, this.#limit))) return undefined;
    return accountOfStep(lockstep);
  }

  #lockstep(a: LockstepSide, b: LockstepSide): Lockstep {
    return new Lockstep({a, b, onProgress: (position) => this.#options.onProgress?.('in lockstep', position)});
  }

  async #load(log: LogSummary): Promise<Artefacts> {
    const {paths = {}} = this.#options;
    const artefacts = await loadArtefacts(log.header, {logPath: log.path, paths});
    this.#artefacts.push(artefacts);
    return artefacts;
  }

  async #side(log: LogSummary, machine: Machine): Promise<LockstepSide> {
    const feed = await FileFeed.open(log.path);
    this.#feeds.push(feed);
    const onProgress = (position: bigint): void => this.#options.onProgress?.('replaying', position);
    return new LockstepSide({machine, path: log.path, queue: new RecordQueue(feed), onProgress});
  }

  #result(
    found: Pick<LogDifference, 'verdict'> & Partial<Pick<LogDifference, 'state' | 'step' | 'parting'>>,
  ): LogDifference {
    return {
      state: undefined,
      step: undefined,
      parting: undefined,
      ...found,
      logs: this.#logs,
      comparedThrough: this.#limit,
      digestsChecked: this.#digestsChecked,
    };
  }
}

const ONLY_PC: Watch = {entries: (name) => name === 'pc', ignoredPages: 'all'};
const EVERYTHING: Watch = {entries: () => true, ignoredPages: new Set()};

/** Registers and CSRs, but for the interrupt lines: those are the devices' doing and no step's. */
function isOfProgram(name: string): boolean {
  const group = groupOf(name);
  return (group === 'registers' || group === 'csrs') && name !== 'lines';
}

async function accountOfStep(lockstep: Lockstep): Promise<Parting> {
  const {a, b} = lockstep;
  const position = later(a, b);
  const [beforeA, beforeB] = [watchStep(a.machine), watchStep(b.machine)];
  await lockstep.step();
  return {position, a: describeStep(beforeA, a.machine), b: describeStep(beforeB, b.machine)};
}

function differenceOf(a: LockstepSide, b: LockstepSide): StateDifference {
  return compareStates(viewOfMachine(a.machine), viewOfMachine(b.machine));
}

function tagged(log: LogSummary): (StatedDigest & {path: string})[] {
  return log.digests.map((digest) => ({...digest, path: log.path}));
}

function earliest(a: bigint | undefined, b: bigint | undefined): bigint | undefined {
  if (a === undefined || b === undefined) return a ?? b;
  return a < b ? a : b;
}

function later(a: LockstepSide, b: LockstepSide): bigint {
  return a.position > b.position ? a.position : b.position;
}
