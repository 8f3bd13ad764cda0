// The user's console: stdin and stdout. On a terminal it is raw, as in QEMU's -nographic: every key reaches the guest but Ctrl-A,
// which starts an escape (x ends, h helps, Ctrl-A sends itself). Elsewhere stdin is a pipe, taken as it is.

/** Ctrl-A, the escape key of QEMU's and others' serial consoles. */
const ESCAPE = 0x01;
const HELP = '\r\nCtrl-A x  end the session\r\nCtrl-A h  this help\r\nCtrl-A Ctrl-A  send Ctrl-A\r\n';

/** What is held back before stdin is paused: the machine's own queue takes as much again. */
const PENDING_LIMIT_BYTES = 256 * 1024;

export interface Console {
  /** Whether bytes wait. */
  readonly pendingBytes: number;
  /** Whether nothing can come any more. */
  readonly ended: boolean;
  /** Takes at most `limitBytes` of what was typed. */
  take(limitBytes: number): Uint8Array;
  write(bytes: Uint8Array): void;
  /** Calls `listener` whenever bytes have come or stdin has ended. */
  onInput(listener: () => void): void;
  /** Bytes handed to `write` that stdout has not taken. */
  readonly backlogBytes: number;
  close(): void;
}

export class ProcessConsole implements Console {
  readonly #stdin = process.stdin;
  readonly #stdout = process.stdout;
  readonly #onEscape: () => void;
  #chunks: Uint8Array[] = [];
  #pendingBytes = 0;
  #ended = false;
  #escaped = false;
  #listener: () => void = () => {};
  readonly #raw: boolean;

  /** `onEscape` is called for Ctrl-A x. With `input` false stdin is left alone. */
  constructor(options: {onEscape: () => void; input?: boolean}) {
    this.#onEscape = options.onEscape;
    this.#raw = options.input !== false && this.#stdin.isTTY === true;
    if (options.input === false) {
      this.#ended = true;
      return;
    }
    if (this.#raw) this.#stdin.setRawMode(true);
    this.#stdin.on('data', this.#onData);
    this.#stdin.on('end', this.#onEnd);
    this.#stdin.on('error', this.#onEnd);
  }

  get pendingBytes(): number {
    return this.#pendingBytes;
  }

  get ended(): boolean {
    return this.#ended && this.#pendingBytes === 0;
  }

  get backlogBytes(): number {
    return this.#stdout.writableLength;
  }

  take(limitBytes: number): Uint8Array {
    const all = this.#chunks.length === 1 ? this.#chunks[0] : Buffer.concat(this.#chunks);
    const taken = all.subarray(0, limitBytes);
    const rest = all.subarray(taken.length);
    this.#chunks = rest.length > 0 ? [rest] : [];
    this.#pendingBytes = rest.length;
    if (!this.#ended && this.#pendingBytes < PENDING_LIMIT_BYTES) this.#stdin.resume();
    return Uint8Array.from(taken);
  }

  write(bytes: Uint8Array): void {
    this.#stdout.write(bytes);
  }

  onInput(listener: () => void): void {
    this.#listener = listener;
  }

  close(): void {
    this.#stdin.off('data', this.#onData);
    this.#stdin.off('end', this.#onEnd);
    this.#stdin.off('error', this.#onEnd);
    if (this.#raw) this.#stdin.setRawMode(false);
    this.#stdin.pause();
    this.#stdin.unref?.();
  }

  readonly #onData = (chunk: Buffer): void => {
    const bytes = this.#raw ? this.#withoutEscapes(chunk) : chunk;
    if (bytes.length === 0) return;
    this.#chunks.push(bytes);
    this.#pendingBytes += bytes.length;
    if (this.#pendingBytes >= PENDING_LIMIT_BYTES) this.#stdin.pause();
    this.#listener();
  };

  readonly #onEnd = (): void => {
    this.#ended = true;
    this.#listener();
  };

  #withoutEscapes(chunk: Uint8Array): Uint8Array {
    const kept: number[] = [];
    for (const byte of chunk) {
      if (!this.#escaped) {
        if (byte === ESCAPE) this.#escaped = true;
        else kept.push(byte);
        continue;
      }
      this.#escaped = false;
      if (byte === ESCAPE) kept.push(byte);
      else if (byte === 0x78) this.#onEscape();
      else if (byte === 0x68) this.#stdout.write(HELP);
    }
    return Uint8Array.from(kept);
  }
}
