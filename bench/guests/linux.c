// Runs benchmarks as a Linux program: all, or those named on the command line. Prints checksum and seconds of each.
#include <stdio.h>
#include <string.h>
#include <time.h>
#include "bench.h"

static const struct { const char *name; uint64_t (*run)(void); } programs[] = {
  {"loop", bench_loop}, {"crc", bench_crc}, {"sieve", bench_sieve}, {"sort", bench_sort},
  {"vm", bench_vm}, {"fib", bench_fib}, {"memory", bench_memory}, {"float", bench_float},
};

static double seconds(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

int main(int count, char **words) {
  int ran = 0;
  for (unsigned i = 0; i < sizeof programs / sizeof programs[0]; i++) {
    int wanted = count < 2;
    for (int word = 1; word < count; word++) wanted |= strcmp(words[word], programs[i].name) == 0;
    if (!wanted) continue;
    double start = seconds();
    uint64_t checksum = programs[i].run();
    printf("%s: checksum %016lx seconds %.3f\n", programs[i].name, (unsigned long)checksum, seconds() - start);
    fflush(stdout);
    ran++;
  }
  return ran > 0 ? 0 : 1;
}
