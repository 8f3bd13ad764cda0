// Fails in the way that its argument names, as commands of ftvm may.

import {readFileSync} from 'node:fs';
import {connect} from 'node:net';
import * as Args from '@oclif/core/args';
import {BaseCommand} from '../../../src/cli/base-command.ts';
import {assert, FtvmError} from '../../../src/errors.ts';

const WAYS: Readonly<Record<string, () => unknown>> = {
  divergence: () => {
    throw new FtvmError('divergence', 'the replay diverged at position 12', {
      hint: 'see diff-state',
      details: {position: 12n, expected: new Uint8Array([0xab, 0x01])},
    });
  },
  bug: () => assert(false, 'one is two'),
  type: () => (undefined as unknown as {field: number}).field,
  file: () => readFileSync('/no/such/file'),
  network: () => new Promise((_resolve, reject) => connect(1, '127.0.0.1').on('error', reject)),
  never: () => new Promise(() => {}),
  rejection: () => {
    void Promise.reject(new Error('nobody awaited'));
    return new Promise((resolve) => setTimeout(resolve, 10_000));
  },
};

export default class Fail extends BaseCommand {
  static override args = {way: Args.string({description: 'how to fail', required: true, options: Object.keys(WAYS)})};

  async run(): Promise<void> {
    const {args} = await this.parse(Fail);
    await WAYS[args.way]?.();
  }
}
