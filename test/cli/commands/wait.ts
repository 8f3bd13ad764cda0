// Waits: until it is told to stop, and then ends in order; deaf (`--deaf`) until it is killed; or writing (`--flood`) until its
// reader is gone.

import {once} from 'node:events';
import {setTimeout as sleep} from 'node:timers/promises';
import * as Flags from '@oclif/core/flags';
import {BaseCommand} from '../../../src/cli/base-command.ts';

export default class Wait extends BaseCommand {
  static override flags = {deaf: Flags.boolean(), flood: Flags.boolean(), stubborn: Flags.boolean()};

  async run(): Promise<void> {
    const {flags} = await this.parse(Wait);
    if (flags.deaf) {
      process.stdout.write('ready\n');
      await sleep(20_000);
    }
    const signal = this.stopSignal;
    if (flags.flood) {
      while (!signal.aborted) if (!process.stdout.write('line\n'.repeat(1000))) await sleep(1);
    } else {
      process.stdout.write('ready\n');
      await once(signal, 'abort');
    }
    if (flags.stubborn) await sleep(20_000);
    this.note(`ended in order: ${signal.reason}`);
  }
}
