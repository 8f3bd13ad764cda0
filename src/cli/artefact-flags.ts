// What a log's machine was started from, when it is not where it was recorded: flags that every command with a machine has.

import * as Flags from '@oclif/core/flags';

export const ARTEFACT_FLAGS = {
  kernel: Flags.string({description: 'the kernel, if it is not where it was recorded', helpValue: 'FILE'}),
  bios: Flags.string({description: 'the firmware, if it is not where it was recorded', helpValue: 'FILE'}),
  initrd: Flags.string({description: 'the initrd, if it is not where it was recorded', helpValue: 'FILE'}),
  disk: Flags.string({
    description: 'a base image, if it is not where it was recorded (repeatable, in order)',
    multiple: true,
    helpValue: 'FILE',
  }),
};

export function artefactPathsOf(flags: {
  kernel?: string | undefined;
  bios?: string | undefined;
  initrd?: string | undefined;
  disk?: string[] | undefined;
}): {
  kernel: string | undefined;
  firmware: string | undefined;
  initrd: string | undefined;
  disks?: readonly string[];
} {
  const {kernel, bios, initrd, disk} = flags;
  return {kernel, firmware: bios, initrd, ...(disk === undefined ? {} : {disks: disk})};
}
