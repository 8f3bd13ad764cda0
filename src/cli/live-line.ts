// One line on stderr that changes while something runs; nothing where stderr is no terminal.

const INTERVAL_MS = 100;

export class LiveLine {
  readonly #enabled = process.stderr.isTTY === true;
  #shownMs = 0;
  #shown = false;

  /** Shows the text, at most ten times a second. */
  show(text: () => string): void {
    if (!this.#enabled) return;
    const nowMs = performance.now();
    if (nowMs - this.#shownMs < INTERVAL_MS) return;
    this.#shownMs = nowMs;
    this.#shown = true;
    process.stderr.write(`\r\x1b[2K${text()}`);
  }

  clear(): void {
    if (this.#shown) process.stderr.write('\r\x1b[2K');
    this.#shown = false;
  }
}
