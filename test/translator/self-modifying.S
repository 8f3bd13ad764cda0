# Code that changes itself in every way that matters to a translator. Built into fixtures/translator/self-modifying.elf by
#   riscv64-linux-gnu-gcc -nostdlib -static -march=rv64ima_zicsr -mabi=lp64 -Wl,-Ttext=0x80000000 -Wl,-N -Wl,--build-id=none -s
# QEMU (virt, -bios none) ends it with 57 as well.
.option norvc
.globl _start
_start:
  la t0, trap
  csrw mtvec, t0
  li s0, 0            # iterations
  li s1, 0            # checksum
  la s2, patched
  la s3, words
  la s4, ahead
  la s5, function
loop:
  # 1. An instruction ahead in the same block.
  andi t0, s0, 3
  slli t0, t0, 2
  add t0, t0, s3
  lw t1, 0(t0)
  andi t2, s0, 15
  bnez t2, 1f
  sw t1, 0(s4)
1:
ahead:
  addi s1, s1, 1
  # 2. A function that was called and translated, changed now and then, by half.
  andi t2, s0, 63
  bnez t2, 2f
  lhu t3, 2(t0)
  sh t3, 2(s5)
2:
  jal ra, function
  # 3. A frame's own code: the callee changes what its caller goes on with.
  jal ra, changer
patched:
  addi s1, s1, 1
  xor s1, s1, s0
  # 4. Data on the page of code.
  la t4, counter
  ld t5, 0(t4)
  addi t5, t5, 1
  sd t5, 0(t4)
  addi s0, s0, 1
  li t0, 3000
  bne s0, t0, loop
  # 5. A whole page of code written over again and again by data, then executed again.
  li s6, 40
again:
  la t0, page
  la t2, pageend
  mv t1, t0
3:
  sd s6, 0(t1)
  addi t1, t1, 8
  bltu t1, t2, 3b
  la t1, template
  lw t3, 0(t1)
  sw t3, 0(t0)
  lw t3, 4(t1)
  sw t3, 4(t0)
  lw t3, 8(t1)
  sw t3, 8(t0)
  li s7, 50
4:
  la t0, page
  jalr ra, 0(t0)
  addi s7, s7, -1
  bnez s7, 4b
  addi s6, s6, -1
  bnez s6, again
  # The checksum is the exit code, less its high bits.
  ld t5, counter
  add s1, s1, t5
  li t0, 0x100000
  slli s1, s1, 57
  srli s1, s1, 57
  slli s1, s1, 16
  li t1, 0x3333
  or s1, s1, t1
  sw s1, 0(t0)
stop:
  j stop
template:
  slli s1, s1, 1
  add s1, s1, s7
  ret
function:
  addi s1, s1, 1
  slli t6, s1, 3
  add s1, s1, t6
  ret
changer:
  andi t2, s0, 31
  bnez t2, 5f
  andi t0, s0, 96
  srli t0, t0, 3
  add t0, t0, s3
  lw t1, 0(t0)
  sw t1, 0(s2)
5:
  ret
words:
  addi s1, s1, 1
  addi s1, s1, 2
  addi s1, s1, 5
  addi s1, s1, 11
.balign 8
counter: .dword 0
.balign 4096
page: .zero 4096
pageend:
trap:
  j trap
