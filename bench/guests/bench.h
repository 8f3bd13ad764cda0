// What the benchmark programs share. Each is one function that returns a checksum; how often it works is set by ITERATIONS
// (-D), for half a billion to a billion instructions. Built bare-metal (one ELF each, with the library of fixtures/guests) and
// as one static Linux program that has them all and those that need Linux, for use inside a guest.

#ifndef BENCH_H
#define BENCH_H

#include <stdint.h>

uint64_t bench_loop(void);
uint64_t bench_crc(void);
uint64_t bench_sieve(void);
uint64_t bench_sort(void);
uint64_t bench_vm(void);
uint64_t bench_fib(void);
uint64_t bench_memory(void);
uint64_t bench_float(void);

// Linux only.
uint64_t bench_mandelbrot(void);
uint64_t bench_fft(void);
uint64_t bench_chase(void);
uint64_t bench_copy(void);
uint64_t bench_pipeline(void);
uint64_t bench_getpid(void);
uint64_t bench_transfer(void);
uint64_t bench_pipe(void);
uint64_t bench_fault(void);
uint64_t bench_fork(void);
uint64_t bench_exec(void);

// The word that makes the Linux program end with the code that follows it.
#define BENCH_END_WORD "end"

static inline uint64_t bench_random(uint64_t *state) {
  *state ^= *state << 13;
  *state ^= *state >> 7;
  *state ^= *state << 17;
  return *state;
}

#endif
