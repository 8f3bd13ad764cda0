// Rings that a malicious or broken guest may build. Whatever they hold: no device throws, none loops for long, none touches
// anything outside RAM, and each works again after a reset. The guest memory of the tests refuses what lies outside it, and
// counts accesses. FTVM_TEST_SEED repeats a run.

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
  FakeMemory,
  FEATURE_EVENT_IDX,
  FEATURE_INDIRECT,
  FEATURE_VERSION_1,
  RAM_BASE,
  RingDriver,
  SEED,
} from './fake-machine.ts';

const RAM_BYTES = 0x40000;
const RING = RAM_BASE + 0x1000;
const BUFFERS = RAM_BASE + 0x10000;
const SIZE = 8;
const NEEDS_RESET = 0x40;

/** More accesses than this to guest memory for one action mean a loop that the guest controls. */
const ACCESS_LIMIT = 200_000;

function makeMemory(): FakeMemory {
  const memory = new FakeMemory(RAM_BYTES);
  memory.accessLimit = ACCESS_LIMIT;
  return memory;
}

/** Says yes to every address: a device believes it and reaches outside RAM. The canary of these tests. */
class CredulousMemory extends FakeMemory {
  override contains(): boolean {
    return true;
  }
}

type Subject = {device: Device; disk?: VirtioBlock; net?: VirtioNet; entropy?: VirtioEntropy};

function makeSubject(kind: 'disk' | 'net' | 'entropy', memory: FakeMemory): Subject {
  const options = {state: new StateTable(), name: kind, irq: new FakeLine(), memory};
  switch (kind) {
    case 'disk': {
      const overlay = new DiskOverlay({name: 'overlay', base: new FakeImage(new Uint8Array(64 * 512))});
      const disk = new VirtioBlock({...options, overlay});
      return {device: disk, disk};
    }
    case 'net': {
      const net = new VirtioNet({...options, mac: new Uint8Array(6), emit: () => {}});
      return {device: net, net};
    }
    case 'entropy': {
      const entropy = new VirtioEntropy(options);
      return {device: entropy, entropy};
    }
  }
}

