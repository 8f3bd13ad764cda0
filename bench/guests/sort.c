// Quicksort of 256 Ki words, by hand: unpredictable branches, loads and stores, recursion.
#include "bench.h"
#ifndef ITERATIONS
#define ITERATIONS 22UL
#endif
#define COUNT 262144

static uint32_t values[COUNT];

static void sort(uint32_t *low, uint32_t *high) {
  while (high - low > 12) {
    uint32_t pivot = low[(high - low) / 2];
    uint32_t *i = low, *j = high;
    while (i <= j) {
      while (*i < pivot) i++;
      while (*j > pivot) j--;
      if (i > j) break;
      uint32_t kept = *i;
      *i++ = *j;
      *j-- = kept;
    }
    if (j - low < high - i) {
      sort(low, j);
      low = i;
    } else {
      sort(i, high);
      high = j;
    }
  }
  for (uint32_t *i = low + 1; i <= high; i++) {
    uint32_t value = *i, *j = i;
    for (; j > low && j[-1] > value; j--) *j = j[-1];
    *j = value;
  }
}

uint64_t bench_sort(void) {
  uint64_t state = 88172645463325252UL, sum = 0;
  for (uint64_t n = 0; n < ITERATIONS; n++) {
    for (uint32_t i = 0; i < COUNT; i++) values[i] = (uint32_t)bench_random(&state);
    sort(values, values + COUNT - 1);
    for (uint32_t i = 0; i < COUNT; i += 97) sum = sum * 31 + values[i];
    for (uint32_t i = 1; i < COUNT; i++) if (values[i - 1] > values[i]) return 0;
  }
  return sum;
}
