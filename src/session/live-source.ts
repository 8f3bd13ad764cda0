// The live source: what happens in the world becomes inputs. Console bytes, packets, completed disk requests, random bytes, time. It sleeps
// while the guest waits, and gives the host's event loop its turn between slices.

import type {Input} from '../emulator/input.ts';
import type {MachineInterface, Stop} from '../emulator/machine-interface.ts';
import type {Console} from '../host/console.ts';
import type {HostClock} from '../host/monotonic-clock.ts';
import type {Nic} from '../host/nic/nic.ts';
import {LiveClock} from './live-clock.ts';
import type {Slice, Source, SourceEnd} from './session.ts';
import {breathe, Wakeup} from './wakeup.ts';

/** How long a slice should take. */
const SLICE_NS = 4_000_000n;
/** A wait of this length means: look again, the guest stands still until the backup has caught up. */
const HARD_STOP_MS = 20;
const FIRST_SLICE_STEPS = 200_000;
const LEAST_SLICE_STEPS = 10_000;
const MOST_SLICE_STEPS = 100_000_000;
/** Console bytes in one input. */
const CONSOLE_INPUT_LIMIT_BYTES = 32 * 1024;
/** Frames in one input: as many as the card's ring has buffers, and half a record (docs/log-format.md). The rest waits in the host. */
const PACKET_INPUT_LIMITS = {frames: 256, bytes: 512 * 1024};

export type LiveSourceParts = {
  clock: HostClock;
  console: Console;
  /** One for each of the machine's NICs, in order; or none, when nothing is plugged in. */
  nics: readonly Nic[];
  /** Random bytes, as many as asked for. */
  entropy(lengthBytes: number): Uint8Array;
  /** `real` keeps the guest's time near the host's; `virtual` never sleeps while a timer runs. */
  clockMode: 'real' | 'virtual';
  /** When an output that waits for its record must be looked after, in the clock's nanoseconds. */
  outputDueNs(): bigint | undefined;
  /** Resolves when everything before now is on the disks here and at the backup; undefined: a guest's FLUSH waits for nothing. */
  durable: (() => Promise<void>) | undefined;
  /** How long the guest shall wait now, because the backup is behind. */
  slowdownMs(): number;
};

/** A wish that the guest stand still. */
export type Hold = {
  /** Only when all that it asked of the host is answered. */
  drained: boolean;
  /** Called at the boundary where it stands. */
  reached(): void;
};

export class LiveSource implements Source {
  readonly #parts: LiveSourceParts;
  readonly #wakeup = new Wakeup();
  #clock: LiveClock | undefined;
  #sliceSteps = FIRST_SLICE_STEPS;
  #sliceStart: {ns: bigint; position: bigint} | undefined;
  #end: SourceEnd | undefined;
  readonly #ended = Promise.withResolvers<void>();
  #pausedUntil: Promise<void> | undefined;
  /** The FLUSH that waits for the disks. */
  #barrier: {done: boolean} | undefined;
  #first: Input[] = [];
  /** The guest stands still at the next boundary, or does so already: until it is released. */
  #holding = false;
  #holds: (Hold & {resolve(): void})[] = [];

