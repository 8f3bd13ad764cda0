// Turns whatever a command threw into what the user sees: a message, a hint and an exit code, never a stack trace. Operating
// errors keep their own code; everything else that is not a usage error is a bug of ours, says so, and exits with 125. This
// file decides and formats; it never writes and never exits.

import {type ErrorCode, EXIT_CODES, FtvmError} from '../errors.ts';
import {encodeJson} from './json.ts';
import type {Palette} from './palette.ts';

export interface FailureReport {
  readonly code: ErrorCode;
  readonly exitCode: number;
  readonly message: string;
  readonly hint: string | undefined;
  readonly details: Readonly<Record<string, unknown>>;
  /** Only for a bug of ours, and shown only when the user asks for it. */
  readonly stack: string | undefined;
}

/** Network causes of `SystemError.code`; every other system call that fails is about files. */
const NETWORK_CAUSES = new Set([
  'EADDRINUSE',
  'EADDRNOTAVAIL',
  'ECONNABORTED',
  'ECONNREFUSED',
  'ECONNRESET',
  'EHOSTDOWN',
  'EHOSTUNREACH',
  'ENETDOWN',
  'ENETUNREACH',
  'ENOTFOUND',
  'EAI_AGAIN',
  'ETIMEDOUT',
]);

const SYSTEM_HINTS: Readonly<Record<string, string>> = {
  EACCES: 'check the permissions of the file and of the folders above it',
  EADDRINUSE: 'another process has this port: choose another one, or end that process',
  ECONNREFUSED: 'nothing listens there: is the other side running, and is the address right?',
  EISDIR: 'a file was expected, and this is a folder',
  EMFILE: 'raise the limit of open files (`ulimit -n`)',
  ENOENT: 'check the path: it must exist',
  ENOSPC: 'the file system is full: make room, or choose another place with -o',
  ENOTDIR: 'a part of the path is a file, not a folder',
  EPERM: 'check the permissions of the file and of the folders above it',
  EROFS: 'the file system is read-only: choose another place',
};

/** What the user is told about `error`, thrown by the command line `argv`. */
export function describeFailure(error: unknown, argv: readonly string[] = []): FailureReport {
  if (error instanceof FtvmError) {
    const {code, exitCode, message, hint, details} = error;
    return {code, exitCode, message, hint, details, stack: undefined};
  }
  if (isUsageError(error)) {
    return {
      code: 'usage',
      exitCode: EXIT_CODES.usage,
      message: firstLines(error.message),
      hint: `see \`${isUnknownCommand(error) ? 'ftvm --help' : helpCommand(argv)}\``,
      details: {},
      stack: undefined,
    };
  }
  if (isSystemError(error)) {
    const code = NETWORK_CAUSES.has(error.code) ? 'network' : 'fileSystem';
    return {
      code,
      exitCode: EXIT_CODES[code],
      message: error.message,
      hint: SYSTEM_HINTS[error.code],
      details: {cause: error.code, syscall: error.syscall, path: error.path},
      stack: undefined,
    };
  }
  const message = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
  return {
    code: 'internal',
    exitCode: EXIT_CODES.internal,
    message: `a bug of ftvm: ${message.replaceAll('\n', ' ')}`,
    hint: 'please report it as README.md says, with the command line and what FTVM_DEBUG=1 adds',
    details: {},
    stack: error instanceof Error ? error.stack : undefined,
  };
}

/** The report as text for stderr, with its closing line feed. */
export function formatFailure(report: FailureReport, palette: Palette, options: {debug: boolean}): string {
  const lines = [`${palette.bad('error:')} ${report.message}`];
  if (report.hint !== undefined) lines.push(`${palette.accent('hint:')} ${report.hint}`);
  if (options.debug && report.stack !== undefined) lines.push(report.stack);
  return `${lines.join('\n')}\n`;
}

/** The report as the object that `--json` puts on stdout, in one line without the line feed. */
export function encodeFailure(report: FailureReport): string {
  const {code, exitCode, message, hint, details} = report;
  return encodeJson({error: {code, exitCode, message, hint, details}});
}

/** oclif marks what the user typed wrongly with exit status 2, and an unknown command with 127. */
function isUsageError(error: unknown): error is Error {
  return error instanceof Error && ('parse' in error || oclifExit(error) === 2 || isUnknownCommand(error));
}

function isUnknownCommand(error: Error): boolean {
  return oclifExit(error) === 127 || /^command \S+ not found/i.test(error.message);
}

function oclifExit(error: Error): unknown {
  return (error as {oclif?: {exit?: unknown}}).oclif?.exit;
}

interface SystemError extends Error {
  code: string;
  syscall: string;
  path?: string;
}

/** Node's own errors (ERR_…) carry a code as well, but no system call: those are bugs. */
function isSystemError(error: unknown): error is SystemError {
  if (!(error instanceof Error)) return false;
  const {code, syscall} = error as {code?: unknown; syscall?: unknown};
  return typeof code === 'string' && typeof syscall === 'string';
}

/** oclif appends "See more help with --help", which the hint says better, and breaks lines before a tab. */
function firstLines(message: string): string {
  return message
    .replace(/\s*\n\t/g, ' ')
    .split('\n')
    .filter((line) => !line.startsWith('See more help'))
    .join('\n')
    .trim();
}

/** `ftvm record --help` for `ftvm record --nonsense`. */
function helpCommand(argv: readonly string[]): string {
  const words = argv.slice(0, 2).filter((word) => /^[a-z][a-z-]*$/.test(word));
  const known = words[0] === 'guest' ? words : words.slice(0, 1);
  return ['ftvm', ...known, '--help'].join(' ');
}
