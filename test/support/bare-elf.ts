// The smallest executable: one segment, loaded where RAM begins.

/** Physical address of the first byte. */
export const START = 0x8000_0000;
const ELF_HEADER_BYTES = 64;
const PROGRAM_HEADER_BYTES = 56;

/** An executable of one segment, which starts at its first byte. */
export function elfOf(code: Uint8Array): Uint8Array {
  const offset = ELF_HEADER_BYTES + PROGRAM_HEADER_BYTES;
  const bytes = new Uint8Array(offset + code.length);
  const view = new DataView(bytes.buffer);
  bytes.set([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1]);
  const halfwords: [number, number][] = [
    [16, 2], // executable
    [18, 243], // RISC-V
    [20, 1],
    [52, ELF_HEADER_BYTES],
    [54, PROGRAM_HEADER_BYTES],
    [56, 1],
  ];
  for (const [at, value] of halfwords) view.setUint16(at, value, true);
  view.setBigUint64(24, BigInt(START), true);
  view.setBigUint64(32, BigInt(ELF_HEADER_BYTES), true);
  view.setUint32(ELF_HEADER_BYTES, 1, true);
  view.setUint32(ELF_HEADER_BYTES + 4, 7, true);
  const fields = [offset, START, START, code.length, code.length, 0x1000];
  for (const [n, value] of fields.entries()) view.setBigUint64(ELF_HEADER_BYTES + 8 + 8 * n, BigInt(value), true);
  bytes.set(code, offset);
  return bytes;
}
