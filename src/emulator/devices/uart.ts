// The console: an NS16550A UART as QEMU's `virt` machine has it, at 0x10000000, irq 10.
// Transmission takes no time: a byte written to THR has left, and THRE and TEMT always read 1. Reception is paced by the
// guest alone: typed bytes wait in `uart.queue` and enter the receive FIFO only while the guest listens. What "listens"
// means, and why no byte of a burst during a Linux boot is lost, is in docs/decisions/uart-receive-rule.md.
// It must never use a timer: the character time-out interrupt is presented at once.
// Source: National Semiconductor PC16550D data sheet; QEMU's hw/char/serial.c where the data sheet is silent.

import {FtvmError} from '../../errors.ts';
import type {BlobField, NumberField, StateTable} from '../state-table.ts';
import type {Device, IrqLine} from './device.ts';

/** Typed bytes that the machine holds, FIFO included; beyond it the source holds them back (DESIGN 3). */
export const CONSOLE_QUEUE_BYTES = 64 * 1024;

const FIFO_BYTES = 16;

/** Reads of LSR that no transmission explains, after which the guest counts as polling for input. Linux 6.12 comes to 2. */
const POLL_THRESHOLD = 4;

const RBR_THR = 0;
const IER = 1;
const IIR_FCR = 2;
const LCR = 3;
const MCR = 4;
const LSR = 5;
const MSR = 6;
const SCR = 7;

const IER_RECEIVED_DATA = 0x01;
const IER_TRANSMITTER_EMPTY = 0x02;
const IER_LINE_STATUS = 0x04;

const IIR_NONE = 0x01;
const IIR_TRANSMITTER_EMPTY = 0x02;
const IIR_RECEIVED_DATA = 0x04;
const IIR_LINE_STATUS = 0x06;
const IIR_CHARACTER_TIMEOUT = 0x0c;
const IIR_ID_MASK = 0x0f;
const IIR_FIFOS_ENABLED = 0xc0;

const FCR_ENABLE = 0x01;
const FCR_RESET_RECEIVER = 0x02;
const FCR_RESET_TRANSMITTER = 0x04;
const FCR_KEPT_BITS = 0xc9;

const LCR_DIVISOR_LATCH = 0x80;
const MCR_LOOPBACK = 0x10;
const MCR_OUT2 = 0x08;

const LSR_DATA_READY = 0x01;
const LSR_OVERRUN = 0x02;
const LSR_TRANSMITTER_EMPTY = 0x60; // THRE and TEMT
const MSR_PEER_PRESENT = 0xb0; // DCD, DSR and CTS, without deltas

/** Receive trigger level by FCR bits 7:6 (PC16550D, 8.4). */
const TRIGGER_LEVELS = [1, 4, 8, 14] as const;

/** Divisor after reset: 12, that is 9600 baud of 1.8432 MHz, as in QEMU. Nothing depends on it. */
const RESET_DIVISOR = 0x000c;

export class Uart implements Device {
  readonly name = 'uart';
  readonly #irq: IrqLine;
  readonly #emit: (byte: number) => void;

  readonly #ier: NumberField;
  readonly #fcr: NumberField;
  readonly #lcr: NumberField;
  readonly #mcr: NumberField;
  readonly #scr: NumberField;
  readonly #divisor: NumberField;
  /** 1 while an interrupt for "transmitter holding register empty" has not been acknowledged. */
  readonly #transmitterInterrupt: NumberField;
  readonly #overrun: NumberField;
  /** LSR reads, less THR writes, since the last access to any other register but RBR; from 0 to POLL_THRESHOLD. */
  readonly #polls: NumberField;
  readonly #fifo: BlobField;
  /** Bit i: byte i of the FIFO was looped back, so it is the guest's own and never returns to the queue. */
  readonly #looped: NumberField;
  readonly #queue: BlobField;

  constructor(options: {state: StateTable; irq: IrqLine; emit: (byte: number) => void}) {
    const {state} = options;
    this.#irq = options.irq;
    this.#emit = options.emit;
    this.#ier = state.u8('uart.ier');
    this.#fcr = state.u8('uart.fcr');
    this.#lcr = state.u8('uart.lcr');
    this.#mcr = state.u8('uart.mcr');
    this.#scr = state.u8('uart.scr');
    this.#divisor = state.u16('uart.divisor');
    this.#transmitterInterrupt = state.u8('uart.transmitterInterrupt');
    this.#overrun = state.u8('uart.overrun');
    this.#polls = state.u8('uart.polls');
    this.#fifo = state.blob('uart.fifo', FIFO_BYTES);
    this.#looped = state.u16('uart.looped');
    this.#queue = state.blob('uart.queue', CONSOLE_QUEUE_BYTES);
    this.reset();
  }

