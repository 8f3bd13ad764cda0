// The block device: requests read guest memory when issued and take effect when completed, in the order of issue.

import assert from 'node:assert/strict';
import {DiskOverlay} from '../../src/emulator/devices/disk-overlay.ts';
import {VirtioBlock} from '../../src/emulator/devices/virtio-block.ts';
import {StateTable} from '../../src/emulator/state-table.ts';
import {
  bringUp,
  copyState,
  dumpState,
  FakeImage,
  FakeLine,
  FakeMemory,
  FEATURE_EVENT_IDX,
  FEATURE_INDIRECT,
  FEATURE_VERSION_1,
  type Piece,
  RAM_BASE,
  RingDriver,
} from './fake-machine.ts';

const SECTORS = 64;
const RING = RAM_BASE + 0x1000;
const HEADER = RAM_BASE + 0x8000;
const DATA = RAM_BASE + 0x10000;
const STATUS = RAM_BASE + 0x9000;
const [IN, OUT, FLUSH, GET_ID, DISCARD, WRITE_ZEROES] = [0, 1, 4, 8, 11, 13];

function makeDisk(features = FEATURE_VERSION_1, size = 16) {
  const memory = new FakeMemory();
  const base = new FakeImage(Uint8Array.from({length: SECTORS * 512}, (_, index) => (index >> 9) + 1));
  const parts = makeParts(memory, base);
  const ring = new RingDriver(memory, {base: RING, size});
  assert.equal(bringUp(parts.disk, features, [ring]), 15);
  return {...parts, memory, base, ring, requests: {count: 0}};
}

function makeParts(memory: FakeMemory, base: FakeImage) {
  const state = new StateTable();
  const line = new FakeLine();
  const overlay = new DiskOverlay({name: 'disk0.overlay', base});
  const disk = new VirtioBlock({state, name: 'disk0', irq: line, memory, overlay});
  return {state, line, overlay, disk};
}

type Fixture = ReturnType<typeof makeDisk>;

/** Adds a request, each with a header and a status byte of its own, which it returns. */
function add(
  fixture: Fixture,
  request: {type: number; sector?: number; data?: Piece[]; indirect?: boolean},
): {head: number; status: () => number} {
  const number = fixture.requests.count++;
  const header = HEADER + 16 * number;
  const statusAddress = STATUS + number;
  fixture.memory.writeU32(header, request.type);
  fixture.memory.writeU64(header + 8, BigInt(request.sector ?? 0));
  fixture.memory.writeU8(statusAddress, 0xee);
  const pieces = [
    {address: header, lengthBytes: 16, writable: false},
    ...(request.data ?? []),
    {address: statusAddress, lengthBytes: 1, writable: true},
  ];
  const head = fixture.ring.add(pieces, {indirect: request.indirect ?? false});
  return {head, status: () => fixture.memory.read(statusAddress, 1)[0] ?? -1};
}

const piece = (offset: number, lengthBytes: number, writable: boolean): Piece => ({
  address: DATA + offset,
  lengthBytes,
  writable,
});

