// The program around the commands: starts oclif, and turns every failure into a message, a hint and an exit code. Nothing
// below it catches errors to print them, and nobody else exits. It runs from source and from dist/ alike, because it finds
// the commands beside itself.

import {readFileSync} from 'node:fs';
import {dirname, join, relative} from 'node:path';
import {fileURLToPath} from 'node:url';
import {flush, type Interfaces, run, settings} from '@oclif/core';
import {describeFailure, encodeFailure, formatFailure} from './failure-report.ts';
import {paletteFor} from './palette.ts';

/** Runs one command line and ends the process with its exit code. `root` is the folder of package.json. */
export async function main(options: {argv: readonly string[]; root: string}): Promise<void> {
  const {argv, root} = options;
  const fail = (error: unknown): Promise<never> => end(reportFailure(error, argv));
  process.on('uncaughtException', fail);
  process.on('unhandledRejection', fail);
  // Without a reader of our messages there is nobody to tell.
  process.stderr.on('error', () => {});
  // oclif would look for ts-node when NODE_ENV says test; types are stripped by Node itself.
  settings.enableAutoTranspile = false;
  try {
    await run([...argv], {root, isRoot: true, pjson: packageFor(root)});
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
  // A pipe takes what was written only when its reader reads; two seconds are for a reader that never will.
  await flush(2000).catch(() => {});
  process.exit(exitCode);
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

/** package.json, with the commands' folder beside this file: src/commands in a checkout, dist/commands when installed. */
function packageFor(root: string): Interfaces.PJSON {
  const pjson = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as Interfaces.PJSON;
  const commands = join(dirname(fileURLToPath(import.meta.url)), '..', 'commands');
  return {...pjson, oclif: {...pjson.oclif, commands: `./${relative(root, commands)}`}};
}
