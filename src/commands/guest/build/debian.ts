// `ftvm guest build debian`: a bootable Debian guest from the distribution's packages. Only parses, composes and reports.

import * as Flags from '@oclif/core/flags';
import {BaseCommand} from '../../../cli/base-command.ts';
import {runSteps} from '../../../cli/progress.ts';
import {type BuiltGuest, DebianGuestBuild} from '../../../guests/debian/build.ts';

/** 128 + the signal's number, as a shell reports it. */
const EXIT_SIGINT = 130;
const EXIT_SIGTERM = 143;

export default class GuestBuildDebian extends BaseCommand {
  static override summary = 'Build a Debian 13 guest: kernel, OpenSBI, busybox and, if you like, packages.';
  static override description =
    "Needs no root. Packages come from the mirror that this machine's apt uses; signatures and digests are checked. " +
    'What is downloaded is kept: an interrupted build carries on where it stopped, and a second one takes no time. ' +
    "Packages are unpacked, their scripts are not run. The guest's kernel command line understands " +
    'ftvm.run="COMMAND" (run it, then power off) and ip=ADDRESS::GATEWAY:NETMASK (set up eth0).';
  static override examples = [
    '<%= config.bin %> guest build debian',
    '<%= config.bin %> guest build debian --packages redis-server,htop',
  ];
  static override flags = {
    packages: Flags.string({
      description: 'Debian packages to put in, separated by commas; their dependencies come along',
      helpValue: 'a,b,…',
    }),
    name: Flags.string({
      description: 'name of the guest (default: debian, or debian- and the packages)',
      helpValue: 'NAME',
    }),
    force: Flags.boolean({description: 'build although the guest is there already'}),
  };

  async run(): Promise<BuiltGuest & {name: string}> {
    const {flags} = await this.parse(GuestBuildDebian);
    const packages = (flags.packages ?? '')
      .split(',')
      .map((name) => name.trim())
      .filter((name) => name !== '');
    const build = new DebianGuestBuild({packages, name: flags.name, signal: this.stopSignal});
    const guest = (flags.force ? undefined : await build.existing()) ?? (await this.#build(build));
    this.log(`${guest.reused ? 'there already' : 'built'}: ${this.palette.accent(build.name)} in ${guest.folder}`);
    this.log(`start it with: ${this.config.bin} record ${build.name} -o ${build.name}.ftlog`);
    return {name: build.name, ...guest};
  }

  async #build(build: DebianGuestBuild): Promise<BuiltGuest> {
    try {
      await runSteps(build.steps);
      return build.result;
    } catch (error) {
      if (!this.stopSignal.aborted) throw error;
      this.note('interrupted; what was downloaded is kept');
      this.exit(this.stopSignal.reason === 'SIGTERM' ? EXIT_SIGTERM : EXIT_SIGINT);
    }
  }
}
