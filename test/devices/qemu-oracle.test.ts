// QEMU as the judge of the devices' registers: its `virt` machine, with the processor stopped, takes reads and writes of physical
// addresses over its qtest channel; our devices take the same ones. No guest program stands between.
//
// Left out, as ours differ on purpose: receive data (docs/decisions/uart-receive-rule.md), what touches a source in service
// (docs/decisions/plic-gateways.md), claims below the threshold, which QEMU refuses and the specification does not, queue sizes and
// feature bits of virtio (QEMU takes drivers without VERSION_1 too), and the clock's value, which runs in QEMU.

import assert from 'node:assert/strict';
import {type ChildProcessWithoutNullStreams, spawn} from 'node:child_process';
import {createInterface} from 'node:readline';
import fc from 'fast-check';
import {Bus} from '../../src/emulator/devices/bus.ts';
import {GoldfishRtc} from '../../src/emulator/devices/goldfish-rtc.ts';
import {Plic} from '../../src/emulator/devices/plic.ts';
import {Uart} from '../../src/emulator/devices/uart.ts';
import {VirtioEmptySlot} from '../../src/emulator/devices/virtio-empty-slot.ts';
import {VirtioEntropy} from '../../src/emulator/devices/virtio-entropy.ts';
import {StateTable} from '../../src/emulator/state-table.ts';
import {QEMU, qemuMissing} from '../support/qemu.ts';
import {skipUnless} from '../support/skip.ts';
import {FakeLine, FakeMemory, SEED} from './fake-machine.ts';

const UART = 0x1000_0000;
const PLIC = 0x0c00_0000;
const RTC = 0x0010_1000;
const VIRTIO = 0x1000_1000;
const PLIC_PENDING = PLIC + 0x1000;
const PLIC_ENABLE_1 = PLIC + 0x2080;
const PLIC_THRESHOLD_1 = PLIC + 0x20_1000;
const PLIC_CLAIM_1 = PLIC + 0x20_1004;
const UART_SOURCE = 10;

type Access = {address: number; size: 1 | 4; value?: number};

/** QEMU's devices behind a line-by-line channel. */
class Oracle {
  readonly #child: ChildProcessWithoutNullStreams;
  readonly #answers: AsyncIterator<string>;

  constructor() {
    this.#child = spawn(QEMU, [
      ...[
        '-machine',
        'virt',
        '-m',
        '16M',
        '-bios',
        'none',
        '-S',
        '-display',
        'none',
        '-monitor',
        'none',
        '-serial',
        'null',
      ],
      ...['-qtest', 'stdio', '-qtest-log', '/dev/null'],
      ...['-global', 'virtio-mmio.force-legacy=false', '-device', 'virtio-rng-device,bus=virtio-mmio-bus.0'],
    ]);
    this.#answers = createInterface({input: this.#child.stdout})[Symbol.asyncIterator]();
  }

  /** Performs the accesses, in order; a write answers 0. */
  async perform(accesses: readonly Access[]): Promise<number[]> {
    const commands = accesses.map(({address, size, value}) => {
      const width = size === 1 ? 'b' : 'l';
      return value === undefined ? `read${width} ${address}` : `write${width} ${address} ${value >>> 0}`;
    });
    this.#child.stdin.write(`${commands.join('\n')}\n`);
    const values: number[] = [];
    for (const command of commands) {
      const {value: line} = await this.#answers.next();
      assert.match(String(line), /^OK/, command);
      values.push(command.startsWith('read') ? Number(String(line).split(' ')[1]) : 0);
    }
    return values;
  }

  close(): void {
    this.#child.stdin.end();
    this.#child.kill('SIGKILL');
  }
}

/** Our devices, at the same addresses. */
function makeBus(): Bus {
  const state = new StateTable();
  const plic = new Plic({state, harts: [{meip: new FakeLine(), seip: new FakeLine()}]});
  const memory = new FakeMemory();
  const bus = new Bus();
  bus.map({base: UART, lengthBytes: 0x100, device: new Uart({state, irq: plic.line(UART_SOURCE), emit: () => {}})});
  bus.map({base: PLIC, lengthBytes: 0x60_0000, device: plic});
  const rtc = new GoldfishRtc({state, irq: plic.line(11), epochNs: 0n, mtime: () => 0n});
  bus.map({base: RTC, lengthBytes: 0x1000, device: rtc});
  const entropy = new VirtioEntropy({state, name: 'entropy', irq: plic.line(1), memory});
  bus.map({base: VIRTIO, lengthBytes: 0x1000, device: entropy});
  bus.map({base: VIRTIO + 0x1000, lengthBytes: 0x1000, device: new VirtioEmptySlot()});
  return bus;
}

