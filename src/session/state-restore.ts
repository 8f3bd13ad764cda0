// A machine from a saved state: configured as the state's header says, its table and memories overwritten, its caches dropped. What
// goes on from there is what the saved machine would have done. Entries must be those that this machine has, each once.

import {MACHINE_VERSION, type Machine} from '../emulator/machine.ts';
import {FtvmError} from '../errors.ts';
import {LogFileReader} from '../host/log-file.ts';
import {StateDecoder} from '../logformat/state-decoder.ts';
import type {SavedState} from '../logformat/state-file.ts';
import type {Artefacts} from './artefacts.ts';
import {HostedMachine} from './hosted-machine.ts';
import {type StateView, viewOfSaved} from './state-view.ts';
import {FTVM_VERSION} from './version.ts';

/** Reads a state file. Throws FtvmError `notALog`, `torn`, `corrupt`, `mismatchedVersion` or `fileSystem`. */
export async function readStateFile(path: string): Promise<SavedState> {
  const file = await LogFileReader.open(path);
  try {
    const decoder = new StateDecoder();
    for (let bytes = await file.next(); bytes.length > 0; bytes = await file.next()) decoder.push(bytes);
    const saved = decoder.end();
    const {machineVersion, ftvmVersion} = saved.header;
    if (machineVersion !== MACHINE_VERSION) {
      throw new FtvmError(
        'mismatchedVersion',
        `${path} was saved by ftvm ${ftvmVersion} with machine version ${machineVersion}; this is ftvm ${FTVM_VERSION} with machine version ${MACHINE_VERSION}`,
        {
          hint: `Use ftvm ${ftvmVersion}: npm install ftvm@${ftvmVersion}`,
          details: {path, expected: MACHINE_VERSION, actual: machineVersion},
        },
      );
    }
    return saved;
  } finally {
    await file.close();
  }
}

/** The machine that was saved. `artefacts` are its boot images and base disks. Throws FtvmError `corrupt` for a state of another make. */
export function restoreMachine(saved: SavedState, {images, disks}: Artefacts): Machine {
  const machine = new HostedMachine(saved.header.config, images, disks);
  restoreState(machine, viewOfSaved(saved));
  if (machine.position !== saved.header.position) refuse('its header and its state table name different positions');
  return machine;
}

/** A second machine in the same state. `artefacts` may be shared: nobody writes to them. */
export function copyMachine(machine: Machine, config: SavedState['header']['config'], artefacts: Artefacts): Machine {
  const copy = new HostedMachine(config, artefacts.images, artefacts.disks);
  restoreState(copy, {entries: machine.state.entries, memories: machine.memories});
  return copy;
}

/** Overwrites the whole state of `machine`. */
export function restoreState(machine: Machine, from: StateView): void {
  const entries = new Map(from.entries.map((entry) => [entry.name, entry]));
  for (const entry of machine.state.entries) {
    const saved = entries.get(entry.name);
    if (saved === undefined || saved.type !== entry.type) refuse(`it has no ${entry.name} of type ${entry.type}`);
    const bytes = saved.read();
    if (entry.type !== 'blob' && bytes.length !== entry.read().length)
      refuse(`${entry.name} has ${bytes.length} bytes, ${entry.read().length} expected`);
    entry.write(bytes);
  }
  if (entries.size !== machine.state.entries.length) refuse('it has entries that this machine does not have');
  const memories = new Map(from.memories.map((memory) => [memory.name, memory]));
  for (const memory of machine.memories) {
    const saved = memories.get(memory.name);
    if (saved === undefined || saved.pageCount !== memory.pageCount)
      refuse(`it has no ${memory.name} of ${memory.pageCount} pages`);
    for (const index of [...memory.present()]) if (saved.page(index) === undefined) memory.setPage(index, undefined);
    for (const index of saved.present()) memory.setPage(index, saved.page(index));
  }
  if (memories.size !== machine.memories.length) refuse('it has memories that this machine does not have');
  machine.invalidate();
}

function refuse(what: string): never {
  throw new FtvmError('corrupt', `the state does not fit its configuration: ${what}`, {
    hint: 'Save the state again: `ftvm replay LOG --to POSITION --save-state FILE`.',
  });
}
