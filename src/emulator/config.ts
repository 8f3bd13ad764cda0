// The machine's configuration, whole: together with the boot images, the base disks and the inputs it determines every step.
// It stands in the log's header.

export type MachineConfig = {
  /** Bytes of DRAM at 0x80000000: a multiple of 2 MiB, at most 4 GiB less what the machine itself needs. */
  ramBytes: number;
  /** `elf`: a bare-metal ELF (or flat binary at 0x80000000) started in M mode. `linux`: OpenSBI fw_dynamic + kernel Image + initrd. */
  boot: 'elf' | 'linux';
  /** Kernel command line (`/chosen/bootargs`). */
  commandLine: string;
  /** Nanoseconds since 1970 that the RTC shows at power-on. */
  epochNs: bigint;
  /** 32 bytes for `/chosen/rng-seed`. */
  rngSeed: Uint8Array;
  /** Steps per mtime tick (10 MHz) at power-on. */
  stepsPerTick: number;
  /** `real`: a live source sleeps and corrects drift. `virtual`: a fixed rate that never sleeps. */
  clock: 'real' | 'virtual';
  /** Sizes of the base images, in bytes, multiples of 512; one virtio-blk device each. */
  disks: {sizeBytes: number}[];
  /** One virtio-net device each; `mac` has 6 bytes. */
  nics: {mac: Uint8Array}[];
  /** Whether there is a virtio-rng device. */
  entropy: boolean;
  /** Whether the finisher's 0x7777 resets the machine in place; otherwise it ends the run. */
  reboot: boolean;
};

/** What the machine boots from, by role. `kernel` is the ELF when `boot` is `elf`. */
export type BootImages = {kernel: Uint8Array; firmware?: Uint8Array; initrd?: Uint8Array};

/** A base disk: immutable, read synchronously. Throws when the host cannot read it. */
export interface BaseImage {
  readonly sizeBytes: number;
  read(offsetBytes: number, into: Uint8Array): void;
}

/** How the guest ended: the finisher's pass (code 0), fail (its code), or a reset with `reboot` off. */
export type Ending = {kind: 'poweroff'; code: number} | {kind: 'reset'};
