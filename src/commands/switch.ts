// ftvm switch: an Ethernet for guests, which outlives the hosts that they run on.

import * as Flags from '@oclif/core/flags';
import {BaseCommand} from '../cli/base-command.ts';
import {parseProbability} from '../cli/size.ts';

export default class Switch extends BaseCommand {
  static override summary = 'Connect guests to each other, and to the outside.';
  static override description =
    'A learning switch: guests plug in with --net stream:unix:PATH or stream:tcp:HOST:PORT, as QEMU does with -netdev stream. It must ' +
    'outlive the hosts of a fault-tolerant pair. switch set makes its lines bad, for tests; switch status shows what has passed.';
  static override examples = [
    '<%= config.bin %> switch --port unix:/tmp/lan.sock',
    '<%= config.bin %> switch --port unix:/tmp/lan.sock --uplink passt --forward 127.0.0.1:6379:10.0.2.15:6379',
  ];
  static override flags = {
    port: Flags.string({
      description:
        'where guests plug in: unix:PATH or tcp:HOST:PORT, any number at each; ,loss=P ,delay=MS ,cut may follow (repeatable)',
      multiple: true,
      required: true,
      helpValue: 'SPEC',
    }),
    uplink: Flags.option({options: ['passt'] as const})({
      description: "passt: out through this host's own sockets, without privileges",
    }),
    forward: Flags.string({
      description: "a TCP port of this host that leads to one of the guest's: HOST:PORT:GUEST:PORT (repeatable)",
      multiple: true,
      default: [],
      helpValue: 'SPEC',
    }),
    loss: Flags.string({
      description: 'for tests: frames to guests that get lost, 0 to 1',
      default: '0',
      helpValue: 'P',
    }),
    delay: Flags.integer({
      description: 'for tests: how late frames reach guests, in milliseconds',
      default: 0,
      min: 0,
      max: 60_000,
      helpValue: 'MS',
    }),
    control: Flags.string({
      description: "where switch set and switch status reach it; PATH.control beside the first port's socket otherwise",
      helpValue: 'PATH',
    }),
    seed: Flags.integer({description: 'for tests: decides which frames get lost', default: 1, helpValue: 'N'}),
    'secret-file': Flags.string({
      description: 'secret that the hosts share, needed for tcp beyond the loopback (32 random bytes, mode 0600)',
      helpValue: 'FILE',
    }),
  };

  async run(): Promise<object> {
    const {flags} = await this.parse(Switch);
    const {runSwitch} = await import('../replication/run-switch.ts');
    return await runSwitch({
      ports: flags.port,
      uplink: flags.uplink,
      forwards: flags.forward,
      line: {loss: parseProbability(flags.loss, '--loss'), delayMs: flags.delay, cut: false},
      seed: flags.seed,
      controlPath: flags.control,
      secretPath: flags['secret-file'],
      signal: this.stopSignal,
      note: (text) => this.note(text),
    });
  }
}
