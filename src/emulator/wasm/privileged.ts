// What the privileged architecture does at every system call, fault and access to user memory, in the language of the instructions:
// taking a trap, returning from one, and the CSRs around them (Privileged ISA, sections 3.1.6, 3.1.8, 3.3.2, 4.1.1). Both engines
// and the hart call these same functions; what is rarer is the hart's (hart/csrs.ts). pc and the steps left are in memory.

import {offsetOf, type StoredCsr} from '../csr-storage.ts';
import type {Builder, Expr, FunctionDefinition, LocalExpr, ValueType} from '../isa/expression.ts';
import * as layout from '../layout.ts';
import {CAUSE, MSTATUS, PRIVILEGE} from '../status.ts';
import {SYSTEM_ACTIONS} from './slot.ts';

/** Results of `system`. DONE: go on behind the instruction. LEAVE: go on from what is in memory. */
const DONE = 0;
const LEAVE = 1;
/** Of a function that leaves a case to the hart: nothing has happened yet. */
const ELSEWHERE = 2;

const SSTATUS_WRITABLE = MSTATUS.SIE | MSTATUS.SPIE | MSTATUS.SPP | MSTATUS.SUM | MSTATUS.MXR;
const MSTATUS_WRITABLE =
  SSTATUS_WRITABLE | MSTATUS.MIE | MSTATUS.MPIE | MSTATUS.MPP | MSTATUS.MPRV | MSTATUS.TVM | MSTATUS.TW | MSTATUS.TSR;
/** High halves of sstatus and mstatus: UXL and SXL are 64 bits, read-only; SD. */
const UXL_HIGH = 2n;
const UXL_SXL_HIGH = 2n | (2n << 2n);
const SD_HIGH = 0x8000_0000n;

/** With a translator, for translated code. */
export const PRIVILEGED_TRANSLATED: readonly FunctionDefinition[] = [
  define('translatedSystem', ['i32', 'i32'], (b, action, word) => orElse(b, 'systemTranslated', action, word)),
];

export const PRIVILEGED: readonly FunctionDefinition[] = [
  define('setModes', [], setModes),
  define('enterTrap', ['i32', 'i64', 'i64', 'i64'], enterTrap),
  define('exception', ['i32', 'i32', 'i32'], exception),
  define('sret', [], sret),
  define('mret', [], mret),
  define('accessStatus', ['i32'], accessStatus),
  define('accessTrapRegister', ['i32'], accessTrapRegister),
  define('accessCsr', ['i32'], accessCsr),
  define('executeSystem', ['i32', 'i32'], executeSystem),
  define('interpretSystem', ['i32', 'i32'], (b, action, word) => orElse(b, 'system', action, word)),
];

/** Points generated code to the translation caches of the present mode: after a change of the privilege mode, mstatus or the address space. */
function setModes(b: Builder): void {
  const status = b.let(low(b, 'mstatus'));
  const privilege = b.let(low(b, 'privilege'));
  const data = b.let(b.choose(has(b, status, MSTATUS.MPRV), field(b, status, MSTATUS.MPP_SHIFT, 3), privilege));
  const {U, S, SUM, M} = layout.DATA_MODES;
  const space = b.let(b.stateLoad('i32.load', layout.SPACE));
  const cache = (mode: number): Expr => b.add(space, b.i32(layout.dataCache(mode)));
  const supervisor = b.select(has(b, status, MSTATUS.SUM), cache(SUM), cache(S));
  const translated = b.select(data, supervisor, cache(U));
  const machine = b.i32(layout.cacheSet(0) + layout.dataCache(M));
  b.stateStore('i32.store', layout.DATA_CACHE, b.select(b.eq(data, b.i32(PRIVILEGE.M)), machine, translated));
  const modes = layout.FETCH_MODES;
  const codeCache = (mode: number): Expr => b.add(space, b.i32(layout.fetchCache(mode)));
  const translatedCode = b.select(privilege, codeCache(modes.S), codeCache(modes.U));
  const machineCode = b.i32(layout.cacheSet(0) + layout.fetchCache(modes.M));
  const isMachine = b.eq(privilege, b.i32(PRIVILEGE.M));
  b.stateStore('i32.store', layout.FETCH_CACHE, b.select(isMachine, machineCode, translatedCode));
  b.return(b.i32(DONE));
}

