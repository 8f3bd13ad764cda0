// ftvm promote: makes a log go on, through the session that follows it, or from the file.

import * as Args from '@oclif/core/args';
import * as Flags from '@oclif/core/flags';
import {ARTEFACT_FLAGS, artefactPathsOf} from '../cli/artefact-flags.ts';
import {BaseCommand} from '../cli/base-command.ts';
import {CHANNEL_FLAGS, timingOf} from '../cli/channel-flags.ts';
import {exitCodeOf} from '../cli/guest-exit.ts';
import {LiveLine} from '../cli/live-line.ts';

export default class Promote extends BaseCommand {
  static override summary = 'Carry a log on: by the backup that follows it, or from the file of a recorder that died.';
  static override description =
    'A session that runs is asked through its control socket: a backup goes live at once when its primary is dead, and takes over ' +
    'without loss when it lives; a primary hands over to its backup. Where nobody answers, the log is replayed to its last whole ' +
    'frame and the guest goes on here, with this terminal as its console. Of several logs of one guest the longest is taken.';
  static override examples = [
    '<%= config.bin %> promote backup.ftlog',
    '<%= config.bin %> promote run.ftlog --dry-run',
  ];
  static override strict = false;
  static override args = {log: Args.string({required: true, description: "the backup's log, or the dead recorder's"})};
  static override flags = {
    'dry-run': Flags.boolean({description: 'say what would happen, and change nothing'}),
    listen: Flags.string({description: 'serve the log to followers', helpValue: 'HOST:PORT'}),
    net: Flags.string({
      description:
        "where the guest's network card is plugged in after going live, as for record (repeatable, in order)",
      multiple: true,
      default: [],
      helpValue: 'SPEC',
    }),
    'winner-died': Flags.string({
      description: 'who won the next generation and died before carrying the guest on: you vouch for it',
      helpValue: 'ID',
    }),
    output: Flags.string({
      char: 'o',
      description: 'where a new lineage goes, when the recorder may live on another host',
      helpValue: 'FILE',
    }),
    ...CHANNEL_FLAGS,
    ...ARTEFACT_FLAGS,
  };

  async run(): Promise<object> {
    const {argv, flags} = await this.parse(Promote);
    const {runPromotion} = await import('../replication/run-promotion.ts');
    const {nodeWorld} = await import('../replication/node-world.ts');
    const world = await nodeWorld({secretPath: flags['secret-file'], note: (text) => this.note(text)});
    const line = new LiveLine();
    const result = await runPromotion(world, {
      logPaths: argv as string[],
      dryRun: flags['dry-run'],
      listen: flags.listen,
      net: flags.net,
      timing: timingOf(flags),
      winnerDied: flags['winner-died'],
      output: flags.output,
      paths: artefactPathsOf(flags),
      onProgress: (position) => line.show(() => `replaying: ${position} steps`),
      onLive: (position) => {
        line.clear();
        this.note(`${this.palette.good('live')} from position ${position}`);
      },
      signal: this.stopSignal,
      note: (text) => {
        line.clear();
        this.note(text);
      },
    });
    line.clear();
    switch (result.kind) {
      case 'asked': {
        const {ok: _, ...facts} = result.reply;
        if (flags['dry-run']) {
          const ms = Math.round(Number(facts['estimatedMs']));
          this.log(
            `would be ${String(facts['role'])} at position ${String(facts['position'])} after ${String(facts['stepsToGo'])} steps, in about ${ms} ms`,
          );
          return facts;
        }
        const took = typeof facts['tookMs'] === 'number' ? ` in ${Math.round(facts['tookMs'])} ms` : '';
        this.log(`${String(facts['role'])} at position ${String(facts['position'])}${took}`);
        return facts;
      }
      case 'dryRun': {
        const {position, tornBytes, newLineage, replayMs} = result;
        const seconds = (replayMs / 1000).toFixed(1);
        this.log(
          `would carry on from position ${position} after ${seconds} s of replay, ${newLineage ? 'as a new lineage' : 'in the same log'}, cutting ${tornBytes} torn bytes`,
        );
        return {position, tornBytes, newLineage, replayMs};
      }
      case 'carriedOn': {
        const {from, live, logPath, newLineage} = result;
        if (live.end.kind === 'halted') this.exitWith(exitCodeOf(live.end.ending, (text) => this.note(text)));
        this.note(`carried on from position ${from} to ${live.position}: ${logPath}`);
        return {from, position: live.position, end: live.end.kind, log: logPath, newLineage};
      }
    }
  }
}
