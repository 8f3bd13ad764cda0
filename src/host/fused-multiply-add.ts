// Whether this host's WebAssembly rounds a multiplication and addition once. Relaxed SIMD leaves that open, and an engine decides by the
// processor: V8 by its vfmadd (x86 with FMA3) or fmla (ARM), in each of its compilers. A module is asked with numbers for which one
// and two roundings differ. Who is told true may use relaxed_madd where x × y + z must be rounded once.

/** Two exports, (x, y, z) → x × y + z, by the first lane of relaxed_madd: `f32`, and `f64`. */
const MODULE = Uint8Array.of(
  ...[0, 0x61, 0x73, 0x6d, 1, 0, 0, 0],
  // Types: three f32 to an f32, three f64 to an f64.
  ...[1, 15, 2, 0x60, 3, 0x7d, 0x7d, 0x7d, 1, 0x7d, 0x60, 3, 0x7c, 0x7c, 0x7c, 1, 0x7c],
  ...[3, 3, 2, 0, 1],
  ...[7, 13, 2, 3, 0x66, 0x33, 0x32, 0, 0, 3, 0x66, 0x36, 0x34, 0, 1],
  // Each: the three parameters as vectors (splat), relaxed_madd, extract_lane 0.
  ...[10, 43, 2],
  ...[20, 0, 0x20, 0, 0xfd, 0x13, 0x20, 1, 0xfd, 0x13, 0x20, 2, 0xfd, 0x13, 0xfd, 0x85, 2, 0xfd, 0x1f, 0, 0x0b],
  ...[20, 0, 0x20, 0, 0xfd, 0x14, 0x20, 1, 0xfd, 0x14, 0x20, 2, 0xfd, 0x14, 0xfd, 0x87, 2, 0xfd, 0x21, 0, 0x0b],
);

type MultiplyAdd = (x: number, y: number, z: number) => number;

/** False also where there is no relaxed SIMD. */
export function fusesMultiplyAdd(): boolean {
  if (!WebAssembly.validate(MODULE)) return false;
  const {f32, f64} = new WebAssembly.Instance(new WebAssembly.Module(MODULE)).exports as Record<string, MultiplyAdd>;
  return f32 !== undefined && f64 !== undefined && isFused(f32, 23) && isFused(f64, 52);
}

/** (1 + a)(1 + b) − (1 + a + b) is ab with one rounding; with two it is 0 where ab is too small to be seen beside 1. */
function isFused(multiplyAdd: MultiplyAdd, fractionBits: number): boolean {
  const half = Math.ceil((fractionBits + 1) / 2);
  for (let places = half; places <= fractionBits; places += 1) {
    for (const sign of [1, -1]) {
      const a = 2 ** -places;
      const b = sign * 2 ** -half;
      if (multiplyAdd(1 + a, 1 + b, -(1 + a + b)) !== a * b) return false;
    }
  }
  return multiplyAdd(3, 5, 7) === 22;
}
