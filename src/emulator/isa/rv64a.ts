// The A extension: load-reserved, store-conditional and atomic memory operations (Unprivileged ISA, chapter 8). With harts that
// take turns every access is atomic; what is left is the arithmetic and the reservation, which covers the addressed word or
// doubleword and is lost by any store-conditional, trap or device write to it.

import type {Expr} from './expression.ts';
import {AMO, define, type Instruction, type InstructionBuilder, LR} from './instruction.ts';

type O = InstructionBuilder;
type Size = 4 | 8;

/** funct3 of the two sizes. */
const SIZE_BITS: Record<Size, number> = {4: 0x2000, 8: 0x3000};
const SUFFIX: Record<Size, string> = {4: '.w', 8: '.d'};
/** Low bits of a reservation: RAM offsets of words have them clear. */
const RESERVED: Record<Size, number> = {4: 1, 8: 2};

const loadOld = (o: O, size: Size, address: Expr): Expr => o.ramLoad(size === 4 ? 'i64.load32_s' : 'i64.load', address);
const storeNew = (o: O, size: Size, address: Expr, value: Expr): void =>
  o.ramStore(size === 4 ? 'i64.store32' : 'i64.store', address, value);

/** `operand` is rs2 as the operation sees it: words are compared sign-extended or zero-extended. */
function amo(
  name: string,
  funct5: number,
  compute: (o: O, old: Expr, operand: Expr, size: Size) => Expr,
): Instruction[] {
  return ([4, 8] as const).map((size) =>
    define(name + SUFFIX[size], AMO, 0x2f | SIZE_BITS[size] | (funct5 << 27), (o) => {
      const address = o.let(o.atomicAddress(size, 'write', o.rs1));
      const old = o.let(loadOld(o, size, address));
      const operand = o.let(o.rs2);
      storeNew(o, size, address, compute(o, old, operand, size));
      o.setRd(old);
    }),
  );
}

const signed = (o: O, value: Expr, size: Size): Expr => (size === 4 ? o.sext32(value) : value);
const unsigned = (o: O, value: Expr, size: Size): Expr => (size === 4 ? o.zext32(value) : value);

export const RV64A: readonly Instruction[] = [
  ...([4, 8] as const).map((size) =>
    define(`lr${SUFFIX[size]}`, LR, 0x1000_002f | SIZE_BITS[size], (o) => {
      const address = o.let(o.atomicAddress(size, 'read', o.rs1));
      o.setCell('reservation', o.or(address, o.i32(RESERVED[size])));
      o.setRd(loadOld(o, size, address));
    }),
  ),
  ...([4, 8] as const).map((size) =>
    define(`sc${SUFFIX[size]}`, AMO, 0x1800_002f | SIZE_BITS[size], (o) => {
      const address = o.let(o.atomicAddress(size, 'write', o.rs1));
      const failed = o.let(o.ne(o.cell('reservation'), o.or(address, o.i32(RESERVED[size]))));
      o.setCell('reservation', o.i32(0));
      o.if(o.eqz(failed), () => storeNew(o, size, address, o.rs2));
      o.setRd(o.zext(failed));
    }),
  ),
  ...amo('amoswap', 0x01, (_o, _old, operand) => operand),
  ...amo('amoadd', 0x00, (o, old, operand) => o.add(old, operand)),
  ...amo('amoxor', 0x04, (o, old, operand) => o.xor(old, operand)),
  ...amo('amoand', 0x0c, (o, old, operand) => o.and(old, operand)),
  ...amo('amoor', 0x08, (o, old, operand) => o.or(old, operand)),
  ...amo('amomin', 0x10, (o, old, operand, size) => o.select(o.ltS(old, signed(o, operand, size)), old, operand)),
  ...amo('amomax', 0x14, (o, old, operand, size) => o.select(o.gtS(old, signed(o, operand, size)), old, operand)),
  ...amo('amominu', 0x18, (o, old, operand, size) =>
    o.select(o.ltU(unsigned(o, old, size), unsigned(o, operand, size)), old, operand),
  ),
  ...amo('amomaxu', 0x1c, (o, old, operand, size) =>
    o.select(o.gtU(unsigned(o, old, size), unsigned(o, operand, size)), old, operand),
  ),
];
