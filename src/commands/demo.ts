// ftvm demo, which is `npm start`: what ftvm is for, shown and checked in half a minute. Only composes and reports.

import {join} from 'node:path';
import * as Flags from '@oclif/core/flags';
import {BaseCommand} from '../cli/base-command.ts';
import {runSteps} from '../cli/progress.ts';
import {FtvmError} from '../errors.ts';
import type {DemonstrationFacts} from '../replication/demonstration/demonstration.ts';

export default class Demo extends BaseCommand {
  static override summary = 'Show in half a minute that a guest survives the death of its host.';
  static override description =
    'Records a small built-in guest and replays it to the identical state; then records it with a hot backup, kills the recorder with ' +
    'SIGKILL, promotes the backup, and checks that no line of the guest was lost or contradicted. Needs no privileges and no ' +
    'network but loopback; everything happens in a temporary folder.';
  static override examples = [
    '<%= config.bin %> demo',
    '<%= config.bin %> demo --keep',
    '<%= config.bin %> demo --json',
  ];
  static override flags = {
    keep: Flags.boolean({description: 'keep the folder with the logs'}),
  };

  async run(): Promise<object> {
    const {flags} = await this.parse(Demo);
    const {Demonstration} = await import('../replication/demonstration/demonstration.ts');
    const {stopSignal} = this;
    const startMs = performance.now();
    const demonstration = await Demonstration.open({
      entryPoint: join(this.config.root, 'bin', 'run.js'),
      signal: stopSignal,
    });
    const {folder} = demonstration;
    let {keep} = flags;
    this.note('A guest is about to outlive its host.\n');
    try {
      await runSteps(demonstration.steps);
      const tookMs = Math.round(performance.now() - startMs);
      for (const line of this.#closing(demonstration.facts, tookMs)) this.log(line);
      if (keep) this.log(`The logs are in ${folder}`);
      return {verdict: 'carriedOn', ...demonstration.facts, tookMs, ...(keep ? {folder} : {})};
    } catch (error) {
      if (stopSignal.aborted) {
        this.note('interrupted');
        return {verdict: 'interrupted'};
      }
      keep = true;
      const message = error instanceof Error ? error.message : String(error);
      throw new FtvmError(error instanceof FtvmError ? error.code : 'internal', message, {
        hint: `The logs are kept in ${folder}: please report it as README.md says.`,
        details: {folder},
        cause: error,
      });
    } finally {
      await demonstration.close({keep});
    }
  }

  #closing(facts: DemonstrationFacts, tookMs: number): string[] {
    const {good, strong, faint} = this.palette;
    const {primary, backup, takeover, history, lines} = facts;
    const range = ({firstLine, lastLine}: {firstLine: number; lastLine: number}): string =>
      `lines ${String(firstLine).padStart(4)} to ${String(lastLine).padStart(4)}`;
    const repeated = backup.repeatedLines === 0 ? '' : `; ${backup.repeatedLines} of them shown again`;
    return [
      '',
      `  primary  ${faint(`pid ${primary.pid}`)}  ${range(primary)}  killed with SIGKILL`,
      `  backup   ${faint(`pid ${backup.pid}`)}  ${range(backup)}  took over in ${takeover.promotionMs} ms${repeated}`,
      `  log      ${history.records} records in ${history.logBytes} bytes are the whole machine over ${history.position} steps`,
      '',
      `${good('carried on')}: ${strong(`${lines} lines, none lost, none contradicted`)} ${faint(`(${(tookMs / 1000).toFixed(1)} s)`)}`,
      '',
      faint('By hand, in three terminals:'),
      faint('  ftvm record counter --listen 127.0.0.1:7000'),
      faint('  ftvm tail tcp://127.0.0.1:7000 --follow'),
      faint('  kill -9 the recorder, then: ftvm promote backup.ftlog'),
    ];
  }
}
