// CRC-32 (IEEE 802.3) of a 64 KiB buffer by table, byte by byte: loads, shifts, a tight loop.
#include "bench.h"
#ifndef ITERATIONS
#define ITERATIONS 1500UL
#endif
#define BYTES 65536U

static uint32_t table[256];
static uint8_t buffer[BYTES];

uint64_t bench_crc(void) {
  uint64_t state = 88172645463325252UL, sum = 0;
  for (uint32_t i = 0; i < 256; i++) {
    uint32_t value = i;
    for (int bit = 0; bit < 8; bit++) value = (value & 1) != 0 ? value >> 1 ^ 0xedb88320U : value >> 1;
    table[i] = value;
  }
  for (uint32_t i = 0; i < BYTES; i++) buffer[i] = (uint8_t)bench_random(&state);
  for (uint64_t n = 0; n < ITERATIONS; n++) {
    uint32_t crc = ~(uint32_t)n;
    for (uint32_t i = 0; i < BYTES; i++) crc = table[(crc ^ buffer[i]) & 0xff] ^ crc >> 8;
    sum = sum * 31 + (uint32_t)~crc;
  }
  return sum;
}
