// The three forms of failure (STYLE 13): a guest's fault is a trap inside the machine and never appears here; an operating
// error is an FtvmError, with what was wrong, what to do next and its own exit code; our own bug is a failed assert, always
// on and never caught.

/** Exit codes of ftvm's own failures, one per cause. Guest codes 0 to 99 pass through; 100 stands for a greater one. */
export const EXIT_CODES = {
  guestCodeTooLarge: 100,
  usage: 101,
  divergence: 102,
  torn: 103,
  corrupt: 104,
  mismatchedArtefact: 105,
  mismatchedVersion: 106,
  lostArbitration: 107,
  arbiterUnreachable: 108,
  notALog: 109,
  badImage: 110,
  fileSystem: 111,
  network: 112,
  peerVanished: 113,
  unsupportedHost: 114,
  package: 115,
  alreadyRunning: 116,
  different: 117,
  guestStuck: 118,
  internal: 125,
} as const;

export type ErrorCode = keyof typeof EXIT_CODES;

/** An operating error: it is shown to the user as `message`, then `hint`, never as a stack trace. */
export class FtvmError extends Error {
  readonly code: ErrorCode;
  readonly hint: string | undefined;
  /** Machine-readable facts for `--json`: offset in bytes, position, path, both digests. */
  readonly details: Readonly<Record<string, unknown>>;

  constructor(
    code: ErrorCode,
    message: string,
    options: {hint?: string; details?: Record<string, unknown>; cause?: unknown} = {},
  ) {
    super(message, options.cause === undefined ? undefined : {cause: options.cause});
    this.name = 'FtvmError';
    this.code = code;
    this.hint = options.hint;
    this.details = options.details ?? {};
  }

  get exitCode(): number {
    return EXIT_CODES[this.code];
  }
}

/** A bug of ours. It ends the program: nothing after it can be trusted. */
export class AssertionError extends Error {
  override readonly name = 'AssertionError';
}

export function assert(condition: unknown, message: string): asserts condition {
  if (!condition) throw new AssertionError(message);
}

/** For the default case of an exhaustive switch. */
export function unreachable(value: never): never {
  throw new AssertionError(`unreachable: ${JSON.stringify(value)}`);
}
