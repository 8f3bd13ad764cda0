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
  #tasks: Task[] = [];
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
      const id = typeof timer === 'object' && timer !== null ? (timer as {id: number}).id : timer;
      this.#tasks = this.#tasks.filter((task) => task.id !== id);
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

  forget(process: SimulatedProcess): void {
    this.#tasks = this.#tasks.filter((task) => task.owner !== process);
  }

  #schedule(run: () => void, ms: number, everyMs?: number): number {
    const owner = this.#processes.getStore();
    if (owner?.state === 'dead') return 0;
    const bound = owner === undefined ? run : () => this.#processes.run(owner, run);
    return this.#push({run: bound, owner, atMs: this.#nowMs + ms, everyMs});
  }

  #push(task: Omit<Task, 'id' | 'order'>): number {
    if (task.owner?.state === 'dead') return 0;
    const id = this.#nextId++;
    this.#tasks.push({...task, id, order: this.#order++});
    return id;
  }

  #takeNext(untilMs: number): Task | undefined {
    let best: Task | undefined;
    for (const task of this.#tasks) {
      if (task.owner?.state === 'paused' || task.atMs > untilMs) continue;
      if (best === undefined || task.atMs < best.atMs || (task.atMs === best.atMs && task.order < best.order))
        best = task;
    }
    if (best === undefined) return undefined;
    const taken = best;
    this.#tasks = this.#tasks.filter((task) => task !== taken);
    if (taken.everyMs !== undefined) {
      const atMs = Math.max(taken.atMs, this.#nowMs) + taken.everyMs;
      this.#tasks.push({...taken, atMs, order: this.#order++});
    }
    return taken;
  }
}

/** Lets every promise that can go on do so. */
function quiescence(): Promise<void> {
  return new Promise((resolve) => REAL.setImmediate(resolve));
}
