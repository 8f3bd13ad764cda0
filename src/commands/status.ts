// ftvm status: what a running session says of itself.

import {setTimeout as sleep} from 'node:timers/promises';
import * as Args from '@oclif/core/args';
import * as Flags from '@oclif/core/flags';
import {BaseCommand} from '../cli/base-command.ts';
import type {FollowerStatus, SessionStatus} from '../replication/session-status.ts';

const INTERVAL_MS = 500;
/** Heartbeat datagrams come several times a second: none for so long is worth a word. */
const SILENCE_MS = 2000;

export default class Status extends BaseCommand {
  static override summary =
    'Show role, generation, position, lag and followers of the session that writes or follows a log.';
  static override examples = ['<%= config.bin %> status run.ftlog', '<%= config.bin %> status backup.ftlog --follow'];
  static override args = {
    log: Args.string({required: true, description: 'the log that the session writes or follows'}),
  };
  static override flags = {
    follow: Flags.boolean({char: 'F', description: 'go on, twice a second, until the session ends'}),
  };

  async run(): Promise<object | undefined> {
    const {args, flags} = await this.parse(Status);
    const {askStatus} = await import('../replication/session-status.ts');
    if (!flags.follow) {
      const status = await askStatus(args.log);
      this.log(describe(status).join('\n'));
      return status;
    }
    let shown = 0;
    const {stopSignal} = this;
    let last: {status: SessionStatus; ms: number} | undefined;
    while (!stopSignal.aborted) {
      const status = await askStatus(args.log);
      const ms = performance.now();
      const lines = [...describe(status), ...(last === undefined ? [] : rates(last, {status, ms}))];
      if (this.jsonEnabled()) process.stdout.write(`${JSON.stringify(status)}\n`);
      else if (process.stdout.isTTY)
        process.stdout.write(`${shown > 0 ? `\x1b[${shown}A\x1b[J` : ''}${lines.join('\n')}\n`);
      else process.stdout.write(`${lines.join('; ')}\n`);
      shown = lines.length;
      last = {status, ms};
      await sleep(INTERVAL_MS, undefined, {signal: stopSignal}).catch(() => {});
    }
    return undefined;
  }

  // Under --follow every state is an object of its own, written as it comes.
  override logJson(json: unknown): void {
    if (json !== undefined) super.logJson(json);
  }
}

function describe(status: SessionStatus): string[] {
  if (status.role === 'follower') {
    return [
      `${status.backup ? 'backup' : 'follower'}, generation ${status.generation}, primary ${status.primary}`,
      `position ${status.position}${status.paused ? ', paused' : ''}, ${status.digests} digests agreed`,
    ];
  }
  const {lastState} = status;
  return [
    `primary, generation ${status.generation}, ${status.standing}`,
    `position ${status.position}${status.paused ? ', paused' : ''}, ${status.writtenThrough} records, ${status.unreleasedOutputs} outputs not released`,
    ...status.followers.map(describeFollower),
    ...(lastState === undefined
      ? []
      : [
          `state sent to ${lastState.follower}: the guest stood still for ${lastState.pauseMs} ms (${lastState.pages} pages)`,
        ]),
  ];
}

function describeFollower({name, eligible, lagSteps, lagMs, datagramsSilentMs}: FollowerStatus): string {
  const silence =
    datagramsSilentMs === undefined
      ? ', no heartbeat datagrams'
      : datagramsSilentMs > SILENCE_MS
        ? `, no heartbeat datagrams for ${Math.round(datagramsSilentMs / 1000)} s`
        : '';
  return `${eligible ? 'backup' : 'follower'} ${name}: ${lagSteps} steps, ${lagMs} ms behind${silence}`;
}

/** Steps and log bytes per second between two looks, bytes by cause. */
function rates(before: {status: SessionStatus; ms: number}, now: {status: SessionStatus; ms: number}): string[] {
  const seconds = (now.ms - before.ms) / 1000;
  const steps = Number(BigInt(now.status.position) - BigInt(before.status.position)) / seconds / 1e6;
  const lines = [`${steps.toFixed(1)} million steps/s`];
  if (now.status.role !== 'primary' || before.status.role !== 'primary') return lines;
  const {bytesByCause: old} = before.status;
  const causes = Object.entries(now.status.bytesByCause)
    .map(([cause, bytes]) => ({cause, perSecond: (bytes - (old[cause] ?? 0)) / seconds}))
    .filter(({perSecond}) => perSecond > 0);
  const total = causes.reduce((sum, {perSecond}) => sum + perSecond, 0);
  lines.push(
    `log ${Math.round(total)} B/s${causes.map(({cause, perSecond}) => `, ${cause} ${Math.round(perSecond)}`).join('')}`,
  );
  return lines;
}
