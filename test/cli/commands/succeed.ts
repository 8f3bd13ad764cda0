// Succeeds: with data, with a guest's exit code, and with a handle that it forgot to close.

import * as Flags from '@oclif/core/flags';
import {BaseCommand} from '../../../src/cli/base-command.ts';

export default class Succeed extends BaseCommand {
  static override flags = {code: Flags.integer({default: 0})};

  async run(): Promise<object> {
    const {flags} = await this.parse(Succeed);
    setInterval(() => {}, 10_000);
    this.log('for people');
    this.note('a note');
    this.exitWith(flags.code);
    return {position: 7n, digest: new Uint8Array([0, 255]), missing: undefined};
  }
}
