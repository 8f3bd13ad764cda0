// ftvm tail: follows a log while it is written, compares, and stands by to carry it on.

import * as Args from '@oclif/core/args';
import * as Flags from '@oclif/core/flags';
import {ARTEFACT_FLAGS, artefactPathsOf} from '../cli/artefact-flags.ts';
import {BaseCommand} from '../cli/base-command.ts';
import {CHANNEL_FLAGS, timingOf} from '../cli/channel-flags.ts';
import {exitCodeOf} from '../cli/guest-exit.ts';
import {LiveLine} from '../cli/live-line.ts';
import {EXIT_CODES} from '../errors.ts';

export default class Tail extends BaseCommand {
  static override summary = 'Follow a log that is being written, and stand by to carry the guest on.';
  static override description =
    'SOURCE is a log file, or the address of a recorder that was started with --listen. Every state digest is compared. When the ' +
    'recorder dies, "ftvm promote" on the log makes this process go live; when it hands over, it does so by itself.';
  static override examples = [
    '<%= config.bin %> tail run.ftlog --follow',
    '<%= config.bin %> tail tcp://127.0.0.1:7000 --follow -o backup.ftlog',
  ];
  static override strict = false;
  static override args = {
    source: Args.string({
      required: true,
      description: 'a log file, or tcp://HOST:PORT; several, where the next primary may be found',
    }),
  };
  static override flags = {
    follow: Flags.boolean({
      char: 'F',
      description: 'go on when the log ends, and wait for a promotion when the recorder is lost',
    }),
    output: Flags.string({
      char: 'o',
      description: "this follower's own log",
      default: 'backup.ftlog',
      helpValue: 'FILE',
    }),
    force: Flags.boolean({char: 'f', description: 'replace an existing log'}),
    observer: Flags.boolean({description: 'only look on: acknowledgements of this follower gate no outputs'}),
    'auto-promote': Flags.boolean({
      description: 'go live by itself when the primary is lost and the arbiter allows it',
    }),
    'from-start': Flags.boolean({description: "replay from power-on instead of taking the primary's state"}),
    listen: Flags.string({description: 'after going live, serve the log to followers', helpValue: 'HOST:PORT'}),
    net: Flags.string({
      description:
        "where the guest's network card is plugged in after going live, as for record (repeatable, in order)",
      multiple: true,
      default: [],
      helpValue: 'SPEC',
    }),
    console: Flags.boolean({description: "print the guest's console"}),
    digests: Flags.boolean({description: 'print every digest that was compared'}),
    ...CHANNEL_FLAGS,
    ...ARTEFACT_FLAGS,
  };

  async run(): Promise<object> {
    const {argv, flags} = await this.parse(Tail);
    const sources = argv as string[];
    const {runTail} = await import('../replication/run-tail.ts');
    const {nodeWorld} = await import('../replication/node-world.ts');
    const world = await nodeWorld({secretPath: flags['secret-file'], note: (text) => this.note(text)});
    const line = new LiveLine();
    const result = await runTail(world, {
      sources,
      follow: flags.follow || sources[0].startsWith('tcp://'),
      autoPromote: flags['auto-promote'],
      fromStart: flags['from-start'],
      timing: timingOf(flags),
      logPath: flags.output,
      overwrite: flags.force,
      eligible: !flags.observer,
      listen: flags.listen,
      net: flags.net,
      paths: artefactPathsOf(flags),
      onOutput: flags.console ? (bytes) => process.stdout.write(bytes) : undefined,
      onProgress: (position) => flags.console || line.show(() => `following: ${position} steps`),
      onDigest: (position, digest) => flags.digests && this.log(`${position} ${Buffer.from(digest).toString('hex')}`),
      signal: this.stopSignal,
      note: (text) => {
        line.clear();
        this.note(text);
      },
    });
    line.clear();
    const {outcome, position, records, digests, ended, live} = result;
    if (live === undefined) {
      this.note(
        `${this.palette.good('identical')}: ${records} records, ${digests} digests over ${position} steps${endText(ended)}`,
      );
      return {outcome, position, records, digests, ...(ended === undefined ? {} : {ended})};
    }
    if (live.end.kind === 'halted') this.exitWith(exitCodeOf(live.end.ending, (text) => this.note(text)));
    if (live.end.kind === 'superseded') this.exitWith(EXIT_CODES.lostArbitration);
    this.note(`carried on from position ${position} to ${live.position}`);
    return {outcome, from: position, position: live.position, end: live.end.kind};
  }
}

function endText(ended: string | undefined): string {
  switch (ended) {
    case 'halted':
      return '; the guest ended';
    case 'stopped':
      return '; the recorder was stopped';
    case 'handedOver':
      return '; the recorder handed over';
    default:
      return '; the log goes no further';
  }
}
