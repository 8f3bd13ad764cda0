// Clients of a Redis in a guest, from outside: one that counts over one connection and misses nothing, one that asks one thing after another.

import assert from 'node:assert/strict';
import type {Socket} from 'node:net';
import {setTimeout as sleep} from 'node:timers/promises';

/** Says INCR over one connection, each time after the answer, and insists on what comes back. */
export class Counter {
  #socket: Socket | undefined;
  #received = '';
  #failure: Error | undefined;
  #running = false;
  #answeredMs = 0;
  #longestGapMs = 0;
  last = 0;

  /** Over this connection. */
  start(socket: Socket): void {
    this.#socket = socket;
    const broken = (why: string): void => {
      this.#failure ??= new Error(`the connection broke after ${this.last}: ${why}`);
    };
    socket.on('error', (error) => broken(error.message));
    socket.on('close', () => broken('closed'));
    socket.setEncoding('utf8').on('data', (text: string) => this.#answer(text));
    this.#running = true;
    this.#answeredMs = performance.now();
    socket.write('INCR counter\r\n');
  }

  /** Resolves when this value has been answered. */
  async reach(value: number, timeoutMs = 30_000): Promise<void> {
    for (const deadlineMs = performance.now() + timeoutMs; this.last < value; ) {
      if (this.#failure !== undefined) throw this.#failure;
      assert.ok(performance.now() < deadlineMs, `the counter stands at ${this.last}, ${value} was awaited`);
      await sleep(5);
    }
  }

  takeLongestGapMs(): number {
    const gapMs = this.#longestGapMs;
    this.#longestGapMs = 0;
    return Math.round(gapMs);
  }

  async stop(): Promise<void> {
    this.#running = false;
    await sleep(200);
    if (this.#failure !== undefined) throw this.#failure;
  }

  close(): void {
    this.#socket?.destroy();
  }

  #answer(text: string): void {
    this.#received += text;
    for (let end = this.#received.indexOf('\r\n'); end >= 0; end = this.#received.indexOf('\r\n')) {
      const line = this.#received.slice(0, end);
      this.#received = this.#received.slice(end + 2);
      if (line !== `:${this.last + 1}`) this.#failure ??= new Error(`after ${this.last} came ${line}`);
      this.last += 1;
      const nowMs = performance.now();
      this.#longestGapMs = Math.max(this.#longestGapMs, nowMs - this.#answeredMs);
      this.#answeredMs = nowMs;
      if (this.#running) this.#socket?.write('INCR counter\r\n');
    }
  }
}

/** A connection on which one thing after another is asked. */
export class Connection implements Disposable {
  readonly #socket: Socket;
  onProgress: (receivedBytes: number) => void = () => {};

  constructor(socket: Socket) {
    this.#socket = socket;
  }

  /** The answer, as Latin-1, once it has this length. */
  async ask(question: string | Uint8Array, answerBytes: number): Promise<string> {
    return (await this.fetch(question, answerBytes)).toString('latin1');
  }

  /** An answer of one line. */
  async line(question: string): Promise<string> {
    const bytes = await this.#answer(`${question}\r\n`, (chunks) => chunks.at(-1)?.at(-1) === 0x0a);
    return bytes.toString('latin1').trimEnd();
  }

  /** The answer, once it has this length. */
  fetch(question: string | Uint8Array, answerBytes: number): Promise<Buffer> {
    return this.#answer(question, (_, receivedBytes) => receivedBytes >= answerBytes);
  }

  async #answer(
    question: string | Uint8Array,
    isWhole: (chunks: readonly Buffer[], receivedBytes: number) => boolean,
  ): Promise<Buffer> {
    const socket = this.#socket;
    const chunks: Buffer[] = [];
    let receivedBytes = 0;
    const answered = Promise.withResolvers<void>();
    const fail = (error?: Error): void => answered.reject(error ?? new Error('the connection was closed'));
    const collect = (chunk: Buffer): void => {
      chunks.push(chunk);
      receivedBytes += chunk.length;
      this.onProgress(receivedBytes);
      if (isWhole(chunks, receivedBytes)) answered.resolve();
    };
    socket.on('data', collect).once('error', fail).once('close', fail);
    try {
      socket.write(question);
      await answered.promise;
      return Buffer.concat(chunks);
    } finally {
      socket.off('data', collect).off('error', fail).off('close', fail);
    }
  }

  [Symbol.dispose](): void {
    this.#socket.destroy();
  }
}
