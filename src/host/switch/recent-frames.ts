// Frames that were sent to a MAC lately. When it moves, because a backup has taken over, they go to its new port as well: what the old
// primary took in and had not in its log, and what came while nobody was there, would else be sent again only when the sender's timer
// runs out, with passt after two seconds. TCP drops what comes twice; a datagram of UDP's may come twice, as on any network.

/** Longer than a takeover takes, and than it takes passt to send again. */
const KEPT_MS = 3000;
/** Of one MAC: what a connection has under way. */
const KEPT_BYTES = 2 ** 20;
/** MACs, those sent to last. */
const MACS_LIMIT = 8;

type Kept = {frame: Uint8Array; atMs: number};

export class RecentFrames {
  readonly #nowMs: () => number;
  /** By MAC, the one sent to last at the end. */
  readonly #kept = new Map<string, {frames: Kept[]; bytes: number}>();

  constructor(options: {nowMs: () => number}) {
    this.#nowMs = options.nowMs;
  }

  note(mac: string, frame: Uint8Array): void {
    const kept = this.#kept.get(mac) ?? {frames: [], bytes: 0};
    this.#kept.delete(mac);
    this.#kept.set(mac, kept);
    if (this.#kept.size > MACS_LIMIT) this.#kept.delete(this.#kept.keys().next().value!);
    const atMs = this.#nowMs();
    kept.frames.push({frame: Uint8Array.from(frame), atMs});
    kept.bytes += frame.length;
    let old = 0;
    for (; kept.bytes > KEPT_BYTES || kept.frames[old].atMs < atMs - KEPT_MS; old += 1)
      kept.bytes -= kept.frames[old].frame.length;
    kept.frames.splice(0, old);
  }

  /** In order; they are forgotten. */
  take(mac: string): Uint8Array[] {
    const since = this.#nowMs() - KEPT_MS;
    const frames = this.#kept.get(mac)?.frames ?? [];
    this.#kept.delete(mac);
    return frames.filter(({atMs}) => atMs >= since).map(({frame}) => frame);
  }
}
