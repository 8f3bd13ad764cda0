// The program around the commands: starts oclif, and turns every failure into a message, a hint and an exit code. Nothing
// below it catches errors to print them, and nobody else exits.

import {readdirSync, readFileSync} from 'node:fs';
import {join, relative} from 'node:path';
import type * as Interfaces from '@oclif/core/interfaces';
import {run} from '@oclif/core/run';
import {settings} from '@oclif/core/settings';
import {describeFailure, encodeFailure, formatFailure} from './failure-report.ts';
import {paletteFor} from './palette.ts';

/** Node's own exit code when nothing is left to do and the program still awaits. */
const EXIT_UNSETTLED = 13;

/** For a reader that has stopped reading and never will again. */
const FLUSH_TIMEOUT_MS = 2000;

export interface ProgramOptions {
  readonly argv: readonly string[];
  /** The folder of package.json. */
  readonly root: string;
  /** The folder of commands: in src/ or in dist/; tests have their own. */
  readonly commands: string;
}

/** Runs one command line and ends the process with its exit code. */
export async function main(options: ProgramOptions): Promise<void> {
  const {argv, root, commands} = options;
  const fail = (error: unknown): Promise<never> => end(reportFailure(error, argv));
  process.on('uncaughtException', fail);
  process.on('unhandledRejection', fail);
  process.once('exit', (exitCode) => {
    if (exitCode !== EXIT_UNSETTLED) return;
    process.exitCode = reportFailure(new Error('the command waits for something that will never happen'), argv);
  });
  // Without a reader of our messages there is nobody to tell.
  process.stderr.on('error', () => {});
  // oclif would look for ts-node when NODE_ENV says test; types are stripped by Node itself.
  settings.enableAutoTranspile = false;
  try {
    await run([...argv], {root, isRoot: true, pjson: packageFor(root, {commands, word: argv[0]})});
  } catch (error) {
    const status = plainExitStatus(error);
    await (status === undefined ? fail(error) : end(status));
  }
  // Exiting at once keeps a forgotten handle from holding the program: commands have awaited what matters.
  await end(Number(process.exitCode ?? 0));
}

/** Reports on stderr, or under `--json` as an object on stdout; returns the exit code. */
function reportFailure(error: unknown, argv: readonly string[]): number {
  const report = describeFailure(error, argv);
  const debug = Boolean(process.env.FTVM_DEBUG);
  if (isJsonRequested(argv)) process.stdout.write(`${encodeFailure(report)}\n`);
  else process.stderr.write(formatFailure(report, paletteFor('stderr'), {debug}));
  return report.exitCode;
}

async function end(exitCode: number): Promise<never> {
  process.exitCode = exitCode;
  await Promise.race([
    Promise.all([process.stdout, process.stderr].map(flushed)),
    new Promise((resolve) => setTimeout(resolve, FLUSH_TIMEOUT_MS)),
  ]);
  process.exit(exitCode);
}

/** When everything written so far was handed over, or cannot be, because the reader is gone. */
function flushed(stream: NodeJS.WriteStream): Promise<void> {
  return new Promise((resolve) => {
    if (stream.destroyed) resolve();
    else stream.write('', () => resolve());
  });
}

/** `this.exit(code)` of oclif is an exception that is no failure. */
function plainExitStatus(error: unknown): number | undefined {
  const {code, oclif} = (error ?? {}) as {code?: unknown; oclif?: {exit?: number}};
  return code === 'EEXIT' ? (oclif?.exit ?? 0) : undefined;
}

function isJsonRequested(argv: readonly string[]): boolean {
  const passThroughIndex = argv.indexOf('--');
  return (passThroughIndex === -1 ? argv : argv.slice(0, passThroughIndex)).includes('--json');
}

/**
 * package.json, with this commands' folder: src/commands in a checkout, dist/commands when installed. oclif loads every command that it is
 * shown, before it runs one: where the first word is one of ours, it is shown that one and what begins with the same word.
 */
function packageFor(root: string, {commands, word}: {commands: string; word: string | undefined}): Interfaces.PJSON {
  const pjson = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as Interfaces.PJSON;
  const target = `./${relative(root, commands)}`;
  const found = word === undefined ? [] : filesOf(commands, word);
  const oclif =
    found.length === 0
      ? {...pjson.oclif, commands: target}
      : {...pjson.oclif, commands: {strategy: 'pattern' as const, target, globPatterns: found}, plugins: []};
  return {...pjson, oclif};
}

/** Where the commands that begin with this word are, as patterns in the commands' folder; none when there is no such command. */
function filesOf(commands: string, word: string): string[] {
  const names = readdirSync(commands);
  const files = names.filter((name) => /^[^.]+\.(?:cjs|ts)$/.test(name) && name.startsWith(`${word}.`));
  return names.includes(word) ? [...files, `${word}/**/*.{cjs,ts}`] : files;
}
