// ftvm record: runs a guest and writes its log.

import * as Args from '@oclif/core/args';
import * as Flags from '@oclif/core/flags';
import {BaseCommand} from '../cli/base-command.ts';
import {CHANNEL_FLAGS, timingOf} from '../cli/channel-flags.ts';
import {exitCodeOf} from '../cli/guest-exit.ts';
import {parseSize} from '../cli/size.ts';
import {EXIT_CODES} from '../errors.ts';
import type {World} from '../replication/world.ts';

export default class Record extends BaseCommand {
  static override summary = 'Run a guest and write the log of its inputs.';
  static override description =
    "The guest's console is this terminal: Ctrl-A x ends the session, Ctrl-A h helps. The log has everything that is needed to " +
    'replay the run, to follow it, and to carry it on.';
  static override examples = [
    '<%= config.bin %> record hello',
    '<%= config.bin %> record debian -o d.ftlog',
    '<%= config.bin %> record vmlinux --bios fw_dynamic.bin --initrd initrd.cpio --append console=ttyS0 --disk disk.img',
  ];
  static override args = {
    image: Args.string({
      required: true,
      description: "a guest's name (ftvm guest list), an ELF file, or a kernel Image with --bios",
    }),
  };
  static override flags = {
    output: Flags.string({char: 'o', description: 'the log (default: NAME.ftlog here)', helpValue: 'FILE'}),
    force: Flags.boolean({char: 'f', description: 'replace an existing log'}),
    bios: Flags.string({description: "firmware: OpenSBI's fw_dynamic.bin", helpValue: 'FILE'}),
    initrd: Flags.string({description: 'initial RAM disk', helpValue: 'FILE'}),
    append: Flags.string({description: 'kernel command line', helpValue: 'TEXT'}),
    ram: Flags.string({
      description: 'size of RAM, like 256M (default: what the guest is meant for)',
      helpValue: 'SIZE',
    }),
    disk: Flags.string({
      description: 'base image of a disk, never modified (repeatable)',
      multiple: true,
      default: [],
      helpValue: 'FILE',
    }),
    net: Flags.string({
      description:
        'a network card, and where it is plugged in: stream:unix:PATH, stream:tcp:HOST:PORT or tap:NAME; then ,mac=… (repeatable)',
      multiple: true,
      default: [],
      helpValue: 'SPEC',
    }),
    clock: Flags.option({options: ['real', 'virtual'] as const, default: 'real' as const})({
      description: "real: the guest's time follows the host's; virtual: a fixed rate that never sleeps, reproducible",
    }),
    'no-reboot': Flags.boolean({description: 'a reset by the guest ends the run'}),
    listen: Flags.string({
      description: 'serve the log to followers (ftvm tail tcp://HOST:PORT)',
      helpValue: 'HOST:PORT',
    }),
    arbiter: Flags.string({
      description: 'who decides which side carries on: dir:/SHARED/FOLDER or nats://HOST:PORT,…',
      helpValue: 'SPEC',
    }),
    durable: Flags.boolean({
      description:
        "a guest's FLUSH waits until the log is on disk, here and at the backup (default when there is a disk)",
      allowNo: true,
    }),
    ...CHANNEL_FLAGS,
  };

  async run(): Promise<object> {
    const {args, flags} = await this.parse(Record);
    const [{findGuest}, {earlyMemory}] = await Promise.all([
      import('../guests/manifest.ts'),
      import('../session/early-memory.ts'),
    ]);
    const found = await findGuest(args.image, {
      firmwarePath: flags.bios,
      initrdPath: flags.initrd,
      append: flags.append,
    });
    const ramBytes = flags.ram === undefined ? found.ramBytes : parseSize(flags.ram, '--ram');
    // The images are read while the program is loaded.
    const [guest, memory, {runRecording}, world] = await Promise.all([
      found.read(),
      earlyMemory({ramBytes, paths: found.paths}),
      import('../replication/run-recording.ts'),
      this.#world(flags['secret-file']),
    ]);
    const logPath = flags.output ?? `${guest.name.split('/').at(-1)}.ftlog`;
    const {end, position, records} = await runRecording(
      world,
      {
        ...guest,
        logPath,
        overwrite: flags.force,
        ramBytes,
        memory,
        clock: flags.clock,
        disks: flags.disk,
        reboot: !flags['no-reboot'],
        arbiter: flags.arbiter ?? null,
        durable: flags.durable ?? flags.disk.length > 0,
      },
      {
        listen: flags.listen,
        net: flags.net,
        timing: timingOf(flags),
        signal: this.stopSignal,
        note: (text) => this.note(text),
      },
    );
    if (end.kind === 'halted') this.exitWith(exitCodeOf(end.ending, (text) => this.note(text)));
    if (end.kind === 'superseded') this.exitWith(EXIT_CODES.lostArbitration);
    if (end.kind === 'stuck') this.exitWith(EXIT_CODES.guestStuck);
    this.note(`recorded: ${logPath}, ${records} records over ${position} steps (${endText(end.kind)})`);
    return {
      log: logPath,
      end: end.kind,
      ...(end.kind === 'halted' ? {ending: end.ending} : {}),
      position,
      records: Number(records),
    };
  }

  async #world(secretPath: string | undefined): Promise<World> {
    const {nodeWorld} = await import('../replication/node-world.ts');
    return nodeWorld({secretPath, note: (text) => this.note(text)});
  }
}

function endText(kind: string): string {
  switch (kind) {
    case 'halted':
      return 'the guest ended';
    case 'stuck':
      return 'the guest waits, and nothing can wake it';
    case 'handedOver':
      return 'handed over to the backup';
    case 'superseded':
      return 'another carries the guest on';
    default:
      return 'stopped; ftvm promote carries it on';
  }
}
