// A log's machine at power-on, made from the files that its header names.

import type {DiskImage} from '../host/disk-image.ts';
import type {LogHeader} from '../logformat/record.ts';
import {type ArtefactPaths, loadArtefacts, pathOf} from './artefacts.ts';
import {earlyMemory} from './early-memory.ts';
import {HostedMachine} from './hosted-machine.ts';

/** Throws as `loadArtefacts`. The disks are the caller's to close. */
export async function loadMachine(
  header: LogHeader,
  options: {logPath: string; paths: ArtefactPaths},
): Promise<{machine: HostedMachine; disks: DiskImage[]}> {
  const {artefacts, config} = header;
  const paths = Object.fromEntries(artefacts.map((artefact) => [artefact.role, pathOf(artefact, options)]));
  const [{images, disks}, memory] = await Promise.all([
    loadArtefacts(header, options),
    earlyMemory({ramBytes: config.ramBytes, paths}),
  ]);
  return {machine: new HostedMachine(config, images, disks, memory), disks};
}