/** Enters the handler in mode `target`, S or M. `vectorOffset`: an interrupt's, which counts in the vectored mode. */
function enterTrap(b: Builder, target: LocalExpr, cause: LocalExpr, tval: LocalExpr, vectorOffset: LocalExpr): void {
  const status = b.let(low(b, 'mstatus'));
  const privilege = b.let(low(b, 'privilege'));
  const pc = b.stateLoad('i64.load', layout.PC);
  const vector = b.let(b.i64(0));
  b.if(
    b.eq(target, b.i32(PRIVILEGE.S)),
    () => {
      setFull(b, 'sepc', pc);
      setFull(b, 'scause', cause);
      setFull(b, 'stval', tval);
      const previous = flag(b, has(b, status, MSTATUS.SIE), MSTATUS.SPIE);
      const from = flag(b, privilege, MSTATUS.SPP);
      setLow(b, 'mstatus', any(b, without(b, status, MSTATUS.SIE | MSTATUS.SPIE | MSTATUS.SPP), previous, from));
      b.set(vector, full(b, 'stvec'));
    },
    () => {
      setFull(b, 'mepc', pc);
      setFull(b, 'mcause', cause);
      setFull(b, 'mtval', tval);
      const previous = flag(b, has(b, status, MSTATUS.MIE), MSTATUS.MPIE);
      const from = b.shl(privilege, b.i32(MSTATUS.MPP_SHIFT));
      setLow(b, 'mstatus', any(b, without(b, status, MSTATUS.MIE | MSTATUS.MPIE | MSTATUS.MPP), previous, from));
      b.set(vector, full(b, 'mtvec'));
    },
  );
  const isVectored = b.wrap(b.and(vector, b.i64(1)));
  goTo(b, target, b.add(b.and(vector, b.i64(-2)), b.choose(isVectored, vectorOffset, b.i64(0))));
}

/** An exception of the instruction at pc; tval in halves. Its step counts, but is no retired instruction. */
function exception(b: Builder, cause: LocalExpr, tvalLow: LocalExpr, tvalHigh: LocalExpr): void {
  setFull(b, 'trappedSteps', b.add(full(b, 'trappedSteps'), b.i64(1)));
  const tval = b.or(b.zext(tvalLow), b.shl(b.zext(tvalHigh), b.i64(32)));
  const isDelegated = b.and(
    b.ne(low(b, 'privilege'), b.i32(PRIVILEGE.M)),
    b.and(b.shrU(low(b, 'medeleg'), cause), b.i32(1)),
  );
  const target = b.select(isDelegated, b.i32(PRIVILEGE.S), b.i32(PRIVILEGE.M));
  b.return(b.call('i32', 'enterTrap', target, b.zext(cause), tval, b.i64(0)));
}

function sret(b: Builder): void {
  const status = b.let(low(b, 'mstatus'));
  const privilege = b.let(low(b, 'privilege'));
  const isTrapped = b.and(b.eq(privilege, b.i32(PRIVILEGE.S)), b.ne(has(b, status, MSTATUS.TSR), b.i32(0)));
  b.if(b.or(b.eqz(privilege), isTrapped), () => b.return(b.i32(ELSEWHERE)));
  const enabled = flag(b, has(b, status, MSTATUS.SPIE), MSTATUS.SIE);
  const kept = without(b, status, MSTATUS.SPP | MSTATUS.SIE | MSTATUS.MPRV);
  setLow(b, 'mstatus', any(b, kept, b.i32(MSTATUS.SPIE), enabled));
  const target = flag(b, has(b, status, MSTATUS.SPP), PRIVILEGE.S);
  goTo(b, target, full(b, 'sepc'), () => noticeInterrupts(b));
}

function mret(b: Builder): void {
  const status = b.let(low(b, 'mstatus'));
  b.if(b.ne(low(b, 'privilege'), b.i32(PRIVILEGE.M)), () => b.return(b.i32(ELSEWHERE)));
  const target = b.let(field(b, status, MSTATUS.MPP_SHIFT, 3));
  const enabled = flag(b, has(b, status, MSTATUS.MPIE), MSTATUS.MIE);
  const kept = without(b, status, MSTATUS.MPP | MSTATUS.MIE);
  const isM = b.eq(target, b.i32(PRIVILEGE.M));
  const modified = b.and(kept, b.select(isM, b.i32(-1), b.i32(~MSTATUS.MPRV)));
  setLow(b, 'mstatus', any(b, modified, b.i32(MSTATUS.MPIE), enabled));
  goTo(b, target, full(b, 'mepc'), () => noticeInterrupts(b));
}

