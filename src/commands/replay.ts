// ftvm replay: runs a log again and compares everything that it states.

import * as Args from '@oclif/core/args';
import * as Flags from '@oclif/core/flags';
import {ARTEFACT_FLAGS, artefactPathsOf} from '../cli/artefact-flags.ts';
import {BaseCommand} from '../cli/base-command.ts';
import {LiveLine} from '../cli/live-line.ts';
import {parsePosition} from '../cli/size.ts';
import {EXIT_CODES} from '../errors.ts';

export default class Replay extends BaseCommand {
  static override summary = 'Run a log again and compare every output and state digest.';
  static override examples = [
    '<%= config.bin %> replay run.ftlog',
    '<%= config.bin %> replay run.ftlog --to 1_000_000 --save-state at.ftstate',
  ];
  static override strict = false;
  static override args = {
    log: Args.string({required: true, description: 'the log; several, in order, when a history has parts'}),
  };
  static override flags = {
    to: Flags.string({description: 'stop at this position', helpValue: 'POSITION'}),
    console: Flags.boolean({description: "print the guest's console"}),
    'save-state': Flags.string({description: "write the machine's state at the end", helpValue: 'FILE'}),
    digests: Flags.boolean({description: 'print every digest that was compared'}),
    ...ARTEFACT_FLAGS,
  };

  async run(): Promise<object> {
    const {argv, flags} = await this.parse(Replay);
    const {replay, saveState} = await import('../session/replaying.ts');
    const limit = flags.to === undefined ? undefined : parsePosition(flags.to, '--to');
    const line = new LiveLine();
    const result = await replay({
      logPaths: argv as string[],
      paths: artefactPathsOf(flags),
      limit,
      signal: this.stopSignal,
      ...(flags.console && !this.jsonEnabled()
        ? {onOutput: (output) => output.kind === 'console' && process.stdout.write(output.bytes)}
        : {}),
      ...(flags.console ? {} : {onProgress: (position) => line.show(() => `replaying: ${position} steps`)}),
      ...(flags.digests
        ? {onDigest: (position, digest) => this.log(`${position} ${Buffer.from(digest).toString('hex')}`)}
        : {}),
    });
    line.clear();
    if (flags['save-state'] !== undefined) await saveState(result, flags['save-state']);
    const {verified, machine, logEnd, end} = result;
    const counts = `${verified.records} records, ${verified.digests} digests over ${machine.position} steps`;
    const facts = {...verified, position: machine.position, ...(end.kind === 'halted' ? {ending: end.ending} : {})};
    if (this.stopSignal.aborted) return {verdict: 'stopped', ...facts};
    const report = (text: string): void => (flags.console ? this.note(text) : this.log(text));
    if (logEnd?.kind === 'torn') {
      const {offset, tailBytes, reason} = logEnd;
      report(`${this.palette.warning('torn')} at byte ${offset}: identical up to there: ${counts}`);
      this.note(
        `hint: the recorder died here (${reason}, ${tailBytes} bytes after the last whole frame); ftvm promote ${String(argv.at(-1))} carries it on`,
      );
      this.exitWith(EXIT_CODES.torn);
      return {verdict: 'torn', ...facts, offset, tailBytes, reason};
    }
    report(`${this.palette.good('identical')}: ${counts}`);
    return {verdict: 'identical', ...facts};
  }
}
