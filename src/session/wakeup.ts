// Waiting for whichever comes first: a moment of the host's clock, or a reason to look again. One waiter at a time.

export class Wakeup {
  #wake: (() => void) | undefined;
  #signalled = false;

  /** Ends the present wait, or else the next one at once. */
  signal(): void {
    this.#signalled = true;
    this.#wake?.();
  }

  /** Waits at most `timeoutMs`; undefined: until signalled. */
  async wait(timeoutMs: number | undefined): Promise<void> {
    if (!this.#signalled) {
      await new Promise<void>((resolve) => {
        const timer = timeoutMs === undefined ? undefined : setTimeout(resolve, timeoutMs);
        this.#wake = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
    this.#wake = undefined;
    this.#signalled = false;
  }
}

/** Lets the event loop serve what waits. */
export function breathe(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
