// Virtual time: Node's timers replaced by a queue that a seed drives. Code under test calls setTimeout, setInterval, setImmediate,
// performance.now and Date.now as ever. Every task belongs to the process (a simulated one) that scheduled it; a process can be
// paused, as by SIGSTOP, or killed, and its tasks wait or are forgotten.

import {AsyncLocalStorage} from 'node:async_hooks';

export type SimulatedProcess = {readonly name: string; state: 'running' | 'paused' | 'dead'};

type Task = {
  id: number;
  atMs: number;
  order: number;
  run: () => void;
  owner: SimulatedProcess | undefined;
  everyMs: number | undefined;
  cancelled: boolean;
};

/** What one turn of a process's event loop costs: without it a busy loop would stand still in time. */
const TURN_MS = 0.02;
/** 2026-01-01. */
const EPOCH_MS = 1_767_225_600_000;

const REAL = {
  setTimeout: globalThis.setTimeout,
  clearTimeout: globalThis.clearTimeout,
  setInterval: globalThis.setInterval,
  clearInterval: globalThis.clearInterval,
  setImmediate: globalThis.setImmediate,
  now: performance.now,
  dateNow: Date.now,
};

export class VirtualTime {
  readonly #processes = new AsyncLocalStorage<SimulatedProcess>();
  readonly #tasks = new TaskHeap();
  /** By id, as long as they may be cancelled. */
  readonly #cancellable = new Map<number, Task>();
  /** What would have happened to paused processes. */
  #parked: Task[] = [];
  #nowMs = 0;
  #order = 0;
  #nextId = 1;

  get nowMs(): number {
    return this.#nowMs;
  }

  /** Replaces the timers until the returned function is called. */
  install(): () => void {
    const handle = (id: number) => ({
      id,
      ref: () => handle(id),
      unref: () => handle(id),
      hasRef: () => true,
      [Symbol.toPrimitive]: () => id,
    });
    const cancel = (timer: unknown): void => {
      const id = typeof timer === 'object' && timer !== null ? (timer as {id: number}).id : (timer as number);
      const task = this.#cancellable.get(id);
      if (task !== undefined) task.cancelled = true;
      this.#cancellable.delete(id);
    };
    Object.assign(globalThis, {
      setTimeout: (run: (...args: unknown[]) => void, ms = 0, ...args: unknown[]) =>
        handle(this.#schedule(() => run(...args), Math.max(ms, 0.05))),
      setInterval: (run: () => void, ms = 1) => handle(this.#schedule(run, ms, ms)),
      setImmediate: (run: (...args: unknown[]) => void, ...args: unknown[]) =>
        handle(this.#schedule(() => run(...args), TURN_MS)),
      clearTimeout: cancel,
      clearInterval: cancel,
      clearImmediate: cancel,
    });
    performance.now = () => this.#nowMs;
    Date.now = () => EPOCH_MS + Math.floor(this.#nowMs);
    return () => {
      Object.assign(globalThis, REAL);
      performance.now = REAL.now;
      Date.now = REAL.dateNow;
    };
  }

  /** Runs `body` as that process: its timers, and those of everything that it starts, are the process's. */
  as<T>(process: SimulatedProcess, body: () => T): T {
    return this.#processes.run(process, body);
  }

  /** Something that happens to a process from outside, after `ms`; it waits while the process is paused, and is lost with it. */
  after(ms: number, owner: SimulatedProcess | undefined, run: () => void): void {
    this.#push({
      run: owner === undefined ? run : () => this.#processes.run(owner, run),
      owner,
      atMs: this.#nowMs + ms,
      everyMs: undefined,
    });
  }

  /** Something happens to a process now; when it is paused, once it goes on. */
  happen(process: SimulatedProcess, event: () => void): void {
    if (process.state === 'running') this.as(process, event);
    else this.after(0, process, event);
  }

  /** Runs everything that is due until `untilMs`. */
  async runUntil(untilMs: number): Promise<void> {
    for (;;) {
      const task = this.#takeNext(untilMs);
      if (task === undefined) break;
      this.#nowMs = Math.max(this.#nowMs, task.atMs);
      task.run();
      await quiescence();
    }
    this.#nowMs = untilMs;
  }

  pause(process: SimulatedProcess): void {
    if (process.state === 'running') process.state = 'paused';
  }

  /** What the process missed happens now, in order. */
  resume(process: SimulatedProcess): void {
    if (process.state !== 'paused') return;
    process.state = 'running';
    for (const task of this.#parked) if (task.owner === process) this.#tasks.push(task);
    this.#parked = this.#parked.filter((task) => task.owner !== process);
  }

  #schedule(run: () => void, ms: number, everyMs?: number): number {
    const owner = this.#processes.getStore();
    if (owner?.state === 'dead') return 0;
    const bound = owner === undefined ? run : () => this.#processes.run(owner, run);
    return this.#push({run: bound, owner, atMs: this.#nowMs + ms, everyMs});
  }

  #push(parts: Omit<Task, 'id' | 'order' | 'cancelled'>): number {
    if (parts.owner?.state === 'dead') return 0;
    const task = {...parts, id: this.#nextId++, order: this.#order++, cancelled: false};
    this.#tasks.push(task);
    this.#cancellable.set(task.id, task);
    return task.id;
  }

  #takeNext(untilMs: number): Task | undefined {
    for (;;) {
      const task = this.#tasks.peek();
      if (task === undefined || task.atMs > untilMs) return undefined;
      this.#tasks.pop();
      if (task.cancelled || task.owner?.state === 'dead') {
        this.#cancellable.delete(task.id);
        continue;
      }
      if (task.owner?.state === 'paused') {
        this.#parked.push(task);
        continue;
      }
      if (task.everyMs === undefined) {
        this.#cancellable.delete(task.id);
      } else {
        const again = {...task, atMs: Math.max(task.atMs, this.#nowMs) + task.everyMs, order: this.#order++};
        this.#tasks.push(again);
        this.#cancellable.set(task.id, again);
      }
      return task;
    }
  }
}

/** Tasks by time, then in the order in which they were scheduled: a binary heap. */
class TaskHeap {
  readonly #items: Task[] = [];

  peek(): Task | undefined {
    return this.#items[0];
  }

  push(task: Task): void {
    const items = this.#items;
    let at = items.length;
    items.push(task);
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (!isBefore(task, items[parent])) break;
      items[at] = items[parent];
      at = parent;
    }
    items[at] = task;
  }

  pop(): void {
    const items = this.#items;
    const task = items.pop();
    if (task === undefined || items.length === 0) return;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= items.length) break;
      if (child + 1 < items.length && isBefore(items[child + 1], items[child])) child += 1;
      if (!isBefore(items[child], task)) break;
      items[at] = items[child];
      at = child;
    }
    items[at] = task;
  }
}

function isBefore(a: Task, b: Task): boolean {
  return a.atMs < b.atMs || (a.atMs === b.atMs && a.order < b.order);
}

/**
 * Lets every promise that can go on do so: Node calls a `nextTick` only when no microtask is left. Nothing real is waited for, so that
 * the same seed gives the same life.
 */
function quiescence(): Promise<void> {
  return new Promise((resolve) => process.nextTick(resolve));
}
