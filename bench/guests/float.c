// Double precision: planets under gravity (add, multiply, divide, square root, fused), and a matrix product.
#include "bench.h"
#ifndef ITERATIONS
#define ITERATIONS 1200UL
#endif
#define BODIES 16
#define SIZE 48

static double position[BODIES][3], velocity[BODIES][3], mass[BODIES];
static double left[SIZE][SIZE], right[SIZE][SIZE], product[SIZE][SIZE];

static void advance(double step) {
  for (int i = 0; i < BODIES; i++) for (int j = i + 1; j < BODIES; j++) {
    double distance[3], square = 0.01;
    for (int k = 0; k < 3; k++) {
      distance[k] = position[i][k] - position[j][k];
      square += distance[k] * distance[k];
    }
    double magnitude = step / (square * __builtin_sqrt(square));
    for (int k = 0; k < 3; k++) {
      velocity[i][k] -= distance[k] * mass[j] * magnitude;
      velocity[j][k] += distance[k] * mass[i] * magnitude;
    }
  }
  for (int i = 0; i < BODIES; i++) for (int k = 0; k < 3; k++) position[i][k] += step * velocity[i][k];
}

static void multiply(void) {
  for (int i = 0; i < SIZE; i++) for (int j = 0; j < SIZE; j++) {
    double sum = 0;
    for (int k = 0; k < SIZE; k++) sum += left[i][k] * right[k][j];
    product[i][j] = sum;
  }
}

uint64_t bench_float(void) {
  uint64_t state = 88172645463325252UL, bits = 0;
  for (int i = 0; i < BODIES; i++) {
    mass[i] = 1 + (double)(bench_random(&state) % 1000) / 1000;
    for (int k = 0; k < 3; k++) position[i][k] = (double)(bench_random(&state) % 20000) / 1000 - 10;
  }
  for (int i = 0; i < SIZE; i++) for (int j = 0; j < SIZE; j++) {
    left[i][j] = (double)(i * 7 + j) / 64;
    right[i][j] = (double)(i - j * 3) / 32;
  }
  for (uint64_t n = 0; n < ITERATIONS; n++) {
    for (int i = 0; i < 10; i++) advance(0.001);
    multiply();
    left[n % SIZE][n / SIZE % SIZE] = position[n % BODIES][0] + product[n % SIZE][1] / 1e6;
  }
  for (int i = 0; i < BODIES; i++) for (int k = 0; k < 3; k++) {
    union { double value; uint64_t bits; } both = {position[i][k] + product[i][k]};
    bits = bits * 31 + both.bits;
  }
  return bits;
}
