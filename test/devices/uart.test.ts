// The UART: register behaviour, and the receive rule (docs/decisions/uart-receive-rule.md) against the very register
// sequences of OpenSBI, of Linux 6.12 and of a bare-metal guest that polls.

import assert from 'node:assert/strict';
import fc from 'fast-check';
import {CONSOLE_QUEUE_BYTES, Uart} from '../../src/emulator/devices/uart.ts';
import {StateTable} from '../../src/emulator/state-table.ts';
import {copyState, dumpState, FakeLine, SEED} from './fake-machine.ts';

const [RBR, IER, IIR, LCR, MCR, LSR, MSR, SCR] = [0, 1, 2, 3, 4, 5, 6, 7];

function makeUart() {
  const state = new StateTable();
  const line = new FakeLine();
  const emitted: number[] = [];
  const uart = new Uart({state, irq: line, emit: (byte) => emitted.push(byte)});
  const write = (offset: number, value: number) => uart.write(offset, 1, value);
  return {state, line, emitted, uart, write, read: (offset: number) => uart.read(offset)};
}

type Fixture = ReturnType<typeof makeUart>;

const text = (value: string) => new TextEncoder().encode(value);

/** Linux's printk through the 8250 console before and after the tty is open (serial8250_console_write, 6.12). */
function linuxPrintk({read, write}: Fixture, message: string, options: {fifo: boolean}): void {
  const ier = read(IER);
  write(IER, 0);
  if (options.fifo) {
    for (let at = 0; at < message.length; at += 16) {
      assert.equal(read(LSR) & 0x60, 0x60);
      for (const byte of text(message.slice(at, at + 16))) write(RBR, byte);
    }
    read(LSR);
  } else {
    for (const byte of text(message)) {
      assert.equal(read(LSR) & 0x60, 0x60);
      write(RBR, byte);
    }
  }
  assert.equal(read(LSR) & 0x60, 0x60);
  write(IER, ier);
}

function linuxClearFifos({write}: Fixture): void {
  write(IIR, 1);
  write(IIR, 7);
  write(IIR, 0);
}

/** autoconfig() and autoconfig_16550a() with size_fifo(), 6.12. */
function linuxAutoconfig(fixture: Fixture): void {
  const {read, write} = fixture;
  const scratch = read(IER);
  write(IER, 0);
  assert.equal(read(IER), 0);
  write(IER, 0x0f);
  assert.equal(read(IER), 0x0f);
  write(IER, scratch);
  const mcr = read(MCR);
  const lcr = read(LCR);
  write(MCR, 0x1a);
  assert.equal(read(MSR) & 0xf0, 0x90, 'loopback test of Linux');
  write(MCR, mcr);
  write(LCR, 0xbf);
  write(IIR, 0);
  write(LCR, 0);
  write(IIR, 1);
  assert.equal(read(IIR) >> 6, 3, 'a 16550A');
  // size_fifo: fills the FIFO in loopback and counts what comes back.
  const fcr = read(IIR);
  write(LCR, 0);
  write(IIR, 7);
  write(MCR, 0x10);
  for (let byte = 0; byte < 256; byte++) write(RBR, byte);
  let count = 0;
  while ((read(LSR) & 1) !== 0 && count < 256) {
    assert.equal(read(RBR), count);
    count++;
  }
  assert.equal(count, 16);
  write(IIR, fcr);
  write(MCR, mcr);
  write(LCR, lcr);
  linuxClearFifos(fixture);
  read(RBR);
  write(IER, 0);
}

/** serial8250_do_startup() and set_termios(), with a printk in each gap where the port is not locked. */
function linuxStartup(fixture: Fixture): void {
  const {read, write} = fixture;
  const printk = () => linuxPrintk(fixture, 'x', {fifo: false});
  linuxClearFifos(fixture);
  for (const offset of [LSR, RBR, IIR, MSR]) read(offset);
  assert.notEqual(read(LSR), 0xff);
  printk();
  read(LSR); // wait_for_xmitr
  write(IER, 2);
  assert.equal(read(IIR) & 0x0f, 2);
  write(IER, 0);
  write(IER, 2);
  assert.equal(read(IIR) & 0x0f, 2, 'THRE is asserted again: no UART_BUG_THRE');
  write(IER, 0);
  write(LCR, 3);
  write(MCR, 0x08);
  write(IER, 2);
  assert.equal(read(LSR) & 0x40, 0x40);
  assert.equal(read(IIR) & 1, 0, 'no UART_BUG_TXEN');
  write(IER, 0);
  printk();
  for (const offset of [LSR, RBR, IIR, MSR]) read(offset);
  printk();
  write(IER, 5); // set_termios writes IER before it enables the FIFOs
  write(LCR, 0x83);
  write(RBR, 1);
  write(IER, 0);
  write(LCR, 3);
  write(IIR, 1);
  write(IIR, 0x81);
  write(MCR, 0x0b);
}

