// A walk along pointers in random order through 64 MiB, a cache line each: every step misses the caches and the TLB. Linux only.
#include <sys/mman.h>
#include "bench.h"
#ifndef ITERATIONS
#define ITERATIONS 2000000UL
#endif
#define LINES (1UL << 20)

typedef struct line { struct line *next; uint64_t number, unused[6]; } line;

uint64_t bench_chase(void) {
  uint64_t state = 88172645463325252UL, sum = 0;
  line *lines = mmap(0, LINES * sizeof(line), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (lines == MAP_FAILED) return 0;
  for (uint64_t i = 0; i < LINES; i++) {
    lines[i].number = i;
    lines[i].next = &lines[i];
  }
  for (uint64_t i = LINES - 1; i > 0; i--) {  // one cycle through all (Sattolo)
    uint64_t j = bench_random(&state) % i;
    line *kept = lines[i].next;
    lines[i].next = lines[j].next;
    lines[j].next = kept;
  }
  line *at = lines;
  for (uint64_t n = 0; n < ITERATIONS; n++) {
    at = at->next;
    sum = sum * 31 + at->number;
  }
  munmap(lines, LINES * sizeof(line));
  return sum;
}