  /** Registers as after power-on. Unread typed bytes stay: they are on the wire, and a reboot does not take them back. */
  reset(): void {
    this.#returnFifo();
    this.#ier.value = 0;
    this.#fcr.value = 0;
    this.#lcr.value = 0;
    this.#mcr.value = MCR_OUT2;
    this.#scr.value = 0;
    this.#divisor.value = RESET_DIVISOR;
    this.#transmitterInterrupt.value = 0;
    this.#overrun.value = 0;
    this.#polls.value = 0;
    this.#updateIrq();
  }

  /** How many more typed bytes `receive` accepts now. */
  get roomBytes(): number {
    return CONSOLE_QUEUE_BYTES - this.#queue.bytes.length - this.#fifo.bytes.length;
  }

  /** Takes typed bytes, at most `roomBytes`. Throws an FtvmError (`divergence`) for more: the log is not this machine's. */
  receive(bytes: Uint8Array): void {
    if (bytes.length > this.roomBytes) {
      throw new FtvmError(
        'divergence',
        `console input of ${bytes.length} bytes, but the queue has room for ${this.roomBytes}`,
        {
          hint: 'the log does not belong to this machine; compare machine versions with `ftvm dump`',
        },
      );
    }
    this.#queue.bytes = concat(this.#queue.bytes, bytes);
    this.#fillFifo();
    this.#updateIrq();
  }

  read(offset: number): number {
    if (offset !== LSR && offset !== RBR_THR) this.#polls.value = 0;
    switch (offset) {
      case RBR_THR:
        return this.#divisorLatched ? this.#divisor.value & 0xff : this.#readReceiveBuffer();
      case IER:
        return this.#divisorLatched ? this.#divisor.value >> 8 : this.#ier.value;
      case IIR_FCR:
        return this.#readInterruptIdentification();
      case LCR:
        return this.#lcr.value;
      case MCR:
        return this.#mcr.value;
      case LSR:
        return this.#readLineStatus();
      case MSR:
        return this.#modemStatus();
      case SCR:
        return this.#scr.value;
      default:
        return 0;
    }
  }

  write(offset: number, _sizeBytes: 1 | 2 | 4, value: number): void {
    const byte = value & 0xff;
    if (offset !== RBR_THR) this.#polls.value = 0;
    switch (offset) {
      case RBR_THR:
        if (this.#divisorLatched) this.#divisor.value = (this.#divisor.value & 0xff00) | byte;
        else this.#transmit(byte);
        break;
      case IER:
        if (this.#divisorLatched) this.#divisor.value = (byte << 8) | (this.#divisor.value & 0xff);
        else this.#writeInterruptEnable(byte & 0x0f);
        break;
      case IIR_FCR:
        this.#writeFifoControl(byte);
        break;
      case LCR:
        this.#lcr.value = byte;
        break;
      case MCR:
        this.#mcr.value = byte & 0x1f;
        this.#fillFifo();
        this.#updateIrq();
        break;
      case SCR:
        this.#scr.value = byte;
        break;
    }
  }

  get #divisorLatched(): boolean {
    return (this.#lcr.value & LCR_DIVISOR_LATCH) !== 0;
  }

  get #loopback(): boolean {
    return (this.#mcr.value & MCR_LOOPBACK) !== 0;
  }

  get #fifosEnabled(): boolean {
    return (this.#fcr.value & FCR_ENABLE) !== 0;
  }

  get #depthBytes(): number {
    return this.#fifosEnabled ? FIFO_BYTES : 1;
  }

  /** The receive rule: the guest has enabled the receive interrupt, or it polls. Never in loopback. */
  get #listening(): boolean {
    if (this.#loopback) return false;
    return (this.#ier.value & IER_RECEIVED_DATA) !== 0 || this.#polls.value >= POLL_THRESHOLD;
  }

  #fillFifo(): void {
    const free = this.#depthBytes - this.#fifo.bytes.length;
    if (free <= 0 || this.#queue.bytes.length === 0 || !this.#listening) return;
    this.#fifo.bytes = concat(this.#fifo.bytes, this.#queue.bytes.subarray(0, free));
    this.#queue.bytes = this.#queue.bytes.subarray(free);
  }

  /** Empties the FIFO: typed bytes go back to the front of the queue, looped ones are dropped. */
  #returnFifo(): void {
    const typed = this.#fifo.bytes.filter((_, index) => ((this.#looped.value >> index) & 1) === 0);
    if (typed.length > 0) this.#queue.bytes = concat(typed, this.#queue.bytes);
    this.#fifo.bytes = new Uint8Array(0);
    this.#looped.value = 0;
  }

  #readReceiveBuffer(): number {
    const fifo = this.#fifo.bytes;
    const byte = fifo[0] ?? 0;
    if (fifo.length > 0) {
      this.#fifo.bytes = fifo.subarray(1);
      this.#looped.value >>= 1;
    }
    this.#fillFifo();
    this.#updateIrq();
    return byte;
  }

