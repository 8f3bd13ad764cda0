// The Mandelbrot set, 256 by 256 points: multiplications and additions that depend on each other, a branch on a comparison.
#include "bench.h"
#ifndef ITERATIONS
#define ITERATIONS 4UL
#endif
#define POINTS 256
#define DEPTH 300

uint64_t bench_mandelbrot(void) {
  uint64_t sum = 0;
  for (uint64_t n = 0; n < ITERATIONS; n++) {
    double width = 3.0 / (double)(n + 1);
    for (int row = 0; row < POINTS; row++) for (int column = 0; column < POINTS; column++) {
      double cr = -0.75 + width * ((double)column / POINTS - 0.5), ci = width * ((double)row / POINTS - 0.5);
      double zr = 0, zi = 0;
      uint32_t steps = 0;
      while (steps < DEPTH && zr * zr + zi * zi <= 4.0) {
        double next = zr * zr - zi * zi + cr;
        zi = 2.0 * zr * zi + ci;
        zr = next;
        steps++;
      }
      sum = sum * 31 + steps;
    }
  }
  return sum;
}