/** serial8250_handle_irq(): reads at most 256 bytes. */
function linuxInterrupt({read}: Fixture, received: number[]): void {
  if ((read(IIR) & 1) !== 0) return;
  let lsr = read(LSR);
  for (let count = 0; (lsr & 1) !== 0 && count < 256; count++) {
    received.push(read(RBR));
    lsr = read(LSR);
  }
}

type BootStep = (fixture: Fixture, received: number[]) => void;

const LINUX_BOOT: BootStep[] = [
  ({read, write}) => {
    // OpenSBI's uart8250_init
    write(IER, 0);
    write(LCR, 0x80);
    write(RBR, 1);
    write(IER, 0);
    write(LCR, 3);
    write(IIR, 1);
    write(MCR, 0);
    read(LSR);
    read(RBR);
    write(SCR, 0);
  },
  (fixture) => linuxPrintk(fixture, 'OpenSBI', {fifo: false}),
  linuxAutoconfig,
  (fixture) => linuxPrintk(fixture, 'ttyS0 at MMIO 0x10000000\n', {fifo: false}),
  linuxStartup,
  linuxInterrupt,
  (fixture) => linuxPrintk(fixture, 'hello from a driver\n', {fifo: true}),
  linuxInterrupt,
  (fixture) => {
    // serial8250_do_shutdown
    fixture.write(IER, 0);
    fixture.write(LCR, fixture.read(LCR) & ~0x40);
    linuxClearFifos(fixture);
    fixture.read(RBR);
  },
  (fixture) => linuxPrintk(fixture, 'closed\n', {fifo: false}),
  linuxStartup,
  linuxInterrupt,
];

/** The length of the burst before each step. */
const bursts = fc.array(fc.nat(8192), {minLength: LINUX_BOOT.length, maxLength: LINUX_BOOT.length});

function bootWithBursts(boot: BootStep[], lengths: number[]): {sent: number[]; received: number[]} {
  const fixture = makeUart();
  const sent: number[] = [];
  const received: number[] = [];
  for (const [index, step] of boot.entries()) {
    const length = Math.min(lengths[index] ?? 0, fixture.uart.roomBytes);
    const burst = Uint8Array.from({length}, (_, at) => (sent.length + at) % 251);
    fixture.uart.receive(burst);
    sent.push(...burst);
    step(fixture, received);
  }
  while (fixture.line.level) linuxInterrupt(fixture, received);
  return {sent, received};
}

