// Runs one benchmark (-DPROGRAM=name) on the bare machine and prints its checksum. With -DCOUNT_INSTRUCTIONS it also prints the
// instructions that it took, which is meaningful where minstret counts them (QEMU: -icount).
#include "../../fixtures/guests/lib/guest.h"
#include "bench.h"

#define NAME_OF(name) #name
#define NAME(name) NAME_OF(name)
#define FUNCTION_OF(name) bench_##name
#define FUNCTION(name) FUNCTION_OF(name)

int guest_main(u64 hart, const void *device_tree) {
  (void)hart, (void)device_tree;
  print("%s: ", NAME(PROGRAM));
#ifdef COUNT_INSTRUCTIONS
  u64 before = CSR_READ(minstret);
#endif
  u64 checksum = FUNCTION(PROGRAM)();
#ifdef COUNT_INSTRUCTIONS
  u64 after = CSR_READ(minstret);
  print("instructions %u, ", after - before);
#endif
  print("checksum %016x\n", checksum);
  return 0;
}
