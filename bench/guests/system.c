// What programs ask of Linux: system calls, pipes between processes, page faults, fork and exec. Each returns a checksum of what it
// got; 0 stands for a call that failed.
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include "bench.h"

#define GETPIDS 500000UL
#define TRANSFERS 40000UL
#define ROUND_TRIPS 5000UL
#define MAPPINGS 8UL
#define MAPPING_PAGES 2048UL
#define FORKS 400UL
#define EXECS 100UL
#define PAGE_BYTES 4096UL

uint64_t bench_getpid(void) {
  uint64_t same = 0;
  for (uint64_t n = 0; n < GETPIDS; n++) same += syscall(SYS_getpid) == getpid();
  return same;
}

// 512 bytes from /dev/zero and to /dev/null, a pair of calls each.
uint64_t bench_transfer(void) {
  char buffer[512];
  int zero = open("/dev/zero", O_RDONLY), null = open("/dev/null", O_WRONLY);
  uint64_t bytes = 0;
  for (uint64_t n = 0; n < TRANSFERS; n++) {
    long got = read(zero, buffer, sizeof buffer);
    if (got <= 0) return 0;
    bytes += (uint64_t)write(null, buffer, (unsigned long)got);
  }
  close(zero);
  close(null);
  return bytes;
}

// A byte to another process and back: two pipes, two switches of the context.
uint64_t bench_pipe(void) {
  int to[2], from[2], status;
  if (pipe(to) != 0 || pipe(from) != 0) return 0;
  pid_t child = fork();
  if (child == 0) {
    uint8_t byte;
    for (uint64_t n = 0; n < ROUND_TRIPS; n++) {
      if (read(to[0], &byte, 1) != 1) _exit(1);
      byte = (uint8_t)(byte * 5 + 1);
      if (write(from[1], &byte, 1) != 1) _exit(1);
    }
    _exit(0);
  }
  uint64_t sum = 0;
  uint8_t byte = 1;
  for (uint64_t n = 0; n < ROUND_TRIPS; n++) {
    if (write(to[1], &byte, 1) != 1 || read(from[0], &byte, 1) != 1) return 0;
    sum = sum * 31 + byte;
  }
  if (waitpid(child, &status, 0) != child || status != 0) return 0;
  for (int end = 0; end < 2; end++) close(to[end]), close(from[end]);
  return sum;
}

// Anonymous memory, mapped, touched page by page, unmapped.
uint64_t bench_fault(void) {
  uint64_t sum = 0;
  for (uint64_t n = 0; n < MAPPINGS; n++) {
    uint8_t *pages = mmap(0, MAPPING_PAGES * PAGE_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (pages == MAP_FAILED) return 0;
    for (uint64_t page = 0; page < MAPPING_PAGES; page++) pages[page * PAGE_BYTES] += (uint8_t)(page + n);
    for (uint64_t page = 0; page < MAPPING_PAGES; page++) sum = sum * 31 + pages[page * PAGE_BYTES];
    munmap(pages, MAPPING_PAGES * PAGE_BYTES);
  }
  return sum;
}

static uint64_t status_of(pid_t child) {
  int status;
  return waitpid(child, &status, 0) == child && WIFEXITED(status) ? (uint64_t)WEXITSTATUS(status) : 1000;
}

uint64_t bench_fork(void) {
  uint64_t sum = 0;
  for (uint64_t n = 0; n < FORKS; n++) {
    pid_t child = fork();
    if (child == 0) _exit((int)(n & 63));
    sum = sum * 31 + status_of(child);
  }
  return sum;
}

// This program again, with the word that makes it end at once.
uint64_t bench_exec(void) {
  uint64_t sum = 0;
  for (uint64_t n = 0; n < EXECS; n++) {
    char code[8];
    snprintf(code, sizeof code, "%d", (int)(n & 63));
    pid_t child = fork();
    if (child == 0) {
      execl("/proc/self/exe", "bench", BENCH_END_WORD, code, (char *)0);
      _exit(255);
    }
    sum = sum * 31 + status_of(child);
  }
  return sum;
}

// What a shell does all day, each program run once: nothing is translated yet when it begins.
uint64_t bench_pipeline(void) {
  FILE *output = popen("seq 1 6000 | sed -e 's/7/seven/g' | sort -r | tr 0-4 a-e | uniq | gzip | gunzip | sha256sum", "r");
  if (output == NULL) return 0;
  uint64_t sum = 0;
  for (int byte; (byte = getc(output)) != EOF;) sum = sum * 31 + (uint64_t)byte;
  return pclose(output) == 0 ? sum : 0;
}
