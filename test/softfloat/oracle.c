// The oracle: executes one floating-point instruction per record on a RISC-V that is known to be right (QEMU's user mode, whose
// arithmetic is Berkeley SoftFloat's heir). Reads records of 32 bytes {u32 operation, u32 rounding mode, u64 x, u64 y, u64 z}
// from stdin until its end, writes {u64 result, u64 fflags} for each. Operations are numbered as in operations.ts. Freestanding.
// With BARE_METAL it is a guest of our machine instead, and finds {u64 count, u64 fflags beforehand} at SHARED, the records in
// the pages behind that, and leaves the answers right behind the records.

typedef unsigned int u32;
typedef unsigned long u64;

struct record {
  u32 operation, rm;
  u64 x, y, z;
};

struct answer {
  u64 result, flags;
};

#define UNARY(text) asm volatile(text : "=f"(result) : "f"(x)); break
#define BINARY(text) asm volatile(text : "=f"(result) : "f"(x), "f"(y)); break
#define TERNARY(text) asm volatile(text : "=f"(result) : "f"(x), "f"(y), "f"(z)); break
#define COMPARE(text) asm volatile(text : "=r"(integer) : "f"(x), "f"(y)); return integer
#define TO_INTEGER(text) asm volatile(text : "=r"(integer) : "f"(x)); return integer
#define FROM_INTEGER(text) asm volatile(text : "=f"(result) : "r"(r->x)); break

// The operations of one precision, whose suffix is s or d.
#define PRECISION(first, suffix) \
  case first + 0: BINARY("fadd." suffix " %0, %1, %2, dyn"); \
  case first + 1: BINARY("fsub." suffix " %0, %1, %2, dyn"); \
  case first + 2: BINARY("fmul." suffix " %0, %1, %2, dyn"); \
  case first + 3: BINARY("fdiv." suffix " %0, %1, %2, dyn"); \
  case first + 4: UNARY("fsqrt." suffix " %0, %1, dyn"); \
  case first + 5: TERNARY("fmadd." suffix " %0, %1, %2, %3, dyn"); \
  case first + 6: BINARY("fmin." suffix " %0, %1, %2"); \
  case first + 7: BINARY("fmax." suffix " %0, %1, %2"); \
  case first + 8: COMPARE("feq." suffix " %0, %1, %2"); \
  case first + 9: COMPARE("flt." suffix " %0, %1, %2"); \
  case first + 10: COMPARE("fle." suffix " %0, %1, %2"); \
  case first + 11: TO_INTEGER("fclass." suffix " %0, %1"); \
  case first + 12: TO_INTEGER("fcvt.w." suffix " %0, %1, dyn"); \
  case first + 13: TO_INTEGER("fcvt.wu." suffix " %0, %1, dyn"); \
  case first + 14: TO_INTEGER("fcvt.l." suffix " %0, %1, dyn"); \
  case first + 15: TO_INTEGER("fcvt.lu." suffix " %0, %1, dyn"); \
  case first + 16: FROM_INTEGER("fcvt." suffix ".w %0, %1"); \
  case first + 17: FROM_INTEGER("fcvt." suffix ".wu %0, %1"); \
  case first + 18: FROM_INTEGER("fcvt." suffix ".l %0, %1, dyn"); \
  case first + 19: FROM_INTEGER("fcvt." suffix ".lu %0, %1, dyn");

// Operands of single precision come NaN-boxed; results leave as their registers' 64 bits.
static u64 execute(const struct record *r) {
  double x, y, z, result = 0;
  long integer;
  asm volatile("fmv.d.x %0, %1" : "=f"(x) : "r"(r->x));
  asm volatile("fmv.d.x %0, %1" : "=f"(y) : "r"(r->y));
  asm volatile("fmv.d.x %0, %1" : "=f"(z) : "r"(r->z));
  switch (r->operation) {
    PRECISION(0, "s")
    PRECISION(20, "d")
    case 40: UNARY("fcvt.d.s %0, %1");
    case 41: UNARY("fcvt.s.d %0, %1, dyn");
  }
  asm volatile("fmv.x.d %0, %1" : "=r"(integer) : "f"(result));
  return integer;
}

static struct answer answer(const struct record *r, u64 flags) {
  struct answer a;
  asm volatile("fsrm %0" ::"r"(r->rm));
  asm volatile("fsflags %0" ::"r"(flags));
  a.result = execute(r);
  asm volatile("frflags %0" : "=r"(a.flags));
  return a;
}

#ifdef BARE_METAL

#define SHARED 0x81000000
#define PAGE_BYTES 4096
#define FINISHER 0x100000
#define PASS 0x5555

asm(".globl _start\n"
    "_start: li t0, 0x2000\n" // mstatus.FS: initial
    "csrs mstatus, t0\n"
    "li sp, 0x80800000\n"
    "j run\n");

void run(void) {
  const u64 *header = (const u64 *)SHARED;
  const struct record *records = (const struct record *)(SHARED + PAGE_BYTES);
  struct answer *answers = (struct answer *)(records + header[0]);
  for (u64 i = 0; i < header[0]; i++) answers[i] = answer(&records[i], header[1]);
  *(volatile u32 *)FINISHER = PASS;
  for (;;) {
  }
}

#else

static long system_call(long number, long a, long b, long c) {
  register long a0 asm("a0") = a;
  register long a1 asm("a1") = b;
  register long a2 asm("a2") = c;
  register long a7 asm("a7") = number;
  asm volatile("ecall" : "+r"(a0) : "r"(a1), "r"(a2), "r"(a7) : "memory");
  return a0;
}

static struct record records[1024];
static struct answer answers[1024];

void _start(void) {
  for (;;) {
    u64 length = 0;
    while (length < sizeof records) {
      long got = system_call(63, 0, (long)((char *)records + length), sizeof records - length);
      if (got <= 0) break;
      length += got;
    }
    u64 count = length / sizeof *records;
    for (u64 i = 0; i < count; i++) answers[i] = answer(&records[i], 0);
    u64 written = 0;
    while (written < count * sizeof *answers) {
      long put = system_call(64, 1, (long)((char *)answers + written), count * sizeof *answers - written);
      if (put <= 0) system_call(93, 1, 0, 0);
      written += put;
    }
    if (length < sizeof records) system_call(93, 0, 0, 0);
  }
}

#endif
