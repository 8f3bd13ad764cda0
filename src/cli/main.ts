// The program around the commands: runs one, or oclif for help, completion and whatever is no command; and turns every failure into a
// message, a hint and an exit code. Nothing below it catches errors to print them, and nobody else exits. It runs from source and from
// dist/ alike, because it finds the commands beside itself.

import {existsSync, readFileSync} from 'node:fs';
import {dirname, join, relative} from 'node:path';
import {fileURLToPath, pathToFileURL} from 'node:url';
import type * as Interfaces from '@oclif/core/interfaces';
import type {CommandClass} from './base-command.ts';
import {describeFailure, encodeFailure, formatFailure} from './failure-report.ts';
import {paletteFor} from './palette.ts';

/** Node's own exit code when nothing is left to do and the program still awaits. */
const EXIT_UNSETTLED = 13;

/** `guest build debian`. */
const MAX_COMMAND_WORDS = 3;

/** For a reader that has stopped reading and never will again. */
const FLUSH_TIMEOUT_MS = 2000;

export interface ProgramOptions {
  readonly argv: readonly string[];
  /** The folder of package.json. */
  readonly root: string;
  /** Another folder of commands; tests have their own. */
  readonly commands?: string;
}

/** Runs one command line and ends the process with its exit code. */
export async function main(options: ProgramOptions): Promise<void> {
  const {argv, root, commands = join(dirname(fileURLToPath(import.meta.url)), '..', 'commands')} = options;
  const fail = (error: unknown): Promise<never> => end(reportFailure(error, argv));
  process.on('uncaughtException', fail);
  process.on('unhandledRejection', fail);
  process.once('exit', (exitCode) => {
    if (exitCode !== EXIT_UNSETTLED) return;
    process.exitCode = reportFailure(new Error('the command waits for something that will never happen'), argv);
  });
  // Without a reader of our messages there is nobody to tell.
  process.stderr.on('error', () => {});
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error;
  });
  try {
    const found = findCommand(argv, commands);
    if (found === undefined) await runOclif(argv, {root, commands});
    else await found.run(root);
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
  if (isRequested(argv, ['--json'])) process.stdout.write(`${encodeFailure(report)}\n`);
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

/** Whether one of these flags is there. */
function isRequested(argv: readonly string[], flags: readonly string[]): boolean {
  const passThroughIndex = argv.indexOf('--');
  return (passThroughIndex === -1 ? argv : argv.slice(0, passThroughIndex)).some((word) => flags.includes(word));
}

/** The command that the first words name; none when help is wanted. */
function findCommand(argv: readonly string[], commands: string): {run(root: string): Promise<void>} | undefined {
  if (isRequested(argv, ['--help', '-h'])) return undefined;
  const end = argv.findIndex((word) => !/^[a-z][a-z-]*$/.test(word));
  for (let count = Math.min(end === -1 ? argv.length : end, MAX_COMMAND_WORDS); count > 0; count -= 1) {
    const path = join(commands, ...argv.slice(0, count));
    const file = [`${path}.ts`, `${path}.js`].find(existsSync);
    if (file === undefined) continue;
    return {
      async run(root) {
        const command = ((await import(pathToFileURL(file).href)) as {default: CommandClass}).default;
        await command.run(argv.slice(count), {root});
      },
    };
  }
  return undefined;
}

async function runOclif(argv: readonly string[], {root, commands}: {root: string; commands: string}): Promise<void> {
  const [{run}, {settings}] = await Promise.all([import('@oclif/core/run'), import('@oclif/core/settings')]);
  // oclif would look for ts-node when NODE_ENV says test; types are stripped by Node itself.
  settings.enableAutoTranspile = false;
  const pjson = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as Interfaces.PJSON;
  // src/commands in a checkout, dist/commands when installed.
  const oclif = {...pjson.oclif, commands: `./${relative(root, commands)}`};
  await run([...argv], {root, isRoot: true, pjson: {...pjson, oclif}});
}
