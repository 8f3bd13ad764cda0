// Planted faults: each breaks one rule of the protocol in the real code, or in the world's promises to it. The simulator is worth something
// only as long as it finds every one of them.

import {AdvanceDecoder} from '../../src/replication/advance-codec.ts';
import {DatagramReceiver, nameOfDatagram} from '../../src/replication/authentication.ts';
import {FollowerLink} from '../../src/replication/follower-link.ts';
import {PrimaryReplication} from '../../src/replication/primary-replication.ts';
import {type Hold, LiveSource} from '../../src/session/live-source.ts';
import {OutputGate} from '../../src/session/output-gate.ts';
import {RecordJournal} from '../../src/session/record-journal.ts';
import type {Run} from '../../src/session/session.ts';
import type {Fault} from './faults.ts';
import type {SimulatedNetwork} from './simulated-world.ts';

export type Canary = {
  name: string;
  faults: readonly Fault[];
  /** Plants the fault into the code; returns what takes it out again. */
  plant?: () => () => void;
  /** Plants the fault into a life's world. */
  prepare?: (network: SimulatedNetwork) => void;
};

/** Acknowledged too early by a backup, told too far by a primary. */
const RECORDS_AHEAD = 6n;
/** Announced beyond a run's end. */
const STEPS_AHEAD = 50_000n;

export const CANARIES: readonly Canary[] = [
  {
    name: 'outputs leave without an acknowledgement',
    faults: ['silentCrash', 'cut', 'crashAtPoint'],
    plant: () => replace(PrimaryReplication.prototype, 'recordsReleased', {value: (through: bigint) => through}),
  },
  {
    name: 'both sides are told that they have won',
    faults: ['cut'],
    prepare: ({arbiter}) => arbiter.planted.add('everybodyWins'),
  },
  {
    name: 'a follower that goes live forgets the outputs that it held',
    faults: ['crash', 'silentCrash', 'crashAtPoint', 'cut'],
    plant: () => replace(OutputGate.prototype, 'takeHeld', {value: () => []}),
  },
  {
    name: 'a primary that stood still is confirmed, whoever has taken over',
    faults: ['pauseThenCut'],
    prepare: ({arbiter}) => arbiter.planted.add('everybodyIsConfirmed'),
  },
  {
    name: 'a follower acknowledges what it has not received',
    faults: ['crash', 'silentCrash', 'crashAtPoint', 'cut'],
    prepare: (network) => {
      network.tamper = (message) =>
        message.kind === 'ack' && message.ordinal > 0n
          ? {...message, ordinal: message.ordinal + RECORDS_AHEAD}
          : message;
    },
  },
  {
    name: 'a follower may run past records that are not written yet',
    faults: ['none', 'slow'],
    plant: () => replace(RecordJournal.prototype, 'pendingRecords', {get: () => 0}),
  },
  {
    name: 'a backup wakes from a wait within a run that was announced',
    faults: ['none', 'slow'],
    plant() {
      const {decode} = AdvanceDecoder.prototype;
      return replace(AdvanceDecoder.prototype, 'decode', {
        value(this: AdvanceDecoder, bytes: Uint8Array) {
          const advance = decode.call(this, bytes);
          return {...advance, position: advance.until};
        },
      });
    },
  },
  {
    name: 'a primary delivers inputs within a run that it has announced',
    faults: ['none', 'slow'],
    plant() {
      const {runBegins} = PrimaryReplication.prototype;
      return replace(PrimaryReplication.prototype, 'runBegins', {
        value(this: PrimaryReplication, {position, until}: Run) {
          runBegins.call(this, {position, until: until + STEPS_AHEAD});
        },
      });
    },
  },
  {
    name: 'a heartbeat counts as often as it comes',
    faults: ['datagramsReplayed', 'silentCrash'],
    plant: () =>
      replace(DatagramReceiver.prototype, 'judge', {
        value: (datagram: Uint8Array) => (nameOfDatagram(datagram) === undefined ? 'forged' : 'accepted'),
      }),
  },
  {
    name: 'a backup that is heard, and acknowledges nothing, is waited for',
    faults: ['channelHeld'],
    plant: () => replace(FollowerLink.prototype, 'owesForMs', {get: () => 0}),
  },
  {
    name: 'a paused guest runs on',
    faults: ['guestPaused', 'handOver'],
    plant: () => replace(LiveSource.prototype, 'hold', {value: async ({reached}: Hold) => reached()}),
  },
  {
    name: 'a person promotes the shortest log of several',
    faults: ['crash', 'silentCrash', 'crashAtPoint', 'arbiterAway'],
    prepare: (network) => {
      network.promoted = (logs) => [...logs].sort((a, b) => a.sizeBytes - b.sizeBytes).slice(0, 1);
    },
  },
  {
    name: 'removing a backup consumes no generation',
    faults: ['cut', 'pause'],
    prepare: ({arbiter}) => arbiter.planted.add('removalIsFree'),
  },
];

function replace(prototype: object, name: string, planted: PropertyDescriptor): () => void {
  const original = Object.getOwnPropertyDescriptor(prototype, name);
  if (original === undefined) throw new Error(`there is no ${name} to plant a fault in`);
  Object.defineProperty(prototype, name, {...planted, configurable: true});
  return () => Object.defineProperty(prototype, name, original);
}
