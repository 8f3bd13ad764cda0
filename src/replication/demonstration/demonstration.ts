// The demonstration: record, replay, follow, kill, promote, and proof that nothing was lost. Every ftvm in it is a process of its
// own that a user could have started by hand, and every claim is checked here, from what came out of those processes.

import {mkdtemp, rm, stat} from 'node:fs/promises';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {setTimeout as sleep} from 'node:timers/promises';
import {FtvmError} from '../../errors.ts';
import {withFileErrors} from '../../host/file-error.ts';
import {checkTranscript, joinTranscripts, lastLine} from './counter-transcript.ts';
import {FtvmChild} from './ftvm-child.ts';

/** One step for the progress display; the steps run in order, each once. Resolves to what came of it. */
export type DemonstrationStep = {title: string; run(report: (text: string) => void): Promise<string>};

export type Replayed = {records: number; digests: number; position: string; logBytes: number};

/** What was shown, for the closing table and for `--json`. */
export type DemonstrationFacts = {
  first: Replayed & {pid: number; lines: number};
  primary: {pid: number; firstLine: number; lastLine: number};
  backup: {pid: number; firstLine: number; lastLine: number; repeatedLines: number};
  /** From the request to the guest's going on; and from SIGKILL to the next thing that the guest printed. */
  takeover: {promotionMs: number; silenceMs: number; position: string};
  lines: number;
  history: Replayed;
};

const GUEST = 'counter';
const LINES_PER_SECOND = 100;
const FIRST_RUN_MS = 2000;
/** The kill comes at a moment that nobody has chosen. */
const RUN_BEFORE_KILL_MS = {least: 2500, most: 4500};
const RUN_AFTER_TAKEOVER_MS = 3000;
const GREETING = 'hello, here is the outside world';
const CONDOLENCE = 'the host is dead, long live the guest';

export class Demonstration {
  readonly folder: string;
  readonly #signal: AbortSignal;
  readonly #entryPoint: string;
  readonly #facts: Partial<DemonstrationFacts> = {};
  readonly #children: FtvmChild[] = [];
  #primary: FtvmChild | undefined;
  #backup: FtvmChild | undefined;
  #killedMs = 0;

  private constructor(folder: string, options: {entryPoint: string; signal: AbortSignal}) {
    this.folder = folder;
    this.#entryPoint = options.entryPoint;
    this.#signal = options.signal;
  }

  /** Makes a folder for the logs. `entryPoint` is bin/run.js. Whoever opens it must `close` it. */
  static async open(options: {entryPoint: string; signal: AbortSignal}): Promise<Demonstration> {
    const prefix = join(tmpdir(), 'ftvm-demo-');
    const folder = await withFileErrors({doing: 'make a folder in', path: tmpdir()}, () => mkdtemp(prefix));
    return new Demonstration(folder, options);
  }

