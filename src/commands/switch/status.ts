// ftvm switch status: the ports of a running switch, and where it has seen which MAC.

import * as Args from '@oclif/core/args';
import {BaseCommand} from '../../cli/base-command.ts';
import type {PortStatus} from '../../replication/switch-control.ts';

export default class SwitchStatusCommand extends BaseCommand {
  static override summary = 'Show the ports of a running switch, what passed, and which MACs moved.';
  static override examples = [
    '<%= config.bin %> switch status /tmp/lan.sock.control',
    '<%= config.bin %> switch status /tmp/lan.sock.control --json',
  ];
  static override args = {
    control: Args.string({description: "the switch's control socket", required: true}),
  };

  async run(): Promise<object> {
    const {args} = await this.parse(SwitchStatusCommand);
    const {askSwitchStatus} = await import('../../replication/switch-control.ts');
    const status = await askSwitchStatus(args.control);
    for (const port of status.ports) this.log(describe(port));
    for (const {mac, port, moves} of status.macs) this.log(`${mac} at ${port}, moved ${moves} times`);
    return status;
  }
}

function describe({number, name, connected, received, sent, dropped, ...line}: PortStatus): string {
  const qualities = [
    ...(connected ? [] : ['unplugged']),
    ...(line.cut ? ['cut'] : []),
    ...(line.loss ? [`loss ${line.loss}`] : []),
    ...(line.delayMs ? [`delay ${line.delayMs} ms`] : []),
  ];
  const passed = `${received} frames in, ${sent} out, ${dropped} dropped`;
  return `port ${number} ${name}: ${[...qualities, passed].join(', ')}`;
}