/** sstatus and mstatus. Bits 13 and 14, FS, are a cell of their own. */
function accessStatus(b: Builder, word: LocalExpr): void {
  const isMachine = b.let(b.and(b.shrU(word, b.i32(29)), b.i32(1)));
  const writable = b.let(b.select(isMachine, b.i32(MSTATUS_WRITABLE), b.i32(SSTATUS_WRITABLE)));
  const status = b.let(low(b, 'mstatus'));
  const fs = b.let(b.stateLoad('i32.load', layout.FS));
  const visible = b.or(b.and(status, writable), b.shl(fs, b.i32(MSTATUS.FS_SHIFT)));
  const high = b.select(isMachine, b.i64(UXL_SXL_HIGH), b.i64(UXL_HIGH));
  const dirty = b.select(b.eq(fs, b.i32(3)), b.i64(SD_HIGH), b.i64(0));
  const old = b.let(b.or(b.zext(visible), b.shl(b.or(high, dirty), b.i64(32))));
  const written = b.let(b.wrap(newValue(b, word, old)));
  const isWritten = b.let(writes(b, word));
  setX(b, word, old);
  b.if(b.eqz(isWritten), () => b.return(b.i32(DONE)));
  b.stateStore('i32.store', layout.FS, field(b, written, MSTATUS.FS_SHIFT, 3));
  const next = b.let(b.or(b.and(status, b.not(writable)), b.and(written, writable)));
  // MPP holds only supported modes; 2 is none, and keeps the old one.
  b.if(b.eq(field(b, next, MSTATUS.MPP_SHIFT, 3), b.i32(2)), () =>
    b.set(next, b.or(without(b, next, MSTATUS.MPP), has(b, status, MSTATUS.MPP))),
  );
  setLow(b, 'mstatus', next);
  const changed = b.let(b.xor(status, next));
  b.if(has(b, changed, MSTATUS.MPRV | MSTATUS.MPP | MSTATUS.SUM), () => perform(b, b.call('i32', 'setModes')));
  const isLeft = b.let(b.i32(DONE));
  b.if(has(b, b.and(changed, next), MSTATUS.MIE | MSTATUS.SIE), () =>
    b.if(mayInterrupt(b), () => b.set(isLeft, b.call('i32', 'interruptsChanged'))),
  );
  b.if(has(b, changed, MSTATUS.MXR), () => b.set(isLeft, b.call('i32', 'mxrChanged')));
  b.if(isLeft, () => b.stateStore('i64.store', layout.PC, b.add(b.stateLoad('i64.load', layout.PC), b.i64(4))));
  b.return(isLeft);
}

/** sscratch, sepc, scause, stval (0x140 to 0x143), and those of M (0x340 to 0x343), which lie one behind the other in memory. */
function accessTrapRegister(b: Builder, word: LocalExpr): void {
  const register = b.let(b.and(b.shrU(word, b.i32(20)), b.i32(3)));
  const isMachine = b.and(b.shrU(word, b.i32(29)), b.i32(1));
  const first = b.select(isMachine, b.i32(offsetOf('mscratch')), b.i32(offsetOf('sscratch')));
  const place = b.let(b.add(first, b.shl(register, b.i32(3))));
  const old = b.let(b.stateLoad('i64.load', 0, place));
  const written = b.let(newValue(b, word, old));
  b.if(writes(b, word), () => {
    const isEpc = b.eq(register, b.i32(1));
    b.stateStore('i64.store', 0, b.and(written, b.select(isEpc, b.i64(-2), b.i64(-1))), place);
  });
  setX(b, word, old);
  b.return(b.i32(DONE));
}

/** A CSR instruction, given as its word. */
function accessCsr(b: Builder, word: LocalExpr): void {
  const number = b.let(b.shrU(word, b.i32(20)));
  const lowest = b.and(b.shrU(number, b.i32(8)), b.i32(3));
  b.if(b.ltU(low(b, 'privilege'), lowest), () => b.return(b.i32(ELSEWHERE)));
  // 0x140–0x143 and 0x340–0x343; 0x100 and 0x300.
  const inModes = b.let(b.and(number, b.i32(~0x200)));
  b.if(b.eq(b.and(inModes, b.i32(~3)), b.i32(0x140)), () => b.return(b.call('i32', 'accessTrapRegister', word)));
  b.if(b.eq(inModes, b.i32(0x100)), () => b.return(b.call('i32', 'accessStatus', word)));
  b.return(b.i32(ELSEWHERE));
}

/** Executes an instruction of the table of system actions, given by the action's code and its own word, or leaves it to the hart. */
function executeSystem(b: Builder, action: LocalExpr, word: LocalExpr): void {
  const is = (name: (typeof SYSTEM_ACTIONS)[number]): Expr => b.eq(action, b.i32(SYSTEM_ACTIONS.indexOf(name)));
  b.if(is('csr'), () => b.return(b.call('i32', 'accessCsr', word)));
  b.if(is('ecall'), () => {
    const cause = b.add(low(b, 'privilege'), b.i32(CAUSE.userCall));
    b.return(b.call('i32', 'exception', cause, b.i32(0), b.i32(0)));
  });
  b.if(is('sret'), () => b.return(b.call('i32', 'sret')));
  b.if(is('mret'), () => b.return(b.call('i32', 'mret')));
  b.if(is('sfence.vma'), () => {
    // The caches are coherent: there is nothing to do but to check the right to do it.
    const isTrapped = b.ne(has(b, low(b, 'mstatus'), MSTATUS.TVM), b.i32(0));
    const isSupervisor = b.eq(low(b, 'privilege'), b.i32(PRIVILEGE.S));
    const isIllegal = b.or(b.eqz(low(b, 'privilege')), b.and(isSupervisor, isTrapped));
    b.return(b.select(isIllegal, b.i32(ELSEWHERE), b.i32(DONE)));
  });
  b.return(b.i32(ELSEWHERE));
}

