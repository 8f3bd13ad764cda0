// Fast Fourier transform of 4096 complex numbers, forth and back: strided loads and stores of doubles, butterflies.
#include "bench.h"
#ifndef ITERATIONS
#define ITERATIONS 110UL
#endif
#define LOG_SIZE 12
#define SIZE (1U << LOG_SIZE)

typedef struct { double re, im; } complex;
static complex roots[SIZE / 2], values[SIZE];

static complex times(complex a, complex b) {
  return (complex){a.re * b.re - a.im * b.im, a.re * b.im + a.im * b.re};
}

// e^(2 pi i k / SIZE), from square roots alone: the half angle of what is known, and its products.
static void find_roots(void) {
  complex halves[LOG_SIZE];
  complex root = {-1, 0};  // of a half turn
  for (int bit = LOG_SIZE - 2; bit >= 0; bit--) {
    root = (complex){__builtin_sqrt((1 + root.re) / 2), __builtin_sqrt((1 - root.re) / 2)};
    halves[bit] = root;
  }
  for (uint32_t k = 0; k < SIZE / 2; k++) {
    roots[k] = (complex){1, 0};
    for (int bit = 0; bit < LOG_SIZE - 1; bit++) if ((k >> bit & 1) != 0) roots[k] = times(roots[k], halves[bit]);
  }
}

static void transform(double sign) {
  for (uint32_t i = 0, j = 0; i < SIZE; i++) {
    if (i < j) {
      complex kept = values[i];
      values[i] = values[j];
      values[j] = kept;
    }
    uint32_t bit = SIZE >> 1;
    for (; (j & bit) != 0; bit >>= 1) j ^= bit;
    j |= bit;
  }
  for (uint32_t half = 1; half < SIZE; half *= 2) {
    uint32_t stride = SIZE / 2 / half;
    for (uint32_t start = 0; start < SIZE; start += 2 * half) for (uint32_t k = 0; k < half; k++) {
      complex root = roots[k * stride];
      root.im *= sign;
      complex *even = &values[start + k], *odd = even + half, product = times(*odd, root);
      *odd = (complex){even->re - product.re, even->im - product.im};
      *even = (complex){even->re + product.re, even->im + product.im};
    }
  }
}

uint64_t bench_fft(void) {
  uint64_t state = 88172645463325252UL, bits = 0;
  find_roots();
  for (uint32_t i = 0; i < SIZE; i++) {
    values[i].re = (double)(bench_random(&state) % 2000) / 1000 - 1;
    values[i].im = 0;
  }
  for (uint64_t n = 0; n < ITERATIONS; n++) {
    transform(1);
    transform(-1);
    for (uint32_t i = 0; i < SIZE; i++) values[i].re /= SIZE, values[i].im /= SIZE;
  }
  for (uint32_t i = 0; i < SIZE; i++) {
    union { double value; uint64_t bits; } both = {values[i].re};
    bits = bits * 31 + both.bits;
  }
  return bits;
}
