// What a device sees of the machine, and what the machine sees of a device. Devices never see the hart or each other.

/** A device in the memory map. Accesses are 1, 2 or 4 bytes; the bus splits 8-byte accesses, low half first. */
export interface Device {
  readonly name: string;
  /** Reads `sizeBytes` at `offset` from the device's base; unsigned result. An undefined register reads 0. */
  read(offset: number, sizeBytes: 1 | 2 | 4): number;
  /** Writes the low `sizeBytes` of `value`. Writes to an undefined register are ignored. */
  write(offset: number, sizeBytes: 1 | 2 | 4, value: number): void;
  /** Back to the state after power-on. */
  reset(): void;
}

/** An interrupt line, level-triggered. */
export interface IrqLine {
  set(level: boolean): void;
}

/** Guest physical memory as a bus master sees it. Addresses are guest-physical; all accesses are little-endian. */
export interface GuestMemory {
  /** Whether [address, address + lengthBytes) lies wholly in RAM. The other methods demand it. */
  contains(address: number, lengthBytes: number): boolean;
  /** A copy. */
  read(address: number, lengthBytes: number): Uint8Array;
  write(address: number, bytes: Uint8Array): void;
  readU16(address: number): number;
  readU32(address: number): number;
  readU64(address: number): bigint;
  writeU8(address: number, value: number): void;
  writeU16(address: number, value: number): void;
  writeU32(address: number, value: number): void;
}