  #readInterruptIdentification(): number {
    const iir = this.#interruptIdentification();
    if ((iir & IIR_ID_MASK) === IIR_TRANSMITTER_EMPTY) {
      this.#transmitterInterrupt.value = 0;
      this.#updateIrq();
    }
    return iir;
  }

  #readLineStatus(): number {
    this.#polls.value = Math.min(this.#polls.value + 1, POLL_THRESHOLD);
    this.#fillFifo();
    const lsr =
      LSR_TRANSMITTER_EMPTY |
      (this.#fifo.bytes.length > 0 ? LSR_DATA_READY : 0) |
      (this.#overrun.value !== 0 ? LSR_OVERRUN : 0);
    this.#overrun.value = 0;
    this.#updateIrq();
    return lsr;
  }

  /** In loopback the four modem outputs are wired to the four inputs (PC16550D, 8.7). */
  #modemStatus(): number {
    if (!this.#loopback) return MSR_PEER_PRESENT;
    const mcr = this.#mcr.value;
    return ((mcr & 0x0c) << 4) | ((mcr & 0x02) << 3) | ((mcr & 0x01) << 5);
  }

  #transmit(byte: number): void {
    this.#polls.value = Math.max(this.#polls.value - 1, 0);
    if (this.#loopback) this.#loopBack(byte);
    else this.#emit(byte);
    // The register was full and is empty again within this step: an edge, even if the last one was acknowledged.
    this.#transmitterInterrupt.value = 1;
    this.#updateIrq();
  }

  #loopBack(byte: number): void {
    const length = this.#fifo.bytes.length;
    if (length < this.#depthBytes) {
      this.#fifo.bytes = concat(this.#fifo.bytes, Uint8Array.of(byte));
      this.#looped.value |= 1 << length;
      return;
    }
    this.#overrun.value = 1;
    if (this.#fifosEnabled) return; // A full FIFO loses the new byte, the single register the old one (PC16550D, 8.3).
    this.#returnFifo();
    this.#fifo.bytes = Uint8Array.of(byte);
    this.#looped.value = 1;
  }

  #writeInterruptEnable(value: number): void {
    const changed = this.#ier.value ^ value;
    this.#ier.value = value;
    // Enabling the transmitter interrupt raises it anew as THRE is 1; Linux's startup tests that (serial8250_do_startup).
    if ((changed & IER_TRANSMITTER_EMPTY) !== 0) {
      this.#transmitterInterrupt.value = (value & IER_TRANSMITTER_EMPTY) !== 0 ? 1 : 0;
    }
    this.#fillFifo();
    this.#updateIrq();
  }

  #writeFifoControl(value: number): void {
    const switched = ((value ^ this.#fcr.value) & FCR_ENABLE) !== 0;
    if (switched || (value & FCR_RESET_RECEIVER) !== 0) this.#returnFifo();
    if (switched || (value & FCR_RESET_TRANSMITTER) !== 0) this.#transmitterInterrupt.value = 1;
    this.#fcr.value = value & FCR_KEPT_BITS;
    this.#fillFifo();
    this.#updateIrq();
  }

  /** IIR: the pending interrupt of the highest priority (PC16550D, table IV). */
  #interruptIdentification(): number {
    const fifos = this.#fifosEnabled ? IIR_FIFOS_ENABLED : 0;
    const ier = this.#ier.value;
    const received = this.#fifo.bytes.length;
    if ((ier & IER_LINE_STATUS) !== 0 && this.#overrun.value !== 0) return fifos | IIR_LINE_STATUS;
    if ((ier & IER_RECEIVED_DATA) !== 0 && received > 0) {
      const triggered = !this.#fifosEnabled || received >= (TRIGGER_LEVELS[this.#fcr.value >> 6] ?? 1);
      return fifos | (triggered ? IIR_RECEIVED_DATA : IIR_CHARACTER_TIMEOUT);
    }
    if ((ier & IER_TRANSMITTER_EMPTY) !== 0 && this.#transmitterInterrupt.value !== 0) {
      return fifos | IIR_TRANSMITTER_EMPTY;
    }
    return fifos | IIR_NONE;
  }

  #updateIrq(): void {
    this.#irq.set((this.#interruptIdentification() & IIR_NONE) === 0);
  }
}

function concat(first: Uint8Array, second: Uint8Array): Uint8Array {
  const result = new Uint8Array(first.length + second.length);
  result.set(first);
  result.set(second, first.length);
  return result;
}
