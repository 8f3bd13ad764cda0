// What every command shares: `--json`, the palette, the exit code, and the signal that asks it to stop. Commands parse,
// compose and report; they throw FtvmError and never print an error or exit themselves: main.ts does that.
// To oclif, which makes help and completion of it, a class with these properties is a command.

import type * as Interfaces from '@oclif/core/interfaces';
import {JSON_FLAG} from './flags.ts';
import {Interruption} from './interruption.ts';
import {encodeJson} from './json.ts';
import {type Palette, paletteFor} from './palette.ts';
import {type Definitions, parsePlainLine} from './plain-line.ts';

type Output = Interfaces.OutputFlags<Interfaces.FlagInput>;

/** The name by which users start the program. */
const PROGRAM = 'ftvm';

export type CommandClass = (new (
  argv: readonly string[],
  root: string,
) => BaseCommand) &
  Pick<typeof BaseCommand, 'run'>;

export abstract class BaseCommand {
  static summary: string | undefined;
  static description: string | undefined;
  static examples: string[] = [];
  static args: Interfaces.ArgInput = {};
  static flags: Interfaces.FlagInput = {};
  /** Whether there are as many arguments as `args` has, and no more. */
  static strict = true;
  static enableJsonFlag = true;

  /** Colours for what goes to stdout. */
  protected readonly palette: Palette = paletteFor('stdout');
  protected readonly config: {readonly root: string; readonly bin: string};
  readonly #argv: readonly string[];
  readonly #interruption = new Interruption();

  constructor(argv: readonly string[], root: string) {
    this.#argv = argv;
    this.config = {root, bin: PROGRAM};
  }

  /** Runs the command, as main.ts and oclif do. `root` is the folder of package.json. */
  static async run(this: CommandClass, argv: readonly string[], {root}: {root: string}): Promise<void> {
    const command = new this(argv, root);
    try {
      const result = await command.run();
      if (result && command.jsonEnabled()) command.logJson(result);
    } finally {
      const {exitCode} = command.#interruption;
      if (exitCode !== undefined) process.exitCode = exitCode;
      command.#interruption.dispose();
    }
  }

  /** What it returns is shown under `--json`. */
  abstract run(): Promise<unknown>;

  /** Throws what oclif says of a wrong line. */
  protected async parse<F extends Output, B extends Output, A extends Output>(
    command: Interfaces.Input<F, B, A>,
  ): Promise<Pick<Interfaces.ParserOutput<F, B, A>, 'args' | 'flags' | 'argv'>> {
    const flags = {...JSON_FLAG, ...command.flags};
    const line = await parsePlainLine(this.#argv, {flags, args: command.args ?? {}} as unknown as Definitions);
    if (line !== undefined) return line as unknown as Interfaces.ParserOutput<F, B, A>;
    const {parse} = await import('@oclif/core/parser');
    return parse([...this.#argv], {...command, flags} as Interfaces.Input<F, B, A>);
  }

  protected jsonEnabled(): boolean {
    const passThroughIndex = this.#argv.indexOf('--');
    return (passThroughIndex === -1 ? this.#argv : this.#argv.slice(0, passThroughIndex)).includes('--json');
  }

  /**
   * Aborted when the user or the system asks the command to end (SIGINT, SIGTERM, stdout closed); its reason is a
   * `StopReason`. A command that reads it must end in order soon after; one that does not is ended at once.
   */
  protected get stopSignal(): AbortSignal {
    return this.#interruption.signal;
  }

  /** The program's exit code when the command returns: a guest's own code, or one of EXIT_CODES. Zero if never called. */
  protected exitWith(code: number): void {
    process.exitCode = code;
  }

  /** Ends the command here, by an exception that is no failure. */
  protected exit(code: number): never {
    throw Object.assign(new Error(`exit ${code}`), {code: 'EEXIT', oclif: {exit: code}});
  }

  /** A line for people on stdout. */
  protected log(text: string): void {
    if (!this.jsonEnabled()) process.stdout.write(`${text}\n`);
  }

  /** A line for the user on stderr, shown also under `--json`, where stdout belongs to the data. */
  protected note(text: string): void {
    process.stderr.write(`${text}\n`);
  }

  protected logJson(json: unknown): void {
    process.stdout.write(`${encodeJson(json)}\n`);
  }
}
