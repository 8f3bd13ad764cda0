// A bad line, for tests: frames are lost with a probability, and the others come late, in order. The losses depend on the seed and the
// number of frames alone.

export type Line = {loss: number; delayMs: number; seed: number};

/** What waits on a delayed line. */
const LINE_LIMIT_FRAMES = 65_536;

/** `send` behind a bad line. What was lost on it counts as sent, as on any line. */
export function behind(line: Line, send: (frame: Uint8Array) => boolean): (frame: Uint8Array) => boolean {
  if (line.loss === 0 && line.delayMs === 0) return send;
  const random = mulberry32(line.seed);
  let waiting = 0;
  return (frame) => {
    if (random() < line.loss) return true;
    if (line.delayMs === 0) return send(frame);
    if (waiting >= LINE_LIMIT_FRAMES) return false;
    waiting += 1;
    setTimeout(() => {
      waiting -= 1;
      send(frame);
    }, line.delayMs);
    return true;
  };
}

/** Tommy Ettinger's Mulberry32: numbers in [0, 1) from a 32-bit seed. */
function mulberry32(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
