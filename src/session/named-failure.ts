// Where a command reads several files, a failure says which of them it is about.

import {FtvmError} from '../errors.ts';

/** Runs `read`; an FtvmError that does not name `path` gets it in front. */
export async function naming<T>(path: string, read: () => Promise<T>): Promise<T> {
  try {
    return await read();
  } catch (error) {
    if (!(error instanceof FtvmError) || error.message.includes(path)) throw error;
    const {code, message, hint, details} = error;
    throw new FtvmError(code, `${path}: ${message}`, {
      ...(hint === undefined ? {} : {hint}),
      details: {path, ...details},
      cause: error,
    });
  }
}
