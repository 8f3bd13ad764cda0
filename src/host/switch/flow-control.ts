// Who is left unread while somebody is slower. A port whose frames go to a congested one waits until that has drained; what goes to
// everybody waits for nobody. One port that takes nothing, a host that stands still, must not hold the others for ever: after a
// while it counts as stalled, and frames for it are dropped until it drains.

/** So long a guest may stand still and lose nothing: about then its host is taken for dead. */
const STALL_MS = 1000;

export class FlowControl {
  readonly #read: (port: number, options: {on: boolean}) => void;
  /** By congested port: who waits for it. */
  readonly #waiting = new Map<number, {senders: Set<number>; timer: NodeJS.Timeout}>();
  readonly #stalled = new Set<number>();

  /** `read` turns the reading from a port on and off. */
  constructor(options: {read: (port: number, options: {on: boolean}) => void}) {
    this.#read = options.read;
  }

  /** `receiver` is congested by what `sender` sends it. */
  hold({sender, receiver}: {sender: number; receiver: number}): void {
    if (this.#stalled.has(receiver)) return;
    let queue = this.#waiting.get(receiver);
    if (queue === undefined) {
      queue = {senders: new Set(), timer: setTimeout(() => this.#stall(receiver), STALL_MS)};
      this.#waiting.set(receiver, queue);
    }
    if (queue.senders.has(sender)) return;
    queue.senders.add(sender);
    this.#read(sender, {on: false});
  }

  /** Nobody has to wait for this port: it has drained, is gone, or what was for it goes elsewhere now. */
  release(receiver: number): void {
    this.#stalled.delete(receiver);
    this.#resume(receiver);
  }

  #stall(receiver: number): void {
    this.#stalled.add(receiver);
    this.#resume(receiver);
  }

  #resume(receiver: number): void {
    const queue = this.#waiting.get(receiver);
    if (queue === undefined) return;
    clearTimeout(queue.timer);
    this.#waiting.delete(receiver);
    for (const sender of queue.senders) if (!this.#waits(sender)) this.#read(sender, {on: true});
  }

  #waits(sender: number): boolean {
    return [...this.#waiting.values()].some(({senders}) => senders.has(sender));
  }
}
