// ftvm resume: a paused guest goes on.

import * as Args from '@oclif/core/args';
import {BaseCommand} from '../cli/base-command.ts';

export default class Resume extends BaseCommand {
  static override summary = 'Let a paused guest go on.';
  static override description =
    'The guest learns how much time has passed: after up to a minute its time leaps forward, after more only its real-time clock moves, ' +
    'so that no watchdog barks. A guest that is not paused goes on as it does.';
  static override examples = ['<%= config.bin %> resume run.ftlog'];
  static override args = {log: Args.string({required: true, description: 'the log that the session writes'})};

  async run(): Promise<object> {
    const {args} = await this.parse(Resume);
    const {askSession} = await import('../replication/ask-session.ts');
    const {ok: _, ...facts} = await askSession(args.log, {command: 'resume'});
    this.log(`running from position ${String(facts['position'])}`);
    return facts;
  }
}