/** Executes a system instruction, or has the slow path of this name do it. */
function orElse(b: Builder, slowPath: 'system' | 'systemTranslated', action: LocalExpr, word: LocalExpr): void {
  const status = b.let(b.call('i32', 'executeSystem', action, word));
  b.if(b.eq(status, b.i32(ELSEWHERE)), () => b.return(b.call('i32', slowPath, action, word)));
  b.return(status);
}

// Parts

function define<Params extends readonly ValueType[]>(
  name: string,
  params: Params,
  build: (b: Builder, ...params: LocalExpr[]) => void,
): FunctionDefinition {
  return {name, params, result: 'i32', build};
}

/** Goes on in another mode. A reservation does not survive it. */
function goTo(b: Builder, privilege: Expr, pc: Expr, then: () => void = () => {}): void {
  setLow(b, 'privilege', privilege);
  b.stateStore('i64.store', layout.PC, pc);
  b.stateStore('i32.store', layout.RESERVATION, b.i32(0));
  perform(b, b.call('i32', 'setModes'));
  then();
  b.return(b.i32(LEAVE));
}

/** Lets the hart end the slice if an interrupt is to be taken now. */
function noticeInterrupts(b: Builder): void {
  b.if(mayInterrupt(b), () => perform(b, b.call('i32', 'interruptsChanged')));
}

/** Whether an enabled interrupt may be pending: the timers' bits are those of the chunk's start. */
function mayInterrupt(b: Builder): Expr {
  const pending = any(b, low(b, 'mip'), low(b, 'lines'), b.stateLoad('i32.load', layout.TIMERS));
  return b.and(pending, low(b, 'mie'));
}

/** What a CSR instruction writes, if it writes. */
function newValue(b: Builder, word: LocalExpr, old: LocalExpr): Expr {
  const source = b.and(b.shrU(word, b.i32(15)), b.i32(31));
  const register = b.stateLoad('i64.load', layout.X, b.shl(source, b.i32(3)));
  const operand = b.let(b.choose(has(b, word, 0x4000), b.zext(source), register));
  const cleared = b.select(has(b, word, 0x1000), b.and(old, b.not(operand)), b.or(old, operand));
  return b.select(has(b, word, 0x2000), cleared, operand);
}

/** csrrs and csrrc with x0 or 0 only read. */
function writes(b: Builder, word: LocalExpr): Expr {
  return b.or(b.eqz(has(b, word, 0x2000)), b.ne(has(b, word, 31 << 15), b.i32(0)));
}

/** Sets rd; x0's place is the sink. */
function setX(b: Builder, word: LocalExpr, value: Expr): void {
  const rd = b.let(field(b, word, 7, 31));
  const sink = b.i32(layout.X_SINK - layout.X);
  b.stateStore('i64.store', layout.X, value, b.select(rd, b.shl(rd, b.i32(3)), sink));
}

function perform(b: Builder, call: Expr): void {
  b.let(call);
}

const full = (b: Builder, name: StoredCsr): Expr => b.stateLoad('i64.load', offsetOf(name));
const setFull = (b: Builder, name: StoredCsr, value: Expr): void => b.stateStore('i64.store', offsetOf(name), value);
const low = (b: Builder, name: StoredCsr): Expr => b.stateLoad('i32.load', offsetOf(name));
const setLow = (b: Builder, name: StoredCsr, value: Expr): void => b.stateStore('i32.store', offsetOf(name), value);
const has = (b: Builder, value: Expr, bits: number): Expr => b.and(value, b.i32(bits));
const without = (b: Builder, value: Expr, bits: number): Expr => b.and(value, b.i32(~bits));
const any = (b: Builder, ...values: Expr[]): Expr => values.reduce((a, value) => b.or(a, value));
const field = (b: Builder, value: Expr, shift: number, mask: number): Expr =>
  b.and(b.shrU(value, b.i32(shift)), b.i32(mask));
/** `bits` where the condition holds, else 0. */
const flag = (b: Builder, condition: Expr, bits: number): Expr => b.select(condition, b.i32(bits), b.i32(0));
