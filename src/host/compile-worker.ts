// A worker thread that compiles in the background. Results are polled for, so that they arrive between slices of a run that never
// returns to the event loop. It knows nothing of what is compiled: `entry` is the worker's program, which answers each
// message that it gets with one message.

import {MessageChannel, type MessagePort, receiveMessageOnPort, Worker} from 'node:worker_threads';

export class CompileWorker<Request, Result> {
  readonly #worker: Worker;
  readonly #port: MessagePort;
  #outstanding = 0;
  #hasFailed = false;

  constructor(entry: URL) {
    const {port1, port2} = new MessageChannel();
    this.#port = port1;
    this.#worker = new Worker(entry, {workerData: {port: port2}, transferList: [port2]});
    this.#worker.on('error', () => {
      this.#hasFailed = true;
    });
    // It must not keep a program alive whose guest has ended.
    this.#worker.unref();
    this.#port.unref();
  }

  /** The thread has died: nothing more will be answered. */
  get hasFailed(): boolean {
    return this.#hasFailed;
  }

  /** Requests that have not been answered. */
  get outstanding(): number {
    return this.#outstanding;
  }

  post(request: Request): void {
    this.#port.postMessage(request);
    this.#outstanding += 1;
  }

  /** The next answer, if there is one. */
  poll(): Result | undefined {
    const received = receiveMessageOnPort(this.#port);
    if (received === undefined) return undefined;
    this.#outstanding -= 1;
    return received.message as Result;
  }

  close(): void {
    this.#port.close();
    void this.#worker.terminate();
  }
}