function perform(bus: Bus, accesses: readonly Access[]): number[] {
  return accesses.map(({address, size, value}) => {
    if (value === undefined) return bus.read(address, size) ?? assert.fail(`nothing at ${address.toString(16)}`);
    assert(bus.write(address, size, value));
    return 0;
  });
}

const read = (address: number, size: 1 | 4 = 4): Access => ({address, size});
const write = (address: number, value: number, size: 1 | 4 = 4): Access => ({address, size, value});

/** Brings the UART of a used QEMU back to what a new one is, as far as the tests look. */
const UART_QUIET: Access[] = [
  write(UART + 3, 0, 1),
  write(UART + 1, 0, 1),
  write(UART + 4, 0x08, 1),
  write(UART + 2, 1, 1),
  write(UART + 2, 0, 1),
  write(UART + 7, 0, 1),
  write(UART + 3, 0x80, 1),
  write(UART, 12, 1),
  write(UART + 1, 0, 1),
  write(UART + 3, 0, 1),
  read(UART + 5, 1),
];

describe('devices against QEMU', () => {
  let oracle: Oracle;

  before(function () {
    skipUnless(this, qemuMissing() === undefined, qemuMissing() ?? '');
  });

  beforeEach(() => {
    oracle = new Oracle();
  });

  afterEach(() => oracle.close());

  /** Both get the same accesses, from the same beginning. */
  async function compare(
    accesses: readonly Access[],
    options: {planted?: (values: number[]) => void} = {},
  ): Promise<void> {
    const expected = await oracle.perform(accesses);
    const actual = perform(makeBus(), accesses);
    options.planted?.(actual);
    accesses.forEach(({address, value}, index) => {
      const what = value === undefined ? 'read' : `write ${value.toString(16)} to`;
      assert.equal(actual[index], expected[index], `access ${index}: ${what} ${address.toString(16)}`);
    });
  }

  /** Random accesses to the UART; in loopback nothing is sent, since received data is left out. */
  const uartAccesses = fc
    .array(
      fc.record({
        offset: fc.nat(7),
        value: fc.option(fc.nat(255), {nil: undefined}),
      }),
      {minLength: 1, maxLength: 60},
    )
    .map((steps) =>
      steps.flatMap(({offset, value}): Access[] => {
        const address = UART + offset;
        if (value === undefined) return [read(address, 1), read(UART + 2, 1)];
        // MCR keeps five bits, of which loopback stays off; LSR and MSR are read-only for us and for QEMU.
        return [write(address, offset === 4 ? value & 0x0f : value, 1), read(UART + 5, 1)];
      }),
    );

  it(`UART: registers, FIFO control and transmitter interrupt (seed ${SEED})`, async () => {
    await fc.assert(
      fc.asyncProperty(uartAccesses, (accesses) => compare([...UART_QUIET, ...accesses])),
      {seed: SEED, numRuns: 300},
    );
  }).timeout(60_000);

  it(`canary: one wrong bit is seen (seed ${SEED})`, async () => {
    const details = await fc.check(
      fc.asyncProperty(uartAccesses, (accesses) =>
        compare([...UART_QUIET, ...accesses], {
          planted: (values) => {
            values[values.length - 1] = (values.at(-1) ?? 0) ^ 1;
          },
        }),
      ),
      {seed: SEED, numRuns: 5, endOnFailure: true},
    );
    assert.equal(details.failed, true);
  });

  it('UART: modem status in loopback', () =>
    compare([
      ...UART_QUIET,
      ...[0, 1, 2, 4, 8, 15].flatMap((outputs) => [
        write(UART + 4, 0x10 | outputs, 1),
        read(UART + 6, 1),
        read(UART + 4, 1),
      ]),
      write(UART + 4, 0xff, 1),
      read(UART + 4, 1),
      write(UART + 4, 8, 1),
      read(UART + 6, 1),
    ]));

  it(`PLIC: priorities, enables and thresholds (seed ${SEED})`, async () => {
    const offsets = fc.oneof(
      fc.integer({min: 1, max: 95}).map((source) => 4 * source),
      fc.constantFrom(0x1000, 0x1004, 0x1008),
      fc.constantFrom(0x2000, 0x2004, 0x2008, 0x2080, 0x2084, 0x2088),
      fc.constantFrom(0x20_0000, 0x20_1000),
    );
    // The same QEMU serves every run: each begins with the registers that the runs write at zero.
    const accesses = fc.array(fc.record({offset: offsets, value: fc.nat(0xffff_ffff)}), {maxLength: 40}).map((steps) =>
      // QEMU 7.2 keeps an enable bit for source 0, which does not exist; the specification has it zero.
      steps.flatMap(({offset, value}) => [write(PLIC + offset, value & ~1), read(PLIC + offset)]),
    );
    const zero = [
      ...Array.from({length: 95}, (_, index) => 4 * (index + 1)),
      ...[0x2000, 0x2004, 0x2008, 0x2080, 0x2084, 0x2088, 0x20_0000, 0x20_1000],
    ].map((offset) => write(PLIC + offset, 0));
    await fc.assert(
      fc.asyncProperty(accesses, (steps) => compare([...UART_QUIET, ...zero, ...steps])),
      {seed: SEED, numRuns: 100},
    );
  }).timeout(60_000);

  it('PLIC: a request, masked at its device before the claim, stays; completed, the next one comes', () =>
    compare([
      ...UART_QUIET,
      write(PLIC + 4 * UART_SOURCE, 3),
      write(PLIC_ENABLE_1, 1 << UART_SOURCE),
      write(PLIC_THRESHOLD_1, 0),
      read(PLIC_CLAIM_1),
      write(PLIC_CLAIM_1, UART_SOURCE),
      write(UART + 1, 2, 1),
      read(PLIC_PENDING),
      write(UART + 1, 0, 1),
      read(PLIC_PENDING),
      read(PLIC_CLAIM_1),
      read(PLIC_PENDING),
      read(PLIC_CLAIM_1),
      write(PLIC_CLAIM_1, UART_SOURCE),
      read(PLIC_PENDING),
      write(UART + 1, 2, 1),
      read(PLIC_PENDING),
      read(UART + 2, 1),
      read(PLIC_CLAIM_1),
      write(PLIC_CLAIM_1, UART_SOURCE),
      write(PLIC_CLAIM_1, 0),
      read(PLIC_PENDING),
    ]));

  it('RTC: alarm registers and its interrupt', () =>
    compare([
      read(RTC + 0x08),
      read(RTC + 0x0c),
      read(RTC + 0x10),
      write(RTC + 0x10, 0xff),
      read(RTC + 0x10),
      write(RTC + 0x0c, 0x7000_0000),
      write(RTC + 0x08, 0x1234_5678),
      read(RTC + 0x08),
      read(RTC + 0x0c),
      read(RTC + 0x18),
      write(RTC + 0x14, 1),
      read(RTC + 0x18),
      write(RTC + 0x0c, 0),
      write(RTC + 0x08, 0),
      read(RTC + 0x18),
      read(PLIC_PENDING),
      write(RTC + 0x1c, 1),
      read(RTC + 0x14),
      read(RTC + 0x1c),
      read(RTC + 0x20),
    ]));

  it('virtio-mmio: identity, status, queues and an empty slot', () =>
    compare([
      ...[0, 4, 8, 0xc].flatMap((offset) => [read(VIRTIO + offset), read(VIRTIO + 0x1000 + offset)]),
      ...[0, 1, 3].flatMap((status) => [write(VIRTIO + 0x70, status), read(VIRTIO + 0x70)]),
      write(VIRTIO + 0x70, 0),
      write(VIRTIO + 0x70, 1),
      write(VIRTIO + 0x70, 3),
      write(VIRTIO + 0x24, 1),
      write(VIRTIO + 0x20, 1),
      write(VIRTIO + 0x70, 0xb),
      read(VIRTIO + 0x70),
      write(VIRTIO + 0x30, 9),
      read(VIRTIO + 0x34),
      read(VIRTIO + 0x44),
      write(VIRTIO + 0x30, 0),
      read(VIRTIO + 0x44),
      read(VIRTIO + 0x60),
      read(VIRTIO + 0xfc),
      read(VIRTIO + 0xb0),
      write(VIRTIO + 0x50, 5),
      read(VIRTIO + 0x70),
    ]));
});
