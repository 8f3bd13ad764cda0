#!/bin/sh
# Builds the benchmark programs. Needs riscv64-linux-gnu-gcc.
#   build.sh [DIRECTORY] [more flags]   one bare-metal ELF each and the Linux program, into bin/ or DIRECTORY; -DCOUNT_INSTRUCTIONS makes
#                                       the bare ones count instructions
set -eu
cd "$(dirname "$0")"
programs="loop crc sieve sort vm fib memory float"
common="-O2 -std=gnu11 -Wall -Wextra -Werror -mabi=lp64d"

out=${1:-bin}
[ $# -gt 0 ] && shift
mkdir -p "$out"
library=../../fixtures/guests/lib
for program in $programs; do
  # shellcheck disable=SC2086
  riscv64-linux-gnu-gcc $common -march=rv64gc_zba_zbb_zbs -fno-math-errno -mcmodel=medany -msmall-data-limit=0 \
    -ffreestanding -fno-pic -fno-stack-protector -fno-asynchronous-unwind-tables -fno-tree-loop-distribute-patterns -nostdlib -nostartfiles -static -s \
    "-Wl,-T,$library/guest.ld,--build-id=none,-z,max-page-size=4096,--no-warn-rwx-segments" \
    "-DPROGRAM=$program" "$@" -o "$out/$program.elf" "$library/start.S" "$library/guest.c" bare.c "$program.c"
done

# As Debian's own compiler would make it: its extensions, its C library.
# shellcheck disable=SC2086
riscv64-linux-gnu-gcc $common -march=rv64gc -static -s -Wl,--build-id=none "$@" -o "$out/linux" linux.c system.c \
  loop.c crc.c sieve.c sort.c vm.c fib.c float.c mandelbrot.c fft.c chase.c copy.c -lm