  get steps(): DemonstrationStep[] {
    const steps: DemonstrationStep[] = [
      {title: 'Record a guest', run: (report) => this.#recordFirst(report)},
      {title: 'Replay it', run: () => this.#replayFirst()},
      {title: 'Start a primary', run: (report) => this.#startPrimary(report)},
      {title: 'Start a hot backup', run: (report) => this.#startBackup(report)},
      {title: 'Kill the primary', run: (report) => this.#killPrimary(report)},
      {title: 'Promote the backup', run: () => this.#promote()},
      {title: 'Let the guest go on', run: (report) => this.#goOn(report)},
      {title: 'Check every line', run: async () => this.#checkLines()},
      {title: 'Replay the whole history', run: () => this.#replayHistory()},
    ];
    return steps.map(({title, run}) => ({
      title,
      run: async (report) => {
        const result = await run(report);
        for (const child of this.#children) child.onStdout = () => {};
        return result;
      },
    }));
  }

  /** What the steps have shown, once all of them have run. */
  get facts(): DemonstrationFacts {
    const {first, primary, backup, takeover, lines, history} = this.#facts as DemonstrationFacts;
    return {first, primary, backup, takeover, lines, history};
  }

  /** Ends whatever still runs, and removes the folder unless it shall stay. */
  async close(options: {keep: boolean}): Promise<void> {
    for (const child of this.#children) child.kill();
    if (!options.keep) await rm(this.folder, {recursive: true, force: true, maxRetries: 3});
  }

  async #recordFirst(report: (text: string) => void): Promise<string> {
    const child = this.#start(['record', GUEST, '-o', 'first.ftlog']);
    this.#reportLines(child, report);
    await this.#setPace(child);
    await this.#wait(FIRST_RUN_MS / 2);
    child.type(`say ${GREETING}\n`);
    await this.#wait(FIRST_RUN_MS / 2);
    child.type('stop\n');
    await child.succeeded();
    const {lines, fault} = checkTranscript(child.stdout);
    claim(fault === undefined, `the guest's first lines do not follow from each other: ${fault}`);
    claim(textOf(child.stdout).includes(`you said: ${GREETING}\n`), 'the guest did not hear what was typed');
    const logBytes = await this.#logBytes('first.ftlog');
    this.#facts.first = {pid: child.pid, lines, logBytes, records: 0, digests: 0, position: '0'};
    return `${lines} lines, a log of ${logBytes} bytes, pid ${child.pid}`;
  }

  async #replayFirst(): Promise<string> {
    const [recorded] = this.#children;
    const replayed = await this.#replay('first.ftlog', recorded.stdout);
    Object.assign(this.facts.first, replayed);
    return `identical: ${countsOf(replayed)}`;
  }

  async #startPrimary(report: (text: string) => void): Promise<string> {
    const child = this.#start(['record', GUEST, '-o', 'primary.ftlog', '--listen', '127.0.0.1:0']);
    this.#primary = child;
    this.#reportLines(child, report);
    await this.#setPace(child);
    return `pid ${child.pid}, listening on ${this.#address(child)}`;
  }

  async #startBackup(report: (text: string) => void): Promise<string> {
    const primary = this.#primary as FtvmChild;
    const child = this.#start(['tail', `tcp://${this.#address(primary)}`, '--follow', '-o', 'backup.ftlog']);
    this.#backup = child;
    this.#reportLines(primary, report);
    await primary.until('a backup has joined', () => {
      child.mustRun();
      return /^backup joined: /m.exec(primary.stderr) ?? undefined;
    });
    return `pid ${child.pid}, joined at line ${checkTranscript(primary.stdout).lines}`;
  }

  async #killPrimary(report: (text: string) => void): Promise<string> {
    const primary = this.#primary as FtvmChild;
    this.#reportLines(primary, report);
    const {least, most} = RUN_BEFORE_KILL_MS;
    await this.#wait(least + Math.random() * (most - least));
    primary.mustRun();
    this.#killedMs = performance.now();
    primary.kill();
    await primary.ended();
    const {lines, fault} = checkTranscript(primary.stdout);
    claim(fault === undefined, `the primary's lines do not follow from each other: ${fault}`);
    this.#facts.primary = {pid: primary.pid, firstLine: 1, lastLine: lines};
    return `SIGKILL after line ${lines}`;
  }

  async #promote(): Promise<string> {
    const backup = this.#backup as FtvmChild;
    await backup.until('it has missed its primary', () => /^primary lost: /m.exec(backup.stderr) ?? undefined);
    const child = this.#start(['promote', 'backup.ftlog', '--json']);
    await child.succeeded();
    const {role, position, tookMs} = jsonOf(child);
    claim(role === 'primary', `the promoted backup says that it is ${String(role)}`);
    const goneOn = (): number | undefined => (backup.stdout.length > 0 ? performance.now() : undefined);
    const silenceMs = Math.round((await backup.until('the guest goes on', goneOn)) - this.#killedMs);
    const promotionMs = Math.round(Number(tookMs));
    this.#facts.takeover = {promotionMs, silenceMs, position: String(position)};
    return `live in ${promotionMs} ms; the next line ${silenceMs} ms after the kill`;
  }

  async #goOn(report: (text: string) => void): Promise<string> {
    const backup = this.#backup as FtvmChild;
    this.#reportLines(backup, report);
    await this.#wait(RUN_AFTER_TAKEOVER_MS);
    backup.type(`say ${CONDOLENCE}\n`);
    await backup.until('the guest answers', () => textOf(backup.stdout).includes(CONDOLENCE) || undefined);
    backup.type('stop\n');
    await backup.succeeded();
    const said = /^told to stop after (\d+) lines$/m.exec(textOf(backup.stdout));
    claim(said !== null, 'the guest did not say how many lines it has printed');
    this.#facts.lines = Number(said[1]);
    return `it hears and answers; stopped after line ${said[1]}`;
  }

  #checkLines(): string {
    const [primary, backup] = [this.#primary as FtvmChild, this.#backup as FtvmChild];
    const {lines, fault, repeatedLines} = joinTranscripts(primary.stdout, backup.stdout);
    claim(fault === undefined, `a line was lost or contradicted by the takeover: ${fault}`);
    claim(lines === this.facts.lines, `the guest printed ${this.facts.lines} lines, ${lines} of them were seen`);
    const firstLine = Number(/^line (\d+) /m.exec(textOf(backup.stdout))?.[1] ?? Number.NaN);
    this.#facts.backup = {pid: backup.pid, firstLine, lastLine: lines, repeatedLines};
    return `${lines} lines: none lost, none contradicted`;
  }

  async #replayHistory(): Promise<string> {
    const [primary, backup] = [this.#primary as FtvmChild, this.#backup as FtvmChild];
    const {transcript} = joinTranscripts(primary.stdout, backup.stdout);
    const replayed = await this.#replay('backup.ftlog', transcript);
    this.#facts.history = replayed;
    return `identical: ${countsOf(replayed)}`;
  }

  /** Replays a log in a process of its own: the states must be the recorded ones, and the console what was shown. */
  async #replay(log: string, shown: Uint8Array): Promise<Replayed> {
    const verdict = this.#start(['replay', log, '--json']);
    await verdict.succeeded();
    const facts = jsonOf(verdict);
    claim(facts['verdict'] === 'identical', `the replay of ${log} says ${String(facts['verdict'])}`);
    const console = this.#start(['replay', log, '--console']);
    await console.succeeded();
    claim(Buffer.compare(console.stdout, shown) === 0, `the replay of ${log} prints another transcript than was shown`);
    const {records, digests, position} = facts;
    const logBytes = await this.#logBytes(log);
    return {records: Number(records), digests: Number(digests), position: String(position), logBytes};
  }

  async #setPace(child: FtvmChild): Promise<void> {
    await child.until('its first line', () => lastLine(child.stdout));
    child.type(`rate ${LINES_PER_SECOND}\n`);
  }

  /** Where a primary listens, as it said on stderr. */
  #address(child: FtvmChild): string {
    const match = /^listening on (\S+)$/m.exec(child.stderr);
    claim(match !== null, `${child.commandLine} does not say where it listens`);
    return match[1];
  }

  #start(argv: readonly string[]): FtvmChild {
    this.#signal.throwIfAborted();
    const child = new FtvmChild(argv, {entryPoint: this.#entryPoint, cwd: this.folder, signal: this.#signal});
    this.#children.push(child);
    return child;
  }

  #reportLines(child: FtvmChild, report: (text: string) => void): void {
    child.onStdout = (stdout) => report(lastLine(stdout) ?? '');
  }

  async #logBytes(log: string): Promise<number> {
    return (await stat(join(this.folder, log))).size;
  }

  async #wait(durationMs: number): Promise<void> {
    await sleep(durationMs, undefined, {signal: this.#signal});
  }
}

/** Throws FtvmError `internal`: what the demonstration claims must hold on every host. */
function claim(condition: boolean, otherwise: string): asserts condition {
  if (!condition) throw new FtvmError('internal', `the demonstration failed: ${otherwise}`);
}

function textOf(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('latin1');
}

function jsonOf(child: FtvmChild): Record<string, unknown> {
  return JSON.parse(textOf(child.stdout)) as Record<string, unknown>;
}

function countsOf({records, digests, position}: Replayed): string {
  return `${records} records, ${digests} ${digests === 1 ? 'digest' : 'digests'} over ${position} steps`;
}
