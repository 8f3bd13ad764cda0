#!/bin/sh
# Builds the benchmark programs. Needs riscv64-linux-gnu-gcc.
#   build.sh [DIRECTORY] [more flags]   one bare-metal ELF each, into bin/ or DIRECTORY; -DCOUNT_INSTRUCTIONS makes them count instructions
#   build.sh --linux FILE [more flags]  one static riscv64 Linux program with all of them
set -eu
cd "$(dirname "$0")"
programs="loop crc sieve sort vm fib memory float"
machine="-O2 -std=gnu11 -fno-math-errno -Wall -Wextra -Werror -march=rv64gc_zba_zbb_zbs -mabi=lp64d"

if [ "${1:-}" = --linux ]; then
  file=$2
  shift 2
  sources=$(for program in $programs; do echo "$program.c"; done)
  # shellcheck disable=SC2086
  exec riscv64-linux-gnu-gcc $machine -static -s "$@" -o "$file" linux.c $sources
fi

out=${1:-bin}
[ $# -gt 0 ] && shift
mkdir -p "$out"
library=../../fixtures/guests/lib
for program in $programs; do
  # shellcheck disable=SC2086
  riscv64-linux-gnu-gcc $machine -mcmodel=medany -msmall-data-limit=0 -ffreestanding -fno-pic -fno-stack-protector \
    -fno-asynchronous-unwind-tables -fno-tree-loop-distribute-patterns -nostdlib -nostartfiles -static -s \
    "-Wl,-T,$library/guest.ld,--build-id=none,-z,max-page-size=4096,--no-warn-rwx-segments" \
    "-DPROGRAM=$program" "$@" -o "$out/$program.elf" "$library/start.S" "$library/guest.c" bare.c "$program.c"
done
