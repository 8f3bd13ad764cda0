// Copies of 24 MiB with the C library's memcpy, and a sum over each. Linux only.
#include <string.h>
#include <sys/mman.h>
#include "bench.h"
#ifndef ITERATIONS
#define ITERATIONS 10UL
#endif
#define WORDS (3UL << 20)
#define BYTES (WORDS * sizeof(uint64_t))

uint64_t bench_copy(void) {
  uint64_t state = 88172645463325252UL, sum = 0;
  uint64_t *from = mmap(0, 2 * BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), *to = from + WORDS;
  if (from == MAP_FAILED) return 0;
  for (uint64_t i = 0; i < WORDS; i++) from[i] = bench_random(&state);
  for (uint64_t n = 0; n < ITERATIONS; n++) {
    from[n] += sum;
    memcpy(to, from, BYTES);
    for (uint64_t i = 0; i < WORDS; i++) sum += to[i];
    uint64_t *kept = from;
    from = to;
    to = kept;
  }
  munmap(from < to ? from : to, 2 * BYTES);
  return sum;
}
