// Control and status registers (Privileged ISA, chapter 2): what each number reads, what may be written, and what follows from
// a write. WARL fields take the nearest legal value or keep the old one, as noted. Those that every trap needs are not here, but in
// wasm/privileged.ts: mstatus, sstatus, and the scratch, epc, cause and tval registers.

import {PMP_ENTRIES, type StoredCsr} from '../csr-storage.ts';
import * as layout from '../layout.ts';
import {M_INTERRUPTS, MENVCFG_STCE, MSTATUS, PRIVILEGE, S_INTERRUPTS} from '../status.ts';
import type {Registers} from './registers.ts';

/** What CSRs need of the hart. */
export type CsrPort = {
  /** Steps before the present instruction. */
  position(): bigint;
  mtime(): bigint;
  /** mip with every line and timer at this position. */
  pending(): number;
  rootChanged(): void;
  pmpChanged(): void;
  /** Something changed that decides which interrupt is taken when. `deadline`: a timer's, or whether it counts. */
  interruptsChanged(what: {deadline: boolean}): void;
};

type Csr = {
  read(): bigint;
  /** Absent where writes are ignored. */
  write?(value: bigint): void;
  /** Whether the present mode may touch it at all, beyond the privilege that its number demands. */
  allowed?(): boolean;
};

const MISA =
  (2n << 62n) | BigInt([...'ACDFIMSU'].reduce((bits, letter) => bits | (1 << (letter.charCodeAt(0) - 65)), 0));
/** Every standard exception but environment calls from M. */
const MEDELEG_WRITABLE = 0xb3ffn;
const COUNTERS = 7n;
/** cycle and instret can be inhibited. */
const INHIBITABLE = 5n;
const FIOM = 1n;
const U64 = (value: bigint): bigint => BigInt.asUintN(64, value);

export class Csrs {
  readonly #registers: Registers;
  readonly #port: CsrPort;
  readonly #csrs = new Map<number, Csr>();

  constructor(registers: Registers, port: CsrPort) {
    this.#registers = registers;
    this.#port = port;
    this.#defineFloatingPoint();
    this.#defineCounters();
    this.#defineSupervisor();
    this.#defineMachine();
    this.#definePmp();
  }

  /** Values after reset (section 3.4), where they are not zero. */
  reset(): void {
    const registers = this.#registers;
    registers.setLow('privilege', PRIVILEGE.M);
    registers.set('stimecmp', U64(-1n));
  }

  /** Executes a CSR instruction, given as its word. Returns false when it is illegal. */
  execute(word: number): boolean {
    const number = word >>> 20;
    const registers = this.#registers;
    const privilege = registers.low('privilege');
    const csr = this.#csrs.get(number);
    if (csr === undefined || privilege < ((number >>> 8) & 3) || csr.allowed?.() === false) return false;
    const field = (word >>> 15) & 31;
    const operation = (word >>> 12) & 3;
    const operand = (word & 0x4000) !== 0 ? BigInt(field) : registers.x(field);
    const writes = operation === 1 || field !== 0;
    if (writes && number >>> 10 === 3) return false;
    const rd = (word >>> 7) & 31;
    const old = operation === 1 && rd === 0 ? 0n : csr.read();
    if (writes && csr.write !== undefined) {
      // A bit of SEIP that comes from the PLIC's line must not be written back into the software bit.
      const base = number === MIP || number === SIP ? BigInt(registers.low('mip')) : old;
      csr.write(operation === 1 ? operand : operation === 2 ? base | operand : base & ~operand);
    }
    registers.setX(rd, old);
    return true;
  }

