// Rings that a malicious or broken guest may build. Whatever they hold: no device throws, none loops for long, none touches
// anything outside RAM, and each works again after a reset. The guest memory of the tests refuses what lies outside it, and
// counts accesses. FTVM_TEST_SEED repeats a run.

import assert from 'node:assert/strict';
import fc from 'fast-check';
import {bringUp, FakeMemory, FEATURE_INDIRECT, FEATURE_VERSION_1, RAM_BASE, RingDriver, SEED} from './fake-machine.ts';
import {
  BUFFERS,
  deliverInputs,
  makeSubject,
  NEEDS_RESET,
  play,
  RAM_BYTES,
  RING,
  ringCase,
  SIZE,
  type Subject,
} from './ring-cases.ts';

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
        const memory = makeMemory();
        const {subject, completed, broken} = play(ring, memory);
        tally.completed += completed;
        tally.broken += broken ? 1 : 0;
        memory.accesses = 0;
        worksAfterReset(subject, memory);
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
      fc.property(ringCase, (ring) => void play(ring, new CredulousMemory(RAM_BYTES))),
      {seed: SEED, numRuns: 3000, endOnFailure: true},
    );
    assert.equal(details.failed, true);
    assert.match(String(details.errorInstance), /access outside RAM/);
  }).timeout(60_000);

  const SIMPLE = {address: BUFFERS, lengthBytes: 16, flags: 0, next: 0};
  const faults: Record<string, (ring: RingDriver, memory: FakeMemory) => void> = {
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
  for (const [what, build] of Object.entries(faults)) {
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
