// Page-table entries of Sv39 (Privileged ISA, section 4.4).

export const PTE = {V: 1, R: 2, W: 4, X: 8, U: 0x10, A: 0x40, D: 0x80, bytes: 8} as const;
export const LEVELS = 3;
export const ENTRIES_PER_TABLE = 512;
/** Virtual pages that one entry of a table of each level maps. */
export const SPANS = [1, 2 ** 9, 2 ** 18] as const;
