// Records: what the log is made of. Each stands at a position (steps since power-on) and has an ordinal in the lineage's
// stream (1, 2, 3, …), which it takes from its frame.

import type {Ending, MachineConfig} from '../emulator/config.ts';
import type {Input} from '../emulator/input.ts';

/** A file that the machine was started from; `pathHint` is where it lay, and may have moved since. */
export type Artefact = {
  role: 'kernel' | 'firmware' | 'initrd';
  sha256: Uint8Array;
  sizeBytes: number;
  pathHint: string;
};

/** A base image; the n-th belongs to the n-th of `config.disks`. */
export type BaseDisk = {sha256: Uint8Array; sizeBytes: number; pathHint: string};

/** Who recorded: cold promotion trusts a refused control socket only on the recorder's own host and boot (DESIGN 7). */
export type RecorderHost = {hostname: string; bootId: string; pid: number};

/** The first record of a lineage: all that determines the machine apart from its inputs. */
export type LogHeader = {
  formatVersion: number;
  /** Raised by any change that makes a golden log diverge. */
  machineVersion: number;
  ftvmVersion: string;
  config: MachineConfig;
  artefacts: Artefact[];
  disks: BaseDisk[];
  /** 16 random bytes. */
  lineageId: Uint8Array;
  /** `dir:PATH`, `nats://…`, or null: no arbiter. */
  arbiter: string | null;
  host: RecorderHost;
  /** Path of the recorder's control socket, or null. */
  controlSocket: string | null;
};

export type ControlAction = 'pause' | 'resume' | 'powerOff' | 'snapshot' | 'promote' | 'quiesce';

/** Why a log ends. `halted`: the guest ended, with `ending`. `stopped`: the recorder was told to (resumable). `handedOver`: a
 *  backup carries on, and its `takeover` record follows. `superseded`: this side lost its generation and is no primary. */
export type EndReason = 'halted' | 'stopped' | 'handedOver' | 'superseded';

export type LogRecord =
  | ({kind: 'header'; position: bigint} & LogHeader)
  | {kind: 'input'; position: bigint; input: Input}
  /** All outputs since the last such record: the ordinal of the last, the sum of their bytes, a digest of them (16 bytes). */
  | {kind: 'output'; position: bigint; through: bigint; lengthBytes: number; digest: Uint8Array}
  /** Digest of the state at this position, 16 to 32 bytes. */
  | {kind: 'digest'; position: bigint; digest: Uint8Array}
  | {kind: 'control'; position: bigint; action: ControlAction}
  /** A new primary: its generation, who it is, and the last output that it knows to have left. */
  | {kind: 'takeover'; position: bigint; generation: number; by: string; releasedThrough: bigint}
  /** Where a backup stands that joins: it holds everything up to this record. */
  | {kind: 'joined'; position: bigint; generation: number; backup: string}
  | {kind: 'end'; position: bigint; reason: EndReason; ending: Ending | null}
  /** Part `part` (from 0) of `parts` of a state file; such a run of records opens a segment. */
  | {kind: 'snapshot'; position: bigint; part: number; parts: number; bytes: Uint8Array};

export type RecordKind = LogRecord['kind'];
