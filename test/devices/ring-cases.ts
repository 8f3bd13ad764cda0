// Random conversations between a guest and a virtio device: requests, mutations that break the rings a little, notifications
// and inputs. Shared by the tests of malformed rings and of restored states.

import assert from 'node:assert/strict';
import fc from 'fast-check';
import type {Device} from '../../src/emulator/devices/device.ts';
import {DiskOverlay} from '../../src/emulator/devices/disk-overlay.ts';
import {VirtioBlock} from '../../src/emulator/devices/virtio-block.ts';
import {VirtioEntropy} from '../../src/emulator/devices/virtio-entropy.ts';
import {VirtioNet} from '../../src/emulator/devices/virtio-net.ts';
import {StateTable} from '../../src/emulator/state-table.ts';
import {
  bringUp,
  FakeImage,
  FakeLine,
  type FakeMemory,
  FEATURE_EVENT_IDX,
  FEATURE_INDIRECT,
  FEATURE_VERSION_1,
  RAM_BASE,
  RingDriver,
} from './fake-machine.ts';

export const RAM_BYTES = 0x40000;
export const RING = RAM_BASE + 0x1000;
export const BUFFERS = RAM_BASE + 0x10000;
export const SIZE = 8;
export const NEEDS_RESET = 0x40;

export type Kind = 'disk' | 'net' | 'entropy';

/** A device of one kind with what it is wired to. */
export type Subject = {
  kind: Kind;
  device: Device;
  state: StateTable;
  line: FakeLine;
  sent: Uint8Array[];
  overlay?: DiskOverlay;
  disk?: VirtioBlock;
  net?: VirtioNet;
  entropy?: VirtioEntropy;
};

export function makeSubject(kind: Kind, memory: FakeMemory): Subject {
  const state = new StateTable();
  const line = new FakeLine();
  const sent: Uint8Array[] = [];
  const options = {state, name: kind, irq: line, memory};
  const common = {kind, state, line, sent};
  switch (kind) {
    case 'disk': {
      const overlay = new DiskOverlay({name: 'overlay', base: new FakeImage(new Uint8Array(64 * 512).fill(0x5a))});
      const disk = new VirtioBlock({...options, overlay});
      return {...common, device: disk, disk, overlay};
    }
    case 'net': {
      const net = new VirtioNet({...options, mac: new Uint8Array(6), emit: (frame) => sent.push(frame)});
      return {...common, device: net, net};
    }
    case 'entropy': {
      const entropy = new VirtioEntropy(options);
      return {...common, device: entropy, entropy};
    }
  }
}

/** What only inputs make happen. */
export function deliverInputs({disk, net, entropy}: Subject): void {
  if (disk !== undefined) disk.complete(disk.pending().length, 'ok');
  net?.receive([new Uint8Array(60), new Uint8Array(1514), new Uint8Array(20_000)]);
  if (entropy !== undefined && entropy.wantedBytes > 0) entropy.supply(new Uint8Array(100).fill(7));
}

/** One piece of a request; `writable` is made to follow `readable` unless a mutation says otherwise. */
const pieces = fc.array(
  fc.record({offset: fc.nat(0x8000), length: fc.oneof(fc.nat(2048), fc.constantFrom(0, 16, 512))}),
  {
    maxLength: 3,
  },
);
const request = fc.record({
  type: fc.constantFrom(0, 1, 4, 8, 11, 13, 99),
  sector: fc.nat(70),
  readable: pieces,
  writable: pieces,
  indirect: fc.boolean(),
});
/** Overwrites a field of the rings, of an indirect table or of a header: of a valid ring it makes one that is nearly valid. */
const mutation = fc.record({
  target: fc.oneof(
    fc.record({kind: fc.constant('descriptor' as const), slot: fc.nat(SIZE - 1), field: fc.constantFrom(0, 8, 12, 14)}),
    fc.record({kind: fc.constant('available' as const), offset: fc.nat(SIZE + 1).map((word) => 2 * word)}),
    fc.record({kind: fc.constant('indirect' as const), slot: fc.nat(30), field: fc.constantFrom(0, 8, 12, 14)}),
    fc.record({kind: fc.constant('used' as const), offset: fc.nat(33).map((word) => 2 * word)}),
  ),
  value: fc.oneof(
    {weight: 6, arbitrary: fc.nat(SIZE + 2).map(BigInt)},
    {weight: 2, arbitrary: fc.nat(RAM_BYTES + 16).map((offset) => BigInt(RAM_BASE + offset))},
    fc.constantFrom(0xffffn, 0x7fff_ffffn, 0xffff_ffffn, 2n ** 53n, 2n ** 64n - 1n, BigInt(RAM_BASE - 1), BigInt(RING)),
  ),
});
const round = fc.record({
  requests: fc.array(request, {maxLength: 3}),
  mutations: fc.array(mutation, {maxLength: 2}),
  deliver: fc.boolean(),
});
export const ringCase = fc.record({
  kind: fc.constantFrom('disk' as const, 'net' as const, 'entropy' as const),
  features: fc.record({eventIdx: fc.boolean(), merge: fc.boolean()}),
  rounds: fc.array(round, {minLength: 1, maxLength: 6}),
});

