// ftvm switch set: what the lines of a running switch are like, from now on.

import * as Args from '@oclif/core/args';
import * as Flags from '@oclif/core/flags';
import {BaseCommand} from '../../cli/base-command.ts';
import {parseProbability} from '../../cli/size.ts';
import {FtvmError} from '../../errors.ts';

export default class SwitchSet extends BaseCommand {
  static override summary = 'Make lines of a running switch worse, or good again.';
  static override examples = [
    '<%= config.bin %> switch set /tmp/lan.sock.control --port 2 --cut',
    '<%= config.bin %> switch set /tmp/lan.sock.control --loss 0 --delay 0 --no-cut',
  ];
  static override args = {
    control: Args.string({description: "the switch's control socket", required: true}),
  };
  static override flags = {
    port: Flags.string({
      description:
        "a port's number (switch status), a --port of the switch without its qualities, or uplink; all otherwise",
      helpValue: 'PORT',
    }),
    loss: Flags.string({description: 'frames that get lost on their way out of the port, 0 to 1', helpValue: 'P'}),
    delay: Flags.integer({
      description: 'how late they arrive, in milliseconds',
      min: 0,
      max: 60_000,
      helpValue: 'MS',
    }),
    cut: Flags.boolean({description: 'nothing passes, either way', allowNo: true}),
  };

  async run(): Promise<object> {
    const {args, flags} = await this.parse(SwitchSet);
    const {port, delay, cut} = flags;
    if (flags.loss === undefined && delay === undefined && cut === undefined) {
      throw new FtvmError('usage', 'nothing to set', {hint: 'Say --loss, --delay, --cut or --no-cut.'});
    }
    const {setLine} = await import('../../replication/switch-control.ts');
    const done = await setLine(args.control, {
      port,
      change: {
        ...(flags.loss === undefined ? {} : {loss: parseProbability(flags.loss, '--loss')}),
        ...(delay === undefined ? {} : {delayMs: delay}),
        ...(cut === undefined ? {} : {cut}),
      },
    });
    this.log(done.ports.length === 0 ? 'set, for ports to come' : `set: port ${done.ports.join(', ')}`);
    return done;
  }
}