describe('uart', () => {
  it('keeps its registers apart by the divisor latch', () => {
    const {read, write, emitted} = makeUart();
    write(LCR, 0x83);
    write(RBR, 0x34);
    write(IER, 0x12);
    assert.equal(read(RBR), 0x34);
    assert.equal(read(IER), 0x12);
    write(LCR, 3);
    assert.equal(read(IER), 0);
    write(SCR, 0xa5);
    assert.equal(read(SCR), 0xa5);
    write(RBR, 65);
    assert.deepEqual(emitted, [65]);
    assert.equal(read(8), 0);
  });

  it('raises the transmitter interrupt as QEMU does', () => {
    const {read, write, line} = makeUart();
    assert.equal(read(IIR), 1);
    write(IER, 2);
    assert.equal(line.level, true);
    assert.equal(read(IIR), 2);
    assert.equal(line.level, false, 'reading IIR acknowledges');
    assert.equal(read(IIR), 1);
    write(RBR, 65);
    assert.equal(line.level, true, 'the next byte raises it anew');
    write(IER, 0);
    assert.equal(line.level, false);
    write(IER, 2);
    assert.equal(read(IIR), 2, 'enabling it raises it');
  });

  it('presents the trigger level, and the time-out at once below it', () => {
    const {read, write, line, uart} = makeUart();
    write(IIR, 0x81);
    write(IER, 1);
    uart.receive(text('1234567'));
    assert.equal(line.level, true);
    assert.equal(read(IIR), 0xcc);
    uart.receive(text('8'));
    assert.equal(read(IIR), 0xc4);
    for (let left = 8; left > 0; left--) read(RBR);
    assert.equal(line.level, false);
    assert.equal(read(IIR), 0xc1);
  });

  it('feeds a guest that polls LSR and never enables an interrupt', () => {
    const {read, write, uart, emitted} = makeUart();
    uart.receive(text('hello'));
    const received: number[] = [];
    for (let step = 0; step < 100; step++) {
      if ((read(LSR) & 1) === 0) continue;
      const byte = read(RBR);
      received.push(byte);
      while ((read(LSR) & 0x20) === 0);
      write(RBR, byte);
    }
    assert.deepEqual(received, [...text('hello')]);
    assert.deepEqual(emitted, received);
  });

  it('feeds a guest that polls between its own output', () => {
    const {read, write, uart} = makeUart();
    uart.receive(text('a'));
    for (let step = 0; step < 10; step++) {
      if ((read(LSR) & 1) !== 0) return;
      while ((read(LSR) & 0x20) === 0);
      write(RBR, 0x2e);
    }
    assert.fail('the byte never came');
  });

  it('delivers nothing to a guest that only prints', () => {
    const fixture = makeUart();
    fixture.uart.receive(text('typed early'));
    linuxPrintk(fixture, 'Linux version 6.12', {fifo: true});
    for (let line = 0; line < 50; line++) linuxPrintk(fixture, 'message\n', {fifo: line % 2 === 0});
    assert.equal(fixture.read(RBR), 0);
    assert.equal(fixture.uart.roomBytes, CONSOLE_QUEUE_BYTES - 'typed early'.length);
  });

  it(`loses and reorders nothing of bursts at any moment of a Linux boot (seed ${SEED})`, () => {
    fc.assert(
      fc.property(bursts, (lengths) => {
        const {sent, received} = bootWithBursts(LINUX_BOOT, lengths);
        assert.deepEqual(received, sent);
      }),
      {seed: SEED, numRuns: 30},
    );
  });

  it('canary: a driver that polls and then throws a byte away is seen to lose one', () => {
    const careless: BootStep = ({read}) => {
      for (let poll = 0; poll < 4; poll++) read(LSR);
      read(RBR);
    };
    const {sent, received} = bootWithBursts(
      [careless, ...LINUX_BOOT.slice(1)],
      [10, ...LINUX_BOOT.slice(1).map(() => 0)],
    );
    assert.notDeepEqual(received, sent);
  });

  it('returns unread bytes to the front of the queue on a FIFO reset, but no looped ones', () => {
    const {read, write, uart} = makeUart();
    write(IIR, 1);
    write(IER, 1);
    uart.receive(text('abcdefghijklmnopqrstuvwxyz'));
    assert.equal(read(RBR), 97);
    write(MCR, 0x10);
    read(RBR);
    write(RBR, 0x21); // loops back behind the unread ones
    write(IER, 0);
    write(MCR, 0);
    write(IIR, 3);
    assert.equal(read(LSR) & 1, 0);
    write(IER, 1);
    const rest: number[] = [];
    while ((read(LSR) & 1) !== 0) rest.push(read(RBR));
    assert.deepEqual(rest, [...text('cdefghijklmnopqrstuvwxyz')]);
  });

  it('reports an overrun of the loopback once', () => {
    const {read, write, line} = makeUart();
    write(IIR, 1);
    write(MCR, 0x10);
    write(IER, 4);
    for (let byte = 0; byte < 17; byte++) write(RBR, byte);
    assert.equal(line.level, true);
    assert.equal(read(IIR) & 0x0f, 6);
    assert.equal(read(LSR) & 2, 2);
    assert.equal(read(LSR) & 2, 0);
    assert.equal(line.level, false);
  });

  it('refuses more than the queue holds with a named error', () => {
    const {uart} = makeUart();
    uart.receive(new Uint8Array(CONSOLE_QUEUE_BYTES));
    assert.equal(uart.roomBytes, 0);
    assert.throws(() => uart.receive(new Uint8Array(1)), {name: 'FtvmError', code: 'divergence'});
  });

  it(`does the same however its input is cut, and after a restore (seed ${SEED})`, () => {
    const access = fc.oneof(
      fc.record({kind: fc.constant('read' as const), offset: fc.nat(7)}),
      fc.record({kind: fc.constant('write' as const), offset: fc.nat(7), value: fc.nat(255)}),
      fc.record({kind: fc.constant('receive' as const), bytes: fc.uint8Array({maxLength: 40})}),
    );
    fc.assert(
      fc.property(fc.array(access, {maxLength: 200}), (accesses) => {
        const whole = makeUart();
        let cut = makeUart();
        for (const step of accesses) {
          const emitted = cut.emitted;
          const restored = makeUart();
          copyState(cut.state, restored.state);
          restored.line.level = cut.line.level;
          cut = restored;
          cut.emitted.push(...emitted);
          if (step.kind === 'read') {
            assert.equal(cut.read(step.offset), whole.read(step.offset));
          } else if (step.kind === 'write') {
            whole.write(step.offset, step.value);
            cut.write(step.offset, step.value);
          } else {
            whole.uart.receive(step.bytes);
            for (const byte of step.bytes) cut.uart.receive(Uint8Array.of(byte));
          }
          assert.deepEqual(dumpState(cut.state), dumpState(whole.state));
          assert.equal(cut.line.level, whole.line.level);
        }
        assert.deepEqual(cut.emitted, whole.emitted);
      }),
      {seed: SEED, numRuns: 100},
    );
  });
});
