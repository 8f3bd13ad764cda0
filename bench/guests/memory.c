// Memory beyond the caches: copies of 4 MiB, and a walk along pointers in random order through 1 MiB.
#include "bench.h"
#ifndef ITERATIONS
#define ITERATIONS 60UL
#endif
#define WORDS 524288U
#define STEPS 262144U

static uint64_t from[WORDS], to[WORDS];
static uint32_t next[STEPS];

uint64_t bench_memory(void) {
  uint64_t state = 88172645463325252UL, sum = 0;
  for (uint32_t i = 0; i < WORDS; i++) from[i] = bench_random(&state);
  for (uint32_t i = 0; i < STEPS; i++) next[i] = i;
  for (uint32_t i = STEPS - 1; i > 0; i--) {  // one cycle through all (Sattolo)
    uint32_t j = (uint32_t)(bench_random(&state) % i), kept = next[i];
    next[i] = next[j];
    next[j] = kept;
  }
  uint32_t at = 0;
  for (uint64_t n = 0; n < ITERATIONS; n++) {
    for (uint32_t i = 0; i < WORDS; i++) to[i] = from[i] + n;
    for (uint32_t i = 0; i < WORDS; i++) from[i] = to[i] ^ sum;
    for (uint32_t i = 0; i < STEPS; i++) at = next[at];
    sum = sum * 31 + at + from[at & (WORDS - 1)];
  }
  return sum;
}
