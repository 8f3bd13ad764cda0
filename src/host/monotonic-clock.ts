// The host's clock: monotonic, in nanoseconds from an arbitrary beginning; and the wall clock, asked once at power-on.

export interface HostClock {
  nowNs(): bigint;
  /** Nanoseconds since 1970. */
  wallNs(): bigint;
}

export const HOST_CLOCK: HostClock = {
  nowNs: () => process.hrtime.bigint(),
  wallNs: () => BigInt(Date.now()) * 1_000_000n,
};
