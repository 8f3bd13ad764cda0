// The machine as the session sees it: pure, synchronous, no clock, no randomness, no I/O of its own (DESIGN 2).

import type {Ending} from './config.ts';
import type {Input} from './input.ts';
import type {Output} from './output.ts';
import type {PagedMemory} from './paged-memory.ts';
import type {StateTable} from './state-table.ts';

export type Stop =
  /** `until` was reached. */
  | {kind: 'reached'}
  /** The hart waits for an interrupt. `deadlineTicks`: the mtime at which a timer will wake it, or undefined: only an input can. */
  | {kind: 'idle'; deadlineTicks: bigint | undefined}
  /** A packet was emitted, which should leave at once; the run may go on. */
  | {kind: 'output'}
  | {kind: 'halted'; ending: Ending};

/** Requests that the guest has issued and that only an input can complete. */
export type PendingRequests = {
  /** Per disk: the requests in flight, oldest first. */
  disks: {kind: 'read' | 'write' | 'flush' | 'discard' | 'identify'}[][];
  /** Bytes wanted by the oldest pending entropy request; 0 when there is none. */
  entropyBytes: number;
};

export interface MachineInterface {
  /** Steps executed since power-on. */
  readonly position: bigint;
  /** Outputs emitted since power-on: the ordinal of the last one. */
  readonly outputOrdinal: bigint;
  /** mtime at this position, in ticks of 100 ns. */
  readonly mtime: bigint;
  readonly stepsPerTick: number;
  /** How many more console bytes the machine accepts now (64 KiB queue); a live source holds back the rest. */
  readonly consoleRoomBytes: number;
  /** Per NIC: frames that wait in it for the guest's buffers; a live source holds back more, or they would be dropped. */
  readonly nicBacklogs: readonly number[];
  readonly state: StateTable;
  readonly memories: readonly PagedMemory[];

  /** The only way into the machine. At the present boundary; see DESIGN 2 for the order. */
  deliver(input: Input): void;
  /** Runs until `position` (an absolute position, not less than the present one) or an earlier stop. Never takes an interrupt and
   *  never leaves WFI at `position` itself: both belong to the next step. */
  runUntil(position: bigint): Stop;
  /** Outputs since the last call, in order. */
  takeOutputs(): Output[];
  pendingRequests(): PendingRequests;
  /** Call after the state table or a memory was overwritten (restore): drops every cache. */
  invalidate(): void;
}
