// What the benchmark programs share. Each is one function that returns a checksum; how often it works is set by ITERATIONS
// (-D), for half a billion to a billion instructions. Built bare-metal (one ELF each, with the library of fixtures/guests) and
// as one static Linux program that runs them all, for use inside a guest.

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

static inline uint64_t bench_random(uint64_t *state) {
  *state ^= *state << 13;
  *state ^= *state >> 7;
  *state ^= *state << 17;
  return *state;
}

#endif
