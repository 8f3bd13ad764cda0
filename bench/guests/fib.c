// Fibonacci by recursion: calls, returns and the stack.
#include "bench.h"
#ifndef ITERATIONS
#define ITERATIONS 37U
#endif

__attribute__((noinline)) static uint64_t fib(uint32_t n) {
  if (n < 2) return n;
  uint64_t left = fib(n - 1);
  asm volatile("" ::: "memory");  // two calls each, no loop in the place of one
  return left + fib(n - 2);
}

uint64_t bench_fib(void) { return fib(ITERATIONS); }
