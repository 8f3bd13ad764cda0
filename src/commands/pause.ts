// ftvm pause: the guest stands still until it is resumed, on whichever host.

import * as Args from '@oclif/core/args';
import * as Flags from '@oclif/core/flags';
import {BaseCommand} from '../cli/base-command.ts';

export default class Pause extends BaseCommand {
  static override summary = 'Let a running guest stand still until it is resumed.';
  static override description =
    'The pause is a record of the log: nobody takes the guest for dead, and whoever takes over finds it paused. Console keys, packets and ' +
    'followers wait or go on as ever; the guest notices nothing but the time.';
  static override examples = ['<%= config.bin %> pause run.ftlog', '<%= config.bin %> pause run.ftlog --quiesce'];
  static override args = {log: Args.string({required: true, description: 'the log that the session writes'})};
  static override flags = {
    quiesce: Flags.boolean({
      description: 'return when nothing is in flight: disks answered, outputs gone, the log on the disks of both hosts',
    }),
  };

  async run(): Promise<object> {
    const {args, flags} = await this.parse(Pause);
    const {askSession} = await import('../replication/ask-session.ts');
    const {ok: _, ...facts} = await askSession(args.log, {command: 'pause', quiesce: flags.quiesce});
    const text = facts['paused'] === true ? (flags.quiesce ? 'quiesced' : 'paused') : 'resumed again';
    this.log(`${text} at position ${String(facts['position'])}`);
    return facts;
  }
}
