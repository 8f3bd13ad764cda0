// Inputs: the facts that the program text does not determine. What is not in this union cannot influence the guest; all of
// it enters by `machine.deliver(input)`, at a position (DESIGN 3).

/** Result of a disk request, as virtio-blk's status byte knows it (virtio 1.2, 5.2.6). */
export type DiskStatus = 'ok' | 'ioError';

export type Input =
  /** At this boundary mtime becomes `ticks` (10 MHz) and advances by one tick every `stepsPerTick` steps. */
  | {kind: 'clock'; ticks: bigint; stepsPerTick: number}
  /** Moves the real-time clock alone: RTC = epochNs + offsetNs + mtime. */
  | {kind: 'rtc'; offsetNs: bigint}
  /** Bytes typed at the UART. */
  | {kind: 'console'; bytes: Uint8Array}
  /** Ethernet frames for NIC number `nic`, delivered together: one interrupt. */
  | {kind: 'packet'; nic: number; frames: Uint8Array[]}
  /** Completion of the oldest `count` requests in flight of disk number `disk`, each with the same status. */
  | {kind: 'disk'; disk: number; count: number; status: DiskStatus}
  /** Random bytes for the oldest pending request of the entropy device; never empty. */
  | {kind: 'entropy'; bytes: Uint8Array};
