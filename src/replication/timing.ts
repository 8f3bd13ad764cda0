// How fast a failure is noticed. A SIGKILL shows at once, by the broken connection; a silent host only by the heartbeat.

export type Timing = {
  /** Both sides are heard at least so often. */
  heartbeatMs: number;
  /** Silence after which the other side is taken for dead. */
  takeoverMs: number;
};
