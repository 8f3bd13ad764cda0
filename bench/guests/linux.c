// Runs benchmarks as a Linux program: `bench [-n TIMES] [NAME…]`, all or those named. The lines `NAME: begin` and `NAME: checksum …`
// stand around the work, so that whoever watches the console can take the time; the seconds are the guest's own.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include "bench.h"

static const struct { const char *name; uint64_t (*run)(void); } programs[] = {
  {"pipeline", bench_pipeline},
  {"loop", bench_loop}, {"crc", bench_crc}, {"sieve", bench_sieve}, {"sort", bench_sort}, {"vm", bench_vm}, {"fib", bench_fib},
  {"float", bench_float}, {"mandelbrot", bench_mandelbrot}, {"fft", bench_fft},
  {"chase", bench_chase}, {"copy", bench_copy},
  {"getpid", bench_getpid}, {"transfer", bench_transfer}, {"pipe", bench_pipe}, {"fault", bench_fault}, {"fork", bench_fork},
  {"exec", bench_exec},
};

// What was printed before has left the machine when the work begins.
#define PAUSE_US 300000

static double seconds(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

int main(int count, char **words) {
  if (count == 3 && strcmp(words[1], BENCH_END_WORD) == 0) return atoi(words[2]);
  int times = 1, first = 1, ran = 0;
  if (count > 2 && strcmp(words[1], "-n") == 0) times = atoi(words[2]), first = 3;
  for (unsigned i = 0; i < sizeof programs / sizeof programs[0]; i++) {
    int wanted = count <= first;
    for (int word = first; word < count; word++) wanted |= strcmp(words[word], programs[i].name) == 0;
    if (!wanted) continue;
    usleep(PAUSE_US);
    printf("%s: begin\n", programs[i].name);
    fflush(stdout);
    double start = seconds();
    uint64_t checksum = 0;
    for (int n = 0; n < times; n++) checksum = programs[i].run();
    printf("%s: checksum %016lx seconds %.3f\n", programs[i].name, (unsigned long)checksum, seconds() - start);
    fflush(stdout);
    ran++;
  }
  return ran > 0 ? 0 : 1;
}
