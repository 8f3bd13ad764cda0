// What every command shares: `--json`, the palette, the exit code, and the signal that asks it to stop. Commands parse,
// compose and report; they throw FtvmError and never print an error or exit themselves: main.ts does that.

import {Command} from '@oclif/core/command';
import {Interruption} from './interruption.ts';
import {encodeJson} from './json.ts';
import {type Palette, paletteFor} from './palette.ts';

export abstract class BaseCommand extends Command {
  static override enableJsonFlag = true;

  /** Colours for what goes to stdout. */
  protected readonly palette: Palette = paletteFor('stdout');
  #interruption: Interruption | undefined;

  /**
   * Aborted when the user or the system asks the command to end (SIGINT, SIGTERM, stdout closed); its reason is a
   * `StopReason`. A command that reads it must end in order soon after; one that does not is ended at once.
   */
  protected get stopSignal(): AbortSignal {
    this.#interruption ??= new Interruption();
    return this.#interruption.signal;
  }

  /** The program's exit code when the command returns: a guest's own code, or one of EXIT_CODES. Zero if never called. */
  protected exitWith(code: number): void {
    process.exitCode = code;
  }

  /** A line for the user on stderr, shown also under `--json`, where stdout belongs to the data. */
  protected note(text: string): void {
    process.stderr.write(`${text}\n`);
  }

  override async init(): Promise<void> {
    await super.init();
    this.#interruption ??= new Interruption();
  }

  // oclif would print some errors itself and swallow them: all of them are main.ts's to report.
  override async catch(error: Error): Promise<never> {
    throw error;
  }

  override async finally(error: Error | undefined): Promise<void> {
    await super.finally(error);
    if (this.#interruption?.exitCode !== undefined) process.exitCode = this.#interruption.exitCode;
    this.#interruption?.dispose();
  }

  override logJson(json: unknown): void {
    process.stdout.write(`${encodeJson(json)}\n`);
  }

  override warn(input: Error | string): Error | string {
    const text = input instanceof Error ? input.message : input;
    process.stderr.write(`${paletteFor('stderr').warning('warning:')} ${text}\n`);
    return input;
  }
}
