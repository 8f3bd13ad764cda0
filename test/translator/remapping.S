# A page whose mapping changes between accesses through the same register, without a fence: what translated code remembers of it must
# be forgotten. Built into fixtures/translator/remapping.elf by
#   riscv64-linux-gnu-gcc -nostdlib -static -march=rv64ima_zicsr -mabi=lp64 -Wl,-Ttext=0x80000000 -Wl,-N -Wl,--build-id=none -s
# QEMU cannot judge it: it goes on with the old mapping. No constant is -1: a canary looks for those.
.option norvc
.globl _start
_start:
  la t0, trap
  csrw mtvec, t0
  li t0, 0x3fffffffffffff
  csrw pmpaddr0, t0
  li t0, 0x1f
  csrw pmpcfg0, t0
  # Virtual page 0 is one of two pages; 0x100000 the finisher; 0x200000 a page of U; 0x80000000 … the RAM.
  la t0, root
  la t1, middle
  la s5, leaf
  la t3, user
  srli t2, t1, 2
  ori t2, t2, 1
  sd t2, 0(t0)
  li t2, 0x200000cf
  sd t2, 16(t0)
  srli t2, s5, 2
  ori t2, t2, 1
  sd t2, 0(t1)
  srli t2, t3, 2
  ori t2, t2, 1
  sd t2, 8(t1)
  li t2, 0x400c7
  addi t5, s5, 0x400
  sd t2, 0x400(t5)
  la s2, first
  srli s2, s2, 2
  ori s2, s2, 0xc7
  la s3, second
  srli s3, s3, 2
  ori s3, s3, 0xc7
  ori t2, s2, 0x10
  sd t2, 0(t3)
  sd s2, 0(s5)
  srli t0, t0, 12
  li t1, 1
  slli t1, t1, 63
  or t0, t0, t1
  csrw satp, t0
  li t0, 0x1800
  csrc mstatus, t0
  li t0, 0x0800
  csrs mstatus, t0
  la t0, supervisor
  csrw mepc, t0
  mret

supervisor:
  mv s1, zero         # the page
  li s4, 0x200000     # the user's page
  li s6, 0            # checksum
  li s7, 0            # rounds
  li s8, 0            # faults
  li s9, 0x40000      # sstatus.SUM
round:
  # 1. Within a block.
  ld a0, 0(s1)
  sd s3, 0(s5)
  ld a1, 0(s1)
  sd a0, 8(s1)
  sd s2, 0(s5)
  sd a1, 8(s1)
  ld a2, 8(s1)
  add s6, s6, a1
  xor s6, s6, a2
  # 2. In a loop.
  li t3, 0
1:
  ld a0, 0(s1)
  add s6, s6, a0
  sd s6, 16(s1)
  andi t4, t3, 7
  bnez t4, 2f
  mv t5, s2
  mv s2, s3
  mv s3, t5
  sd s2, 0(s5)
2:
  addi t3, t3, 1
  li t4, 40
  bne t3, t4, 1b
  # 3. Around a call.
  ld a0, 24(s1)
  jal ra, swap
  ld a1, 24(s1)
  sd a0, 32(s1)
  add s6, s6, a1
  # 4. A page that is allowed for a while.
  csrs sstatus, s9
  ld a0, 0(s4)
  add s6, s6, a0
  csrc sstatus, s9
  ld a0, 8(s4)
  addi s7, s7, 1
  li t0, 1500
  bne s7, t0, round
  slli t0, s6, 32
  srli t1, s6, 32
  add t0, t0, t1
  srli t0, t0, 40
  xor t0, t0, s8
  andi t0, t0, 0x3f
  slli t0, t0, 16
  li t1, 0x3333
  or t0, t0, t1
  li t1, 0x100000
  sw t0, 0(t1)
end:
  j end

swap:
  mv t5, s2
  mv s2, s3
  mv s3, t5
  sd s2, 0(s5)
  ret

.align 2
trap:
  addi s8, s8, 1
  csrr t0, mepc
  addi t0, t0, 4
  csrw mepc, t0
  mret

.align 12
root: .zero 4096
middle: .zero 4096
leaf: .zero 4096
user: .zero 4096
first: .dword 0x1111, 0x2222, 0x3333, 0x4444
.align 12
second: .dword 0x5555, 0x6666, 0x7777, 0x8888
.align 12