export type RingCase = Values<typeof ringCase>;

type Values<T> = T extends fc.Arbitrary<infer Value> ? Value : never;

/** What came of a case: `completed` and `broken` prove that the cases reach both sides. */
export type Played = {subject: Subject; completed: number; broken: boolean};

/** Plays a case against a device; throws when the device does what it must not. After each notification `replace` may put another
 *  device in the place of the present one. */
export function play(
  ring: RingCase,
  memory: FakeMemory,
  replace: (subject: Subject) => Subject = (same) => same,
): Played {
  let subject = makeSubject(ring.kind, memory);
  const features =
    FEATURE_VERSION_1 |
    FEATURE_INDIRECT |
    (ring.features.eventIdx ? FEATURE_EVENT_IDX : 0n) |
    (ring.kind === 'net' && ring.features.merge ? 1n << 15n : 0n);
  const drivers = (ring.kind === 'net' ? [0, 1] : [0]).map(
    (queue) => new RingDriver(memory, {base: RING + 0x1000 * queue, size: SIZE, index: queue}),
  );
  assert.equal(bringUp(subject.device, features, drivers), 15);
  let completed = 0;
  for (const {requests, mutations, deliver} of ring.rounds) {
    for (const driver of drivers) {
      for (const wanted of requests) addRequest({driver, memory, wanted, kind: ring.kind});
      for (const wanted of mutations) mutate(driver, memory, wanted);
      memory.accesses = 0;
      driver.notify(subject.device);
      subject = replace(subject);
      if (deliver) deliverInputs(subject);
      // The used index itself may have been overwritten: a ring holds no more than its size.
      for (let taken = 0; taken < SIZE && driver.takeUsed() !== undefined; taken++) completed++;
    }
  }
  return {subject, completed, broken: (subject.device.read(0x70, 4) & NEEDS_RESET) !== 0};
}

/** A request that the device accepts, unless its pieces do not suit it. */
function addRequest(options: {
  driver: RingDriver;
  memory: FakeMemory;
  wanted: Values<typeof request>;
  kind: Kind;
}): void {
  const {driver, memory, wanted, kind} = options;
  const part = (writable: boolean) => (piece: {offset: number; length: number}) => ({
    address: BUFFERS + piece.offset,
    lengthBytes: piece.length,
    writable,
  });
  memory.writeU32(BUFFERS, wanted.type);
  memory.writeU64(BUFFERS + 8, BigInt(wanted.sector));
  const header = kind !== 'disk' ? [] : [{address: BUFFERS, lengthBytes: 16, writable: false}];
  const isTransmit = driver.index === 1;
  const readable = kind === 'disk' || isTransmit ? wanted.readable : [];
  const writable = isTransmit ? [] : [...wanted.writable, {offset: 0x9000, length: 1}];
  const chain = [...header, ...readable.map(part(false)), ...writable.map(part(true))];
  if (chain.length > 0) driver.add(chain, {indirect: wanted.indirect});
}

function mutate(driver: RingDriver, memory: FakeMemory, {target, value}: Values<typeof mutation>): void {
  switch (target.kind) {
    case 'descriptor':
    case 'indirect': {
      const table = target.kind === 'descriptor' ? driver.descriptors : driver.indirectTables;
      const at = table + 16 * target.slot + target.field;
      if (target.field === 0) memory.writeU64(at, value);
      else if (target.field === 8) memory.writeU32(at, Number(value & 0xffff_ffffn));
      else memory.writeU16(at, Number(value & 0xffffn));
      break;
    }
    case 'available':
      memory.writeU16(driver.available + target.offset, Number(value & 0xffffn));
      break;
    case 'used':
      memory.writeU16(driver.used + target.offset, Number(value & 0xffffn));
      break;
  }
}
