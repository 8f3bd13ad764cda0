// Integer arithmetic in registers, no memory: the ceiling of an interpreter.
#include "bench.h"
#ifndef ITERATIONS
#define ITERATIONS 60000000UL
#endif

uint64_t bench_loop(void) {
  uint64_t a = 1, b = 0x9e3779b97f4a7c15UL;
  for (uint64_t i = 0; i < ITERATIONS; i++) {
    a ^= a << 13;
    a ^= a >> 7;
    b += a * 3 + i;
    if ((b & 1) != 0) a += b >> 17;
  }
  return a ^ b;
}