/** What only inputs make happen. */
function deliverInputs({disk, net, entropy}: Subject): void {
  if (disk !== undefined) disk.complete(disk.pending().length, 'ok');
  net?.receive([new Uint8Array(60), new Uint8Array(1514), new Uint8Array(20_000)]);
  if (entropy !== undefined && entropy.wantedBytes > 0) entropy.supply(new Uint8Array(100));
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
const ringCase = fc.record({
  kind: fc.constantFrom('disk' as const, 'net' as const, 'entropy' as const),
  features: fc.record({eventIdx: fc.boolean(), merge: fc.boolean()}),
  rounds: fc.array(round, {minLength: 1, maxLength: 6}),
});

type Values<T> = T extends fc.Arbitrary<infer Value> ? Value : never;

/** What a run saw: the proof that the cases reach both sides. */
type Tally = {completed: number; broken: number};

/** Runs one case against a device; throws when the device does what it must not. */
function run(ring: Values<typeof ringCase>, memory: FakeMemory): Tally {
  const subject = makeSubject(ring.kind, memory);
  const {device} = subject;
  const features =
    FEATURE_VERSION_1 |
    FEATURE_INDIRECT |
    (ring.features.eventIdx ? FEATURE_EVENT_IDX : 0n) |
    (ring.kind === 'net' && ring.features.merge ? 1n << 15n : 0n);
  const drivers = (ring.kind === 'net' ? [0, 1] : [0]).map(
    (queue) => new RingDriver(memory, {base: RING + 0x1000 * queue, size: SIZE, index: queue}),
  );
  assert.equal(bringUp(device, features, drivers), 15);
  const tally = {completed: 0, broken: 0};
  for (const {requests, mutations, deliver} of ring.rounds) {
    for (const driver of drivers) {
      for (const wanted of requests) addRequest({driver, memory, wanted, subject});
      for (const wanted of mutations) mutate(driver, memory, wanted);
      memory.accesses = 0;
      driver.notify(device);
      if (deliver) deliverInputs(subject);
      // The used index itself may have been overwritten: a ring holds no more than its size.
      for (let taken = 0; taken < SIZE && driver.takeUsed() !== undefined; taken++) tally.completed++;
    }
  }
  if ((device.read(0x70, 4) & NEEDS_RESET) !== 0) tally.broken++;
  memory.accesses = 0;
  worksAfterReset(subject, memory);
  return tally;
}

/** A request that the device accepts, unless its pieces do not suit it. */
function addRequest(options: {
  driver: RingDriver;
  memory: FakeMemory;
  wanted: Values<typeof request>;
  subject: Subject;
}): void {
  const {driver, memory, wanted, subject} = options;
  const part = (writable: boolean) => (piece: {offset: number; length: number}) => ({
    address: BUFFERS + piece.offset,
    lengthBytes: piece.length,
    writable,
  });
  memory.writeU32(BUFFERS, wanted.type);
  memory.writeU64(BUFFERS + 8, BigInt(wanted.sector));
  const header = subject.disk === undefined ? [] : [{address: BUFFERS, lengthBytes: 16, writable: false}];
  const isTransmit = driver.index === 1;
  const readable = subject.entropy === undefined && (subject.net === undefined || isTransmit) ? wanted.readable : [];
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

function worksAfterReset(subject: Subject, memory: FakeMemory): void {
  memory.bytes.fill(0);
  const drivers = [0, 1].map(
    (queue) => new RingDriver(memory, {base: RING + 0x1000 * queue, size: SIZE, index: queue}),
  );
  const {device} = subject;
  const used = subject.net === undefined ? drivers.slice(0, 1) : drivers;
  assert.equal(bringUp(device, FEATURE_VERSION_1, used), 15);
  const [first] = used;
  assert(first !== undefined);
  if (subject.disk !== undefined) {
    first.add([
      {address: BUFFERS, lengthBytes: 16, writable: false},
      {address: BUFFERS + 512, lengthBytes: 513, writable: true},
    ]);
  } else {
    first.add([{address: BUFFERS, lengthBytes: 1526, writable: true}]);
  }
  first.notify(device);
  deliverInputs(subject);
  assert.notEqual(first.takeUsed(), undefined, 'the device works after a reset');
}

describe('virtio with malformed rings', () => {
  it(`survives whatever a guest writes into its rings (seed ${SEED})`, () => {
    const tally = {completed: 0, broken: 0};
    const runs = 3000;
    fc.assert(
      fc.property(ringCase, (ring) => {
        const seen = run(ring, makeMemory());
        tally.completed += seen.completed;
        tally.broken += seen.broken;
      }),
      {seed: SEED, numRuns: runs},
    );
    assert(tally.completed > runs, `only ${tally.completed} requests were served`);
    assert(
      tally.broken > runs / 20 && tally.broken < (runs * 19) / 20,
      `${tally.broken} of ${runs} cases broke the ring`,
    );
  }).timeout(60_000);

  it(`survives whatever a guest writes into its registers (seed ${SEED})`, () => {
    const access = fc.record({
      offset: fc.oneof({weight: 8, arbitrary: fc.nat(0x3f).map((word) => 4 * word)}, fc.nat(0xfff)),
      size: fc.constantFrom(4 as const, 4 as const, 4 as const, 1 as const, 2 as const),
      value: fc.oneof(fc.nat(16), fc.constantFrom(RING, BUFFERS, 0x7fff_ffff, -1), fc.integer()),
      isWrite: fc.boolean(),
    });
    fc.assert(
      fc.property(
        fc.constantFrom('disk' as const, 'net' as const, 'entropy' as const),
        fc.array(access, {maxLength: 100}),
        (kind, accesses) => {
          const memory = makeMemory();
          const subject = makeSubject(kind, memory);
          const queues = [0, 1].map(
            (queue) => new RingDriver(memory, {base: RING + 0x1000 * queue, size: SIZE, index: queue}),
          );
          bringUp(subject.device, FEATURE_VERSION_1, kind === 'net' ? queues : queues.slice(0, 1));
          for (const {offset, size, value, isWrite} of accesses) {
            if (isWrite) subject.device.write(offset, size, value);
            else assert(subject.device.read(offset, size) >= 0);
            deliverInputs(subject);
          }
          memory.accesses = 0;
          worksAfterReset(subject, memory);
        },
      ),
      {seed: SEED, numRuns: 500},
    );
  }).timeout(60_000);

  it(`canary: rings that point outside RAM are among the cases (seed ${SEED})`, () => {
    const details = fc.check(
      fc.property(ringCase, (ring) => void run(ring, new CredulousMemory(RAM_BYTES))),
      {seed: SEED, numRuns: 3000, endOnFailure: true},
    );
    assert.equal(details.failed, true);
    assert.match(String(details.errorInstance), /access outside RAM/);
  }).timeout(60_000);

  const SIMPLE = {address: BUFFERS, lengthBytes: 16, flags: 0, next: 0};
  const broken: Record<string, (ring: RingDriver, memory: FakeMemory) => void> = {
    'a chain that loops': (ring) => {
      ring.writeDescriptor(0, {...SIMPLE, flags: 1, next: 1});
      ring.writeDescriptor(1, {...SIMPLE, flags: 1, next: 0});
      ring.offer(0);
    },
    'a descriptor that follows itself': (ring) => {
      ring.writeDescriptor(0, {...SIMPLE, flags: 1, next: 0});
      ring.offer(0);
    },
    'a head beyond the table': (ring) => ring.offer(SIZE),
    'a link beyond the table': (ring) => {
      ring.writeDescriptor(0, {...SIMPLE, flags: 1, next: SIZE});
      ring.offer(0);
    },
    'an index that jumps further than the queue is long': (ring, memory) =>
      memory.writeU16(ring.available + 2, SIZE + 1),
    'a buffer that leaves RAM': (ring) => {
      ring.writeDescriptor(0, {...SIMPLE, address: RAM_BASE + RAM_BYTES - 8});
      ring.offer(0);
    },
    'a buffer below RAM': (ring) => {
      ring.writeDescriptor(0, {...SIMPLE, address: 0x1000_0000});
      ring.offer(0);
    },
    'an indirect table of no whole number of descriptors': (ring) => {
      ring.writeDescriptor(0, {...SIMPLE, lengthBytes: 24, flags: 4});
      ring.offer(0);
    },
    'an empty indirect table': (ring) => {
      ring.writeDescriptor(0, {...SIMPLE, lengthBytes: 0, flags: 4});
      ring.offer(0);
    },
    'an indirect table within an indirect table': (ring) => {
      ring.writeDescriptorAt(BUFFERS, {...SIMPLE, address: BUFFERS, flags: 4});
      ring.writeDescriptor(0, {...SIMPLE, flags: 4});
      ring.offer(0);
    },
    'an indirect table that has a successor': (ring) => {
      ring.writeDescriptor(0, {...SIMPLE, flags: 5, next: 1});
      ring.offer(0);
    },
    'an indirect table that loops': (ring) => {
      ring.writeDescriptorAt(BUFFERS, {...SIMPLE, flags: 1, next: 0});
      ring.writeDescriptor(0, {...SIMPLE, flags: 4});
      ring.offer(0);
    },
    'something to read after something to write': (ring) => {
      ring.writeDescriptor(0, {...SIMPLE, flags: 3, next: 1});
      ring.writeDescriptor(1, SIMPLE);
      ring.offer(0);
    },
    'a request without a status byte': (ring) => {
      ring.writeDescriptor(0, SIMPLE);
      ring.offer(0);
    },
    'a request without a whole header': (ring) => {
      ring.add([
        {address: BUFFERS, lengthBytes: 15, writable: false},
        {address: BUFFERS + 100, lengthBytes: 1, writable: true},
      ]);
    },
  };
  for (const [what, build] of Object.entries(broken)) {
    it(`asks for a reset after ${what}`, () => {
      const memory = makeMemory();
      const subject = makeSubject('disk', memory);
      const {device} = subject;
      const ring = new RingDriver(memory, {base: RING, size: SIZE});
      bringUp(device, FEATURE_VERSION_1 | FEATURE_INDIRECT, [ring]);
      build(ring, memory);
      ring.notify(device);
      assert.equal(device.read(0x70, 4), 15 | NEEDS_RESET);
      assert.equal(device.read(0x60, 4) & 2, 2, 'the driver is told by a configuration interrupt');
      assert.equal(ring.takeUsed(), undefined);
      device.write(0x70, 4, 15);
      assert.equal(device.read(0x70, 4), 15 | NEEDS_RESET, 'only a reset clears it');
      ring.notify(device);
      deliverInputs(subject);
      worksAfterReset(subject, memory);
    });
  }

  const layouts: Record<string, [offset: number, value: number][]> = {
    'no size': [[0x38, 0]],
    'a size that is no power of two': [[0x38, 6]],
    'a size above the maximum': [[0x38, 256]],
    'a misaligned table': [[0x80, RING + 8]],
    'a misaligned available ring': [[0x90, RING + 1]],
    'a misaligned used ring': [[0xa0, RING + 2]],
    'a table outside RAM': [[0x80, 0x1000_0000]],
    'rings far above RAM': [[0xa4, 0xffff_ffff | 0]],
    'a used ring that leaves RAM': [[0xa0, RAM_BASE + RAM_BYTES - 64]],
  };
  for (const [what, writes] of Object.entries(layouts)) {
    it(`refuses a queue with ${what}`, () => {
      const memory = makeMemory();
      const {device} = makeSubject('disk', memory);
      bringUp(device, FEATURE_VERSION_1, []);
      const layout: [number, number][] = [
        [0x30, 0],
        [0x38, SIZE],
        [0x80, RING],
        [0x90, RING + 0x100],
        [0xa0, RING + 0x200],
        ...writes,
      ];
      for (const [offset, value] of layout) device.write(offset, 4, value);
      device.write(0x44, 4, 1);
      assert.equal(device.read(0x44, 4), 0);
      assert.equal(device.read(0x70, 4) & NEEDS_RESET, NEEDS_RESET);
    });
  }
});
