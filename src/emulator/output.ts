// Outputs: what the guest emitted. Every console byte and every packet has an ordinal of its own (1, 2, 3, … since power-on),
// so that the numbering does not depend on how a run was cut into slices; neighbouring console bytes are merely carried together.

export type Output =
  /** Console bytes; the first has ordinal `ordinal`, the last `ordinal + bytes.length - 1`. */
  | {kind: 'console'; ordinal: bigint; bytes: Uint8Array}
  /** One Ethernet frame sent by NIC number `nic`. */
  | {kind: 'packet'; ordinal: bigint; nic: number; bytes: Uint8Array};

/** How many ordinals an output takes. */
export function outputCount(output: Output): number {
  return output.kind === 'console' ? output.bytes.length : 1;
}
