// Follows a scenario along a guest's console: which step waits for what. It neither reads nor writes anything itself.

import type {Step} from './job.ts';

/** Console text that is kept for a failure's message. */
const TAIL_CHARS = 4000;

export class Scenario {
  readonly #steps: Step[];
  readonly #done: (step: Step) => void;
  #seen = '';
  #tail = '';

  /** `done` is called for every step when it is over, in order. */
  constructor(steps: readonly Step[], done: (step: Step) => void) {
    this.#steps = [...steps];
    this.#done = done;
  }

  get finished(): boolean {
    return this.#steps.length === 0;
  }

  /** The end of what the console showed. */
  get tail(): string {
    return this.#tail;
  }

  /** Console output. */
  show(text: string): void {
    this.#seen += text;
    this.#tail = (this.#tail + text).slice(-TAIL_CHARS);
    this.#advance();
  }

  /** The sleep that is the present step is over. */
  slept(): void {
    const step = this.#steps[0];
    if (step === undefined || !('sleepMs' in step)) throw new Error('no step of the scenario sleeps');
    this.#complete(step);
    this.#advance();
  }

  #advance(): void {
    for (let step = this.#steps[0]; step !== undefined && 'waitFor' in step; step = this.#steps[0]) {
      const at = this.#seen.indexOf(step.waitFor);
      if (at < 0) return;
      this.#seen = this.#seen.slice(at + step.waitFor.length);
      this.#complete(step);
    }
  }

  #complete(step: Step): void {
    this.#steps.shift();
    this.#done(step);
    const next = this.#steps[0];
    if (next !== undefined && 'sleepMs' in next) setTimeout(() => this.slept(), next.sleepMs);
  }
}
