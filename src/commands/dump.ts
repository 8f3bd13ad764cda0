// ftvm dump: a log's records as text or JSON lines.

import * as Args from '@oclif/core/args';
import * as Flags from '@oclif/core/flags';
import {BaseCommand} from '../cli/base-command.ts';
import {EXIT_CODES} from '../errors.ts';

export default class Dump extends BaseCommand {
  static override summary = 'Print the records of a log.';
  static override description = 'One record a line: ordinal, position, what it says.';
  static override examples = ['<%= config.bin %> dump run.ftlog', '<%= config.bin %> dump run.ftlog --json | jq .kind'];
  static override args = {log: Args.string({required: true, description: 'the log'})};
  static override flags = {
    bytes: Flags.integer({
      description: 'how many bytes of a byte string are shown',
      min: 1,
      default: 64,
      helpValue: 'N',
    }),
  };

  async run(): Promise<object | undefined> {
    const {args, flags} = await this.parse(Dump);
    const {dumpLog} = await import('../session/dumping.ts');
    const {end, position, records} = await dumpLog(args.log, {
      json: this.jsonEnabled(),
      maxBytes: flags.bytes,
      write: (line) => this.stopSignal.aborted || process.stdout.write(`${line}\n`),
      aborted: () => this.stopSignal.aborted,
    });
    if (end.kind === 'torn') {
      this.note(
        `torn at byte ${end.offset} (${end.reason}, ${end.tailBytes} bytes after the last whole frame): ${records} records, position ${position}`,
      );
      this.exitWith(EXIT_CODES.torn);
    }
    return undefined;
  }

  // The lines are the data: there is no object after them.
  override logJson(): void {}
}
