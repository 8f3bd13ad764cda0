// The sieve of Eratosthenes over 2 Mi numbers: stores with growing strides.
#include "bench.h"
#ifndef ITERATIONS
#define ITERATIONS 25UL
#endif
#define LIMIT 2097152U

static uint8_t composite[LIMIT];

uint64_t bench_sieve(void) {
  uint64_t sum = 0;
  for (uint64_t n = 0; n < ITERATIONS; n++) {
    uint32_t limit = LIMIT - (uint32_t)n * 1000, count = 0;
    for (uint32_t i = 0; i < limit; i++) composite[i] = 0;
    for (uint32_t i = 2; i < limit; i++) {
      if (composite[i]) continue;
      count++;
      for (uint64_t j = (uint64_t)i * i; j < limit; j += i) composite[j] = 1;
    }
    sum = sum * 31 + count;
  }
  return sum;
}
