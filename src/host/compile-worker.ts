// A worker thread that compiles in the background, one for the whole process, and how somebody asks it. Results are polled for, so that they arrive
// between slices of a run that never returns to the event loop. It knows nothing of what is compiled: `entry` is the thread's
// program, which is given a port for each who asks, and answers each message that comes there with one message.

import {MessageChannel, type MessagePort, receiveMessageOnPort, Worker} from 'node:worker_threads';

/** The thread. */
export class CompileThread {
  readonly #worker: Worker;
  #hasFailed = false;

  constructor(entry: URL) {
    this.#worker = new Worker(entry);
    this.#worker.on('error', () => {
      this.#hasFailed = true;
    });
    // It must not keep a program alive whose guest has ended.
    this.#worker.unref();
  }

  /** It has died: nothing more will be answered. */
  get hasFailed(): boolean {
    return this.#hasFailed;
  }

  /** What is posted to the other end of the port is answered there. */
  serve(port: MessagePort): void {
    this.#worker.postMessage(port, [port]);
  }
}

/** One who asks. */
export class CompileClient<Request, Result> {
  readonly #thread: CompileThread;
  readonly #port: MessagePort;
  #outstanding = 0;

  constructor(thread: CompileThread) {
    const {port1, port2} = new MessageChannel();
    this.#thread = thread;
    this.#port = port1;
    this.#port.unref();
    thread.serve(port2);
  }

  get hasFailed(): boolean {
    return this.#thread.hasFailed;
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
}