describe('virtio-block', () => {
  it('presents itself as virtio 1.2 demands', () => {
    const {disk} = makeDisk();
    assert.deepEqual(
      [0, 4, 8, 0xc].map((offset) => disk.read(offset, 4)),
      [0x74726976, 2, 2, 0x554d4551],
    );
    disk.write(0x14, 4, 1);
    assert.equal(disk.read(0x10, 4), 1);
    disk.write(0x14, 4, 0);
    assert.equal(disk.read(0x10, 4), 0x30006646);
    assert.equal(disk.read(0x100, 4), SECTORS);
    assert.equal(disk.read(0x114, 4), 512);
    assert.equal(disk.read(0x118, 1), 3);
    assert.equal(disk.read(0x34, 4), 128);
    assert.equal(disk.read(0xb0, 4), 0xffff_ffff);
    disk.write(0x30, 4, 7);
    assert.equal(disk.read(0x34, 4), 0);
  });

  it('refuses features that it did not offer, and drivers of before version 1', () => {
    for (const features of [FEATURE_VERSION_1 | (1n << 40n), 0n, FEATURE_VERSION_1 | (1n << 11n)]) {
      const {disk} = makeParts(new FakeMemory(), new FakeImage(new Uint8Array(512)));
      assert.equal(bringUp(disk, features, []) & 8, 0);
    }
  });

  for (const indirect of [false, true]) {
    it(`reads and writes through ${indirect ? 'indirect' : 'direct'} descriptors`, () => {
      const fixture = makeDisk(FEATURE_VERSION_1 | FEATURE_INDIRECT);
      const {disk, memory, ring, line, base} = fixture;
      const before = base.bytes.slice();
      memory.write(DATA, new Uint8Array(1024).fill(0xab));
      const write = add(fixture, {
        type: OUT,
        sector: 3,
        indirect,
        data: [piece(0, 512, false), piece(512, 512, false)],
      });
      ring.notify(disk);
      assert.deepEqual(disk.pending(), ['write']);
      assert.equal(line.level, false);
      assert.equal(write.status(), 0xee, 'nothing happens before the completion');
      memory.write(DATA, new Uint8Array(1024)); // The bounce buffer holds what was there at the issue.
      disk.complete(1, 'ok');
      assert.equal(write.status(), 0);
      assert.deepEqual(ring.takeUsed(), {head: write.head, writtenBytes: 1});
      assert.equal(line.level, true);
      assert.equal(disk.read(0x60, 4), 1);
      disk.write(0x64, 4, 1);
      assert.equal(line.level, false);

      const read = add(fixture, {
        type: IN,
        sector: 2,
        indirect,
        data: [piece(0, 100, true), piece(100, 2048 - 100, true)],
      });
      ring.notify(disk);
      disk.complete(1, 'ok');
      assert.deepEqual(ring.takeUsed(), {head: read.head, writtenBytes: 2049});
      const sectors = [0, 512, 1024, 1536].map((offset) => memory.read(DATA + offset, 512));
      assert.deepEqual(
        sectors.map((sector) => [...new Set(sector)]),
        [[3], [0xab], [0xab], [6]],
      );
      assert.deepEqual(base.bytes, before);
    });
  }

  it('serialises overlapping requests by their order', () => {
    const fixture = makeDisk();
    const {disk, memory, ring} = fixture;
    memory.write(DATA, new Uint8Array(512).fill(1));
    memory.write(DATA + 512, new Uint8Array(512).fill(2));
    add(fixture, {type: OUT, sector: 0, data: [piece(0, 512, false)]});
    add(fixture, {type: IN, sector: 0, data: [piece(1024, 512, true)]});
    add(fixture, {type: OUT, sector: 0, data: [piece(512, 512, false)]});
    ring.notify(disk);
    assert.deepEqual(disk.pending(), ['write', 'read', 'write']);
    disk.complete(1, 'ok');
    disk.complete(2, 'ok');
    assert.equal(memory.read(DATA + 1024, 1)[0], 1);
    const sector = new Uint8Array(512);
    fixture.overlay.read(0, sector);
    assert.equal(sector[0], 2);
  });

  it('delivers many completions with one interrupt, each in order', () => {
    const fixture = makeDisk();
    const heads = [0, 1, 2].map(
      (sector) => add(fixture, {type: IN, sector, data: [piece(512 * sector, 512, true)]}).head,
    );
    fixture.ring.notify(fixture.disk);
    fixture.disk.complete(3, 'ok');
    assert.deepEqual(
      heads.map(() => fixture.ring.takeUsed()?.head),
      heads,
    );
    assert.equal(fixture.line.rises, 1);
  });

  it('answers a failed request with IOERR and no other effect', () => {
    const fixture = makeDisk();
    const {disk, memory, ring, overlay} = fixture;
    memory.write(DATA, new Uint8Array(512).fill(9));
    const write = add(fixture, {type: OUT, sector: 1, data: [piece(0, 512, false)]});
    const read = add(fixture, {type: IN, sector: 1, data: [piece(0, 512, true)]});
    ring.notify(disk);
    disk.complete(2, 'ioError');
    assert.deepEqual([write.status(), read.status()], [1, 1]);
    assert.equal(memory.read(DATA, 1)[0], 9);
    assert.deepEqual([...overlay.present()], []);
    assert.deepEqual(ring.takeUsed(), {head: write.head, writtenBytes: 1});
    assert.deepEqual(ring.takeUsed(), {head: read.head, writtenBytes: 1});
  });

  it('answers requests beyond the disk, or of a broken size, with IOERR when they complete', () => {
    const fixture = makeDisk();
    const {disk, ring} = fixture;
    const requests = [
      add(fixture, {type: IN, sector: SECTORS, data: [piece(0, 512, true)]}),
      add(fixture, {type: OUT, sector: SECTORS - 1, data: [piece(0, 1024, false)]}),
      add(fixture, {type: IN, sector: 0, data: [piece(0, 100, true)]}),
    ];
    fixture.memory.writeU64(HEADER + 16 * 3 + 8, 2n ** 64n - 1n);
    ring.notify(disk);
    assert.equal(disk.pending().length, 3);
    disk.complete(3, 'ok');
    assert.deepEqual(
      requests.map(({status}) => status()),
      [1, 1, 1],
    );
    const huge = add(fixture, {type: IN, data: [piece(0, 512, true)]});
    fixture.memory.writeU64(HEADER + 16 * 3 + 8, 2n ** 64n - 1n);
    ring.notify(disk);
    disk.complete(1, 'ok');
    assert.equal(huge.status(), 1);
  });

  it('answers unknown requests at once', () => {
    const fixture = makeDisk();
    const unknown = add(fixture, {type: 99});
    fixture.ring.notify(fixture.disk);
    assert.equal(unknown.status(), 2);
    assert.deepEqual(fixture.disk.pending(), []);
    assert.equal(fixture.line.level, true);
  });

  it('flushes, identifies itself, discards and writes zeroes', () => {
    const fixture = makeDisk();
    const {disk, memory, ring, overlay} = fixture;
    const range = (at: number, sector: number, sectors: number, flags = 0) => {
      memory.writeU64(DATA + at, BigInt(sector));
      memory.writeU32(DATA + at + 8, sectors);
      memory.writeU32(DATA + at + 12, flags);
    };
    overlay.write(0, new Uint8Array(4096 * 3).fill(0x55));
    const flush = add(fixture, {type: FLUSH});
    const id = add(fixture, {type: GET_ID, data: [piece(0x100, 20, true)]});
    range(0, 8, 8);
    const discard = add(fixture, {type: DISCARD, data: [piece(0, 16, false)]});
    range(16, 2, 3, 1);
    const zeroes = add(fixture, {type: WRITE_ZEROES, data: [piece(16, 16, false)]});
    range(32, SECTORS - 1, 2);
    const beyond = add(fixture, {type: WRITE_ZEROES, data: [piece(32, 16, false)]});
    ring.notify(disk);
    assert.deepEqual(disk.pending(), ['flush', 'identify', 'discard', 'discard', 'discard']);
    range(48, 0, 8, 2);
    const flags = add(fixture, {type: DISCARD, data: [piece(48, 16, false)]});
    ring.notify(disk);
    disk.complete(6, 'ok');
    assert.deepEqual(
      [flush, id, discard, zeroes, beyond, flags].map(({status}) => status()),
      [0, 0, 0, 0, 1, 2],
    );
    assert.equal(Buffer.from(memory.read(DATA + 0x100, 5)).toString(), 'disk0');
    const bytes = new Uint8Array(4096 * 3);
    overlay.read(0, bytes);
    assert.deepEqual([bytes[1023], bytes[1024], bytes[2559], bytes[2560]], [0x55, 0, 0, 0x55]);
    assert.equal(bytes[4096], 9, 'a discarded page reads as the base');
    assert.equal(bytes[8192], 0x55);
  });

  it('heeds NO_INTERRUPT and the event index', () => {
    const plain = makeDisk();
    plain.ring.setNoInterrupt(true);
    add(plain, {type: FLUSH});
    plain.ring.notify(plain.disk);
    plain.disk.complete(1, 'ok');
    assert.equal(plain.line.level, false);

    const fixture = makeDisk(FEATURE_VERSION_1 | FEATURE_EVENT_IDX);
    fixture.ring.setUsedEvent(2);
    for (let count = 0; count < 4; count++) add(fixture, {type: FLUSH});
    fixture.ring.notify(fixture.disk);
    assert.equal(fixture.ring.availEvent, 4, 'asks for the next entry');
    fixture.disk.complete(2, 'ok');
    assert.equal(fixture.line.level, false);
    fixture.disk.complete(1, 'ok');
    assert.equal(fixture.line.level, true, 'the third completion crosses the event');
    fixture.disk.write(0x64, 4, 1);
    fixture.disk.complete(1, 'ok');
    assert.equal(fixture.line.level, false);
  });

  it('leaves requests beyond its limits in the ring until others have completed', () => {
    const memory = new FakeMemory(8 * 1024 * 1024);
    const parts = makeParts(memory, new FakeImage(new Uint8Array(8 * 1024 * 1024)));
    const ring = new RingDriver(memory, {base: RING, size: 64});
    bringUp(parts.disk, FEATURE_VERSION_1, [ring]);
    const fixture = {...parts, memory, base: new FakeImage(new Uint8Array(0)), ring, requests: {count: 0}};
    for (let count = 0; count < 7; count++) {
      add(fixture, {type: OUT, data: [{address: DATA, lengthBytes: 3 * 1024 * 1024, writable: false}]});
    }
    ring.notify(parts.disk);
    assert.equal(parts.disk.pending().length, 6, 'six times 3 MiB: the sixth was issued below 16 MiB');
    parts.disk.complete(1, 'ok');
    assert.equal(parts.disk.pending().length, 6);
    parts.disk.complete(6, 'ok');
    assert.equal(parts.disk.pending().length, 0);
    const large = add(fixture, {type: OUT, data: [{address: DATA, lengthBytes: 5 * 1024 * 1024, writable: false}]});
    ring.notify(parts.disk);
    assert.ok((parts.state.entries.find(({name}) => name === 'disk0.request.7')?.read().length ?? 1e9) < 100);
    parts.disk.complete(1, 'ok');
    assert.equal(large.status(), 1);
  });

  it('goes on identically from a restored state, request in flight included', () => {
    const one = makeDisk();
    one.memory.write(DATA, new Uint8Array(512).fill(0x77));
    add(one, {type: OUT, sector: 5, data: [piece(0, 512, false)]});
    add(one, {type: IN, sector: 5, data: [piece(1024, 512, true)]});
    one.ring.notify(one.disk);

    const memory = new FakeMemory();
    memory.bytes.set(one.memory.bytes);
    const two = makeParts(memory, one.base);
    copyState(one.state, two.state);
    assert.deepEqual(two.disk.pending(), ['write', 'read']);
    one.disk.complete(2, 'ok');
    two.disk.complete(1, 'ok');
    two.disk.complete(1, 'ok');
    assert.deepEqual(dumpState(two.state), dumpState(one.state));
    assert.deepEqual(memory.bytes, one.memory.bytes);
    assert.deepEqual(two.overlay.page(0), one.overlay.page(0));
  });

  it('drops what is in flight at a reset, and works again after it', () => {
    const fixture = makeDisk();
    const lost = add(fixture, {type: IN, data: [piece(0, 512, true)]});
    fixture.ring.notify(fixture.disk);
    fixture.disk.write(0x70, 4, 0);
    assert.deepEqual(fixture.disk.pending(), []);
    assert.equal(lost.status(), 0xee);
    assert.throws(() => fixture.disk.complete(1, 'ok'), {name: 'FtvmError', code: 'divergence'});
    const ring = new RingDriver(fixture.memory, {base: RING + 0x2000, size: 8});
    assert.equal(bringUp(fixture.disk, FEATURE_VERSION_1, [ring]), 15);
    const again = {...fixture, ring};
    const read = add(again, {type: IN, data: [piece(0, 512, true)]});
    ring.notify(fixture.disk);
    fixture.disk.complete(1, 'ok');
    assert.equal(read.status(), 0);
  });

  it('does nothing before DRIVER_OK, nor for a queue that does not exist', () => {
    const fixture = makeDisk();
    add(fixture, {type: FLUSH});
    fixture.disk.write(0x50, 4, 1);
    fixture.disk.write(0x50, 4, 0xffff_ffff | 0);
    assert.deepEqual(fixture.disk.pending(), []);
    fixture.disk.write(0x70, 4, 11);
    fixture.ring.notify(fixture.disk);
    assert.deepEqual(fixture.disk.pending(), []);
  });
});