  #define(number: number, csr: Csr): void {
    this.#csrs.set(number, csr);
  }

  /** A register that simply holds what is written, under a mask. */
  #stored(number: number, name: StoredCsr, writable: bigint, then?: () => void): void {
    const registers = this.#registers;
    this.#define(number, {
      read: () => registers.get(name),
      write(value) {
        registers.set(name, (registers.get(name) & ~writable) | (value & writable));
        then?.();
      },
    });
  }

  #defineFloatingPoint(): void {
    const {u32} = this.#registers;
    const allowed = (): boolean => u32[layout.FS / 4] !== 0;
    const field = (offset: number, shift: number, mask: number) => ({
      read: () => (u32[offset / 4] & mask) << shift,
      write: (value: number) => {
        u32[offset / 4] = (value >>> shift) & mask;
        u32[layout.FS / 4] = 3;
      },
    });
    const flags = field(layout.FFLAGS, 0, 31);
    const rounding = field(layout.FRM, 0, 7);
    this.#define(0x001, {
      allowed,
      read: () => BigInt(flags.read()),
      write: (value) => flags.write(Number(value & 31n)),
    });
    this.#define(0x002, {
      allowed,
      read: () => BigInt(rounding.read()),
      write: (value) => rounding.write(Number(value & 7n)),
    });
    this.#define(0x003, {
      allowed,
      read: () => BigInt(flags.read() | (rounding.read() << 5)),
      write(value) {
        flags.write(Number(value & 31n));
        rounding.write(Number((value >> 5n) & 7n));
      },
    });
  }

  #defineCounters(): void {
    const registers = this.#registers;
    const port = this.#port;
    const inhibited = (bit: number): boolean => ((registers.low('mcountinhibit') >>> bit) & 1) === 1;
    const counter = (offset: 'cycleOffset' | 'instretOffset', bit: number, count: () => bigint) => ({
      read: () => U64(registers.get(offset) + (inhibited(bit) ? 0n : count())),
      write: (value: bigint) => registers.set(offset, U64(value - (inhibited(bit) ? 0n : count()))),
    });
    const cycle = counter('cycleOffset', 0, () => port.position());
    const instret = counter('instretOffset', 2, () => port.position() - registers.get('trappedSteps'));
    const enabled = (bit: number) => (): boolean => {
      const privilege = registers.low('privilege');
      if (privilege < PRIVILEGE.M && ((registers.low('mcounteren') >>> bit) & 1) === 0) return false;
      return privilege !== PRIVILEGE.U || ((registers.low('scounteren') >>> bit) & 1) === 1;
    };
    this.#define(0xc00, {allowed: enabled(0), read: cycle.read});
    this.#define(0xc01, {allowed: enabled(1), read: () => port.mtime()});
    this.#define(0xc02, {allowed: enabled(2), read: instret.read});
    this.#define(0xb00, cycle);
    this.#define(0xb02, instret);
    for (let n = 3; n < 32; n += 1) {
      this.#define(0xc00 + n, {allowed: enabled(n), read: () => 0n});
      this.#define(0xb00 + n, {read: () => 0n});
      this.#define(0x320 + n, {read: () => 0n});
    }
    this.#define(0x320, {
      read: () => registers.get('mcountinhibit'),
      write(value) {
        const values = [cycle.read(), instret.read()];
        registers.set('mcountinhibit', value & INHIBITABLE);
        cycle.write(values[0]);
        instret.write(values[1]);
      },
    });
  }

  #defineSupervisor(): void {
    const registers = this.#registers;
    const port = this.#port;
    const delegated = (): bigint => registers.get('mideleg');
    this.#define(0x104, {
      read: () => registers.get('mie') & delegated(),
      write(value) {
        registers.set('mie', (registers.get('mie') & ~delegated()) | (value & delegated()));
        port.interruptsChanged({deadline: true});
      },
    });
    this.#define(SIP, {
      read: () => BigInt(port.pending()) & delegated(),
      write(value) {
        const writable = delegated() & 2n;
        registers.set('mip', (registers.get('mip') & ~writable) | (value & writable));
        port.interruptsChanged({deadline: false});
      },
    });
    this.#defineVector(0x105, 'stvec');
    this.#stored(0x106, 'scounteren', COUNTERS);
    this.#stored(0x10a, 'senvcfg', FIOM);
    this.#define(0x14d, {
      allowed: () =>
        registers.low('privilege') === PRIVILEGE.M ||
        ((registers.get('menvcfg') & MENVCFG_STCE) !== 0n && (registers.low('mcounteren') & 2) !== 0),
      read: () => registers.get('stimecmp'),
      write(value) {
        registers.set('stimecmp', value);
        port.interruptsChanged({deadline: true});
      },
    });
    this.#define(0x180, {
      allowed: () => registers.low('privilege') !== PRIVILEGE.S || (registers.low('mstatus') & MSTATUS.TVM) === 0,
      read: () => registers.get('satp'),
      // A write with an unsupported MODE has no effect at all (section 4.1.11). ASIDLEN is 0.
      write(value) {
        const mode = value >> 60n;
        if (mode !== 0n && mode !== 8n) return;
        registers.set('satp', value & ~(0xffffn << 44n));
        port.rootChanged();
      },
    });
  }

  #defineMachine(): void {
    const registers = this.#registers;
    const port = this.#port;
    for (const number of [0xf11, 0xf12, 0xf13, 0xf14, 0xf15]) this.#define(number, {read: () => 0n});
    this.#define(0x301, {read: () => MISA, write: () => {}});
    this.#stored(0x302, 'medeleg', MEDELEG_WRITABLE);
    this.#stored(0x303, 'mideleg', BigInt(S_INTERRUPTS), () => port.interruptsChanged({deadline: false}));
    this.#stored(0x304, 'mie', BigInt(S_INTERRUPTS | M_INTERRUPTS), () => port.interruptsChanged({deadline: true}));
    this.#defineVector(0x305, 'mtvec');
    this.#stored(0x306, 'mcounteren', COUNTERS);
    this.#stored(0x30a, 'menvcfg', FIOM | MENVCFG_STCE, () => port.interruptsChanged({deadline: true}));
    this.#define(MIP, {
      read: () => BigInt(port.pending()),
      write(value) {
        // With Sstc in use STIP shows the comparison only.
        const stip = (registers.get('menvcfg') & MENVCFG_STCE) !== 0n ? 0n : 1n << 5n;
        const writable = (1n << 1n) | (1n << 9n) | stip;
        registers.set('mip', (registers.get('mip') & ~writable) | (value & writable));
        port.interruptsChanged({deadline: false});
      },
    });
  }

  /** Modes 0 (direct) and 1 (vectored); a reserved mode keeps the old one. */
  #defineVector(number: number, name: 'mtvec' | 'stvec'): void {
    const registers = this.#registers;
    this.#define(number, {
      read: () => registers.get(name),
      write: (value) =>
        registers.set(name, (value & ~3n) | ((value & 2n) === 0n ? value & 1n : registers.get(name) & 1n)),
    });
  }

  #definePmp(): void {
    const registers = this.#registers;
    const port = this.#port;
    const locked = (n: number): boolean => n < PMP_ENTRIES && (registers.pmpcfg(n) & 0x80) !== 0;
    for (const [number, name, first] of [
      [0x3a0, 'pmpcfg0', 0],
      [0x3a2, 'pmpcfg2', 8],
    ] as const) {
      this.#define(number, {
        read: () => registers.get(name),
        write(value) {
          let result = 0n;
          for (let n = first + 7; n >= first; n -= 1) {
            const old = registers.pmpcfg(n);
            const cfg = Number((value >> BigInt(8 * (n - first))) & 0xffn) & 0x9f;
            // R=0 with W=1 is reserved: the entry keeps its value.
            const next = locked(n) || (cfg & 3) === 2 ? old : cfg;
            result = (result << 8n) | BigInt(next);
          }
          registers.set(name, result);
          port.pmpChanged();
        },
      });
    }
    for (let n = 0; n < PMP_ENTRIES; n += 1) {
      const lockedByNext = (): boolean => locked(n + 1) && (registers.pmpcfg(n + 1) & 0x18) === 0x08;
      this.#define(0x3b0 + n, {
        read: () => registers.pmpaddr(n),
        write(value) {
          if (locked(n) || lockedByNext()) return;
          registers.setPmpaddr(n, value & ((1n << 54n) - 1n));
          port.pmpChanged();
        },
      });
    }
  }
}

const SIP = 0x144;
const MIP = 0x344;
