// The lines of a switch's ports: what is set for a place, where guests plug in, holds for every port there, also for those that come later;
// what is set for a port, for that one.

import {assert, FtvmError} from '../../errors.ts';
import {Line, type LineSettings} from './line.ts';

export class LineBoard {
  readonly #seed: number;
  readonly #places: Map<string, LineSettings>;
  readonly #lines = new Map<number, {line: Line; place: string}>();
  #count = 0;

  /** The nth line's losses are drawn from `seed` + n. */
  constructor(options: {places: ReadonlyMap<string, LineSettings>; seed: number}) {
    this.#seed = options.seed;
    this.#places = new Map(options.places);
  }

  /** The line of a new port at this place. */
  open(port: number, {place, send}: {place: string; send: (frame: Uint8Array) => boolean}): Line {
    const settings = this.#places.get(place);
    assert(settings !== undefined, `a switch without the place ${place}`);
    this.#count += 1;
    const line = new Line({settings, seed: this.#seed + this.#count, send});
    this.#lines.set(port, {line, place});
    return line;
  }

  close(port: number): void {
    this.#lines.get(port)?.line.close();
    this.#lines.delete(port);
  }

  settings(port: number): (LineSettings & {place: string}) | undefined {
    const found = this.#lines.get(port);
    return found === undefined ? undefined : {place: found.place, ...found.line.settings};
  }

  /**
   * Changes the lines of `port`, a number or a place; undefined: all. Returns the numbers of the ports that it concerns now. Throws FtvmError
   * `usage` when there is none of that name.
   */
  set(port: string | undefined, change: Partial<LineSettings>): number[] {
    const isPlace = port === undefined || this.#places.has(port);
    for (const [place, settings] of this.#places) {
      if (port === undefined || place === port) this.#places.set(place, {...settings, ...change});
    }
    const concerned = [...this.#lines].filter(
      ([number, {place}]) => port === undefined || (isPlace ? place === port : String(number) === port),
    );
    if (!isPlace && concerned.length === 0) {
      const known = [...this.#places.keys(), ...this.#lines.keys()].join(', ');
      throw new FtvmError('usage', `${port}: this switch has no such port`, {hint: `It has ${known}.`});
    }
    for (const [, {line}] of concerned) line.settings = {...line.settings, ...change};
    return concerned.map(([number]) => number);
  }
}
