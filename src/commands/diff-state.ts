// ftvm diff-state: where two states, or the runs of two logs, differ.

import * as Args from '@oclif/core/args';
import * as Flags from '@oclif/core/flags';
import {ARTEFACT_FLAGS, artefactPathsOf} from '../cli/artefact-flags.ts';
import {BaseCommand} from '../cli/base-command.ts';
import {LiveLine} from '../cli/live-line.ts';
import {parsePosition} from '../cli/size.ts';
import {EXIT_CODES, FtvmError} from '../errors.ts';
import type {LogSummary} from '../session/log-comparison.ts';
import type {LogDifference, LogDifferenceOptions} from '../session/log-difference.ts';
import type {StatesOptions} from '../session/state-difference.ts';
import type {StateOperand} from '../session/state-operand.ts';

const VERDICTS: Readonly<Record<Exclude<LogDifference['verdict'], 'different'>, string>> = {
  identical: 'the same inputs',
  prefix: 'the same inputs as far as both go',
  equivalent: 'other records, and the same states',
};

export default class DiffState extends BaseCommand {
  static override summary = 'Find where two states, or two runs, differ.';
  static override description =
    'A and B are state files (ftvm replay --save-state), logs, or logs with a position: run.ftlog@1204331. Two logs are followed to ' +
    'their first differing input and from there run in lockstep to the first step that does otherwise; everything else is brought ' +
    `to its position and compared there. Exits with ${EXIT_CODES.different} when there is a difference.`;
  static override examples = [
    '<%= config.bin %> diff-state one.ftlog other.ftlog',
    '<%= config.bin %> diff-state run.ftlog@1_000_000 run.ftlog@1_000_001',
    '<%= config.bin %> diff-state at.ftstate run.ftlog',
  ];
  static override args = {
    a: Args.string({required: true, description: 'state file, log, or log@position'}),
    b: Args.string({required: true, description: 'what it is compared with'}),
  };
  static override flags = {
    to: Flags.string({description: 'two logs: do not look further than this position', helpValue: 'POSITION'}),
    lines: Flags.integer({description: 'how many lines of each list are shown', min: 1, default: 16, helpValue: 'N'}),
    ...ARTEFACT_FLAGS,
  };

  readonly #line = new LiveLine();

  async run(): Promise<object> {
    const {args, flags} = await this.parse(DiffState);
    const {parseOperand} = await import('../session/state-operand.ts');
    const [a, b] = [await parseOperand(args.a), await parseOperand(args.b)];
    const options = {
      paths: artefactPathsOf(flags),
      onProgress: (what: string, position: bigint) => this.#line.show(() => `${what}: position ${position}`),
    };
    if (a.kind === 'log' && b.kind === 'log' && a.position === undefined && b.position === undefined) {
      const limit = flags.to === undefined ? undefined : parsePosition(flags.to, '--to');
      return this.#compareLogs({a: a.path, b: b.path, limit, ...options}, flags.lines);
    }
    if (flags.to !== undefined) {
      throw new FtvmError('usage', '--to limits the comparison of two logs', {
        hint: 'Name a position behind the log instead: LOG@POSITION.',
      });
    }
    return this.#compareStates({a, b}, {...options, maxLines: flags.lines});
  }

  async #compareLogs(options: LogDifferenceOptions, maxLines: number): Promise<object> {
    const {compareLogRuns} = await import('../session/log-difference.ts');
    const {logDifferenceLines} = await import('../session/difference-text.ts');
    const {logDifferenceToJson} = await import('../session/difference-json.ts');
    const found = await compareLogRuns(options);
    this.#line.clear();
    const {verdict, logs, comparedThrough, digestsChecked} = found;
    this.#noteTorn(logs.a.path, logs.a.end);
    this.#noteTorn(logs.b.path, logs.b.end);
    if (verdict === 'different') {
      this.exitWith(EXIT_CODES.different);
      this.log(`${this.palette.bad('different')}: A ${logs.a.path}, B ${logs.b.path}`);
    } else {
      this.log(
        `${this.palette.good(verdict)}: ${VERDICTS[verdict]}: ${logs.commonInputs} inputs, ${digestsChecked} digests, to position ${comparedThrough}`,
      );
    }
    if (verdict === 'prefix') for (const log of [logs.a, logs.b]) this.log(`  ${summaryLine(log)}`);
    if (verdict !== 'prefix') for (const line of logDifferenceLines(found, {maxLines})) this.log(line);
    return logDifferenceToJson(found);
  }

  async #compareStates(
    operands: {a: StateOperand; b: StateOperand},
    options: StatesOptions & {maxLines: number},
  ): Promise<object> {
    const {compareOperands} = await import('../session/state-difference.ts');
    const {codeLine, headerLines, stateLines} = await import('../session/difference-text.ts');
    const {statesDifferenceToJson} = await import('../session/difference-json.ts');
    const found = await compareOperands(operands, options);
    this.#line.clear();
    const {verdict, a, b, headers, difference} = found;
    for (const {name, logEnd} of [a, b]) if (logEnd !== undefined) this.#noteTorn(name, logEnd);
    if (verdict === 'identical') {
      this.log(`${this.palette.good('identical')} at position ${a.position}: ${codeLine(a.code)}`);
    } else {
      this.exitWith(EXIT_CODES.different);
      this.log(this.palette.bad('different'));
      for (const [side, state] of [['A', a] as const, ['B', b] as const])
        this.log(`${side} ${state.name}, position ${state.position}, ${codeLine(state.code)}`);
    }
    if (headers.length > 0) {
      this.log('the machines are not the same:');
      for (const line of headerLines(headers, options)) this.log(`  ${line}`);
    }
    if (verdict === 'different') for (const line of stateLines(difference, options)) this.log(line);
    return statesDifferenceToJson(found);
  }

  #noteTorn(path: string, end: LogSummary['end']): void {
    if (end.kind !== 'torn') return;
    this.note(
      `${path} is torn at byte ${end.offset} (${end.reason}, ${end.tailBytes} bytes after the last whole frame): compared up to there`,
    );
  }
}

function summaryLine({path, records, inputs, position}: LogSummary): string {
  return `${path}: ${records} records, ${inputs} inputs, to position ${position}`;
}