  constructor(parts: LiveSourceParts) {
    this.#parts = parts;
    parts.console.onInput(() => this.#wakeup.signal());
    for (const nic of parts.nics) nic.onFrames(() => this.#wakeup.signal());
  }

  /** Ends the session at the next boundary. */
  finish(end: SourceEnd): void {
    this.#end ??= end;
    this.#ended.resolve();
    this.#wakeup.signal();
  }

  /** Inputs to be delivered before anything else: what a machine that goes live must learn. */
  deliverFirst(inputs: readonly Input[]): void {
    this.#first.push(...inputs);
  }

  /** The guest stands still, at the next boundary or where it stands, until `release`. Resolves when `reached` was called, or it was released before. */
  hold({drained, reached}: Hold): Promise<void> {
    return new Promise((resolve) => {
      this.#holding = true;
      this.#holds.push({drained, reached, resolve});
      this.#wakeup.signal();
    });
  }

  release(): void {
    this.#holding = false;
    for (const {resolve} of this.#holds) resolve();
    this.#holds = [];
    this.#wakeup.signal();
  }

  /** The guest stands still until the promise resolves; then time goes on where it stood. */
  pause(until: Promise<void>): void {
    this.#pausedUntil = until;
    this.#wakeup.signal();
  }

  async next(machine: MachineInterface, stop: Stop): Promise<Slice | SourceEnd> {
    this.#measure(machine);
    await breathe();
    await this.#slowDown();
    for (;;) {
      if (this.#end !== undefined) return this.#end;
      if (this.#holding) {
        this.#reachHolds(machine);
        const inputs = this.#holds.length > 0 ? this.#answers(machine) : [];
        if (inputs.length > 0) return {inputs, until: machine.position};
        await this.#wakeup.wait(undefined);
        this.#forgetTime();
        continue;
      }
      if (this.#first.length > 0) {
        const inputs = this.#first;
        this.#first = [];
        return {inputs, until: machine.position};
      }
      if (this.#pausedUntil !== undefined) {
        await this.#standStill();
        continue;
      }
      this.#clock ??= new LiveClock(this.#parts.clock, machine);
      const inputs = this.#arrived(machine);
      if (inputs.length > 0) return this.#slice(machine, this.#dated(machine, stop, inputs));
      if (stop.kind !== 'idle') break;
      const waitMs = this.#waitMs(stop.deadlineTicks);
      if (waitMs === 'never' && this.#nobodyCanWake()) return 'stuck';
      const outputMs = this.#outputWaitMs();
      if (outputMs === 0) return {inputs: [], until: machine.position};
      if (waitMs === 0) break;
      const idleFromNs = this.#parts.clock.nowNs();
      await this.#wakeup.wait(least(waitMs, outputMs));
      this.#clock.idled(this.#parts.clock.nowNs() - idleFromNs);
    }
    const busy = this.#parts.clockMode === 'real' && stop.kind !== 'idle';
    const correction = busy ? this.#clock?.correction(machine) : undefined;
    return this.#slice(machine, correction === undefined ? [] : [correction]);
  }

  #reachHolds(machine: MachineInterface): void {
    const {disks, entropyBytes} = machine.pendingRequests();
    const drained = entropyBytes === 0 && disks.every((requests) => requests.length === 0);
    const reached = this.#holds.filter((hold) => drained || !hold.drained);
    this.#holds = this.#holds.filter((hold) => !reached.includes(hold));
    for (const hold of reached) {
      hold.reached();
      hold.resolve();
    }
  }

  /** What has come since: completions first, as their requests are older than anything typed now. */
  #arrived(machine: MachineInterface): Input[] {
    const inputs = this.#answers(machine);
    const room = Math.min(machine.consoleRoomBytes, this.#parts.console.pendingBytes, CONSOLE_INPUT_LIMIT_BYTES);
    if (room > 0) inputs.push({kind: 'console', bytes: this.#parts.console.take(room)});
    const {nicBacklogs} = machine;
    this.#parts.nics.forEach((port, nic) => {
      // The rest waits here, and then at the sender, who slows down: what the guest drops is sent again, all of it.
      if (nicBacklogs[nic] > 0) return;
      const frames = port.take(PACKET_INPUT_LIMITS);
      if (frames.length > 0) inputs.push({kind: 'packet', nic, frames});
    });
    return inputs;
  }

  /** What disks and the entropy device answer now. */
  #answers(machine: MachineInterface): Input[] {
    const inputs: Input[] = [];
    const {disks, entropyBytes} = machine.pendingRequests();
    disks.forEach((requests, disk) => {
      const count = this.#completable(requests);
      if (count > 0) inputs.push({kind: 'disk', disk, count, status: 'ok'});
    });
    if (entropyBytes > 0) inputs.push({kind: 'entropy', bytes: this.#parts.entropy(entropyBytes)});
    return inputs;
  }

  /** Nothing outside is left that could become an input. */
  #nobodyCanWake(): boolean {
    return this.#parts.console.ended && this.#parts.nics.length === 0 && this.#barrier === undefined;
  }

  /** How many of a disk's requests are complete: in order, a FLUSH only when what came before it is durable. */
  #completable(requests: readonly {kind: string}[]): number {
    const {durable} = this.#parts;
    const flush = durable === undefined ? -1 : requests.findIndex(({kind}) => kind === 'flush');
    if (flush !== 0 || durable === undefined) return flush < 0 ? requests.length : flush;
    if (this.#barrier?.done === true) {
      this.#barrier = undefined;
      return 1;
    }
    if (this.#barrier === undefined) {
      const barrier = {done: false};
      this.#barrier = barrier;
      durable().then(
        () => {
          barrier.done = true;
          this.#wakeup.signal();
        },
        () => this.finish('stopped'),
      );
    }
    return 0;
  }

  /** A guest that was waiting learns the time with what wakes it. */
  #dated(machine: MachineInterface, stop: Stop, inputs: Input[]): Input[] {
    if (this.#parts.clockMode === 'virtual' || stop.kind !== 'idle') return inputs;
    const present = this.#clock?.toPresent(machine);
    // Past its deadline the guest shall wake from that first.
    if (present === undefined) return inputs;
    if (stop.deadlineTicks !== undefined && present.ticks > stop.deadlineTicks) present.ticks = stop.deadlineTicks;
    return present.ticks <= machine.mtime ? inputs : [present, ...inputs];
  }

  #slice(machine: MachineInterface, inputs: Input[]): Slice {
    this.#sliceStart = {ns: this.#parts.clock.nowNs(), position: machine.position};
    return {inputs, until: machine.position + BigInt(this.#sliceSteps)};
  }

  /** How long the waiting guest may sleep. */
  #waitMs(deadlineTicks: bigint | undefined): number | 'never' {
    if (deadlineTicks === undefined) return 'never';
    if (this.#parts.clockMode === 'virtual') return 0;
    return this.#clock?.untilMs(deadlineTicks) ?? 0;
  }

  #outputWaitMs(): number | undefined {
    const due = this.#parts.outputDueNs();
    if (due === undefined) return undefined;
    const left = due - this.#parts.clock.nowNs();
    return left <= 0n ? 0 : Number(left) / 1e6;
  }

  /** Slices are made as long as this host runs in SLICE_NS. */
  #measure(machine: MachineInterface): void {
    if (this.#sliceStart === undefined) return;
    const steps = Number(machine.position - this.#sliceStart.position);
    const elapsed = this.#parts.clock.nowNs() - this.#sliceStart.ns;
    this.#sliceStart = undefined;
    // Only a slice that ran to its end says something.
    if (steps < this.#sliceSteps || elapsed <= 0n) return;
    const wanted = (steps * Number(SLICE_NS)) / Number(elapsed);
    const bounded = Math.min(Math.max(wanted, this.#sliceSteps / 2), this.#sliceSteps * 2);
    this.#sliceSteps = Math.round(Math.min(Math.max(bounded, LEAST_SLICE_STEPS), MOST_SLICE_STEPS));
  }

  async #slowDown(): Promise<void> {
    for (let ms = this.#parts.slowdownMs(); ms > 0 && this.#end === undefined; ms = this.#parts.slowdownMs()) {
      await new Promise((resolve) => setTimeout(resolve, ms));
      if (ms < HARD_STOP_MS) return;
    }
  }

  async #standStill(): Promise<void> {
    // A session can be ended while its guest stands still, however long the arbiter is out of reach.
    const until = this.#pausedUntil;
    await Promise.race([until, this.#ended.promise]);
    if (this.#pausedUntil === until) this.#pausedUntil = undefined;
    this.#forgetTime();
  }

  /** The guest stood still: its time goes on where it stood. */
  #forgetTime(): void {
    this.#clock = undefined;
    this.#sliceStart = undefined;
  }
}

function least(a: number | 'never', b: number | undefined): number | undefined {
  if (a === 'never') return b;
  return b === undefined ? a : Math.min(a, b);
}
