// Privilege modes, bits of mstatus, mip and mie, and causes of traps (Privileged ISA, sections 1.2, 3.1.6, 3.1.9, 3.1.15).

/** Privilege modes, as encoded in mstatus.MPP. */
export const PRIVILEGE = {U: 0, S: 1, M: 3} as const;

/** Bits of mstatus's low half, and positions of its fields. FS lives in a cell of its own (layout.FS). */
export const MSTATUS = {
  SIE: 1 << 1,
  MIE: 1 << 3,
  SPIE: 1 << 5,
  MPIE: 1 << 7,
  SPP: 1 << 8,
  MPP: 3 << 11,
  MPP_SHIFT: 11,
  FS_SHIFT: 13,
  MPRV: 1 << 17,
  SUM: 1 << 18,
  MXR: 1 << 19,
  TVM: 1 << 20,
  TW: 1 << 21,
  TSR: 1 << 22,
} as const;

/** Interrupt numbers; their bits in mip and mie are 1 << number. */
export const INTERRUPT = {SSI: 1, MSI: 3, STI: 5, MTI: 7, SEI: 9, MEI: 11} as const;

/** In decreasing priority (section 3.1.9). */
export const INTERRUPT_PRIORITY = [
  INTERRUPT.MEI,
  INTERRUPT.MSI,
  INTERRUPT.MTI,
  INTERRUPT.SEI,
  INTERRUPT.SSI,
  INTERRUPT.STI,
] as const;

export const S_INTERRUPTS = (1 << INTERRUPT.SSI) | (1 << INTERRUPT.STI) | (1 << INTERRUPT.SEI);
export const M_INTERRUPTS = (1 << INTERRUPT.MSI) | (1 << INTERRUPT.MTI) | (1 << INTERRUPT.MEI);

export const CAUSE = {
  fetchAccess: 1,
  illegalInstruction: 2,
  breakpoint: 3,
  loadMisaligned: 4,
  loadAccess: 5,
  storeMisaligned: 6,
  storeAccess: 7,
  userCall: 8,
  supervisorCall: 9,
  machineCall: 11,
  fetchPage: 12,
  loadPage: 13,
  storePage: 15,
} as const;

export const MENVCFG_STCE = 1n << 63n;
