// Zicsr and the privileged instructions. What they do happens in the hart (hart/): it may trap, change the privilege mode or
// the translation of addresses, so generated code always goes on from the pc that the hart leaves.

import {CSR, CSR_I, define, FIXED, type Instruction, SFENCE} from './instruction.ts';

export const SYSTEM: readonly Instruction[] = [
  define('csrrw', CSR, 0x0000_1073, (o) => o.system('csr')),
  define('csrrs', CSR, 0x0000_2073, (o) => o.system('csr')),
  define('csrrc', CSR, 0x0000_3073, (o) => o.system('csr')),
  define('csrrwi', CSR_I, 0x0000_5073, (o) => o.system('csr')),
  define('csrrsi', CSR_I, 0x0000_6073, (o) => o.system('csr')),
  define('csrrci', CSR_I, 0x0000_7073, (o) => o.system('csr')),
  define('ecall', FIXED, 0x0000_0073, (o) => o.system('ecall')),
  define('ebreak', FIXED, 0x0010_0073, (o) => o.system('ebreak')),
  define('sret', FIXED, 0x1020_0073, (o) => o.system('sret')),
  define('mret', FIXED, 0x3020_0073, (o) => o.system('mret')),
  define('wfi', FIXED, 0x1050_0073, (o) => o.system('wfi')),
  define('sfence.vma', SFENCE, 0x1200_0073, (o) => o.system('sfence.vma')),
];
