// Definitions of flags, as oclif's parser and help take them. oclif's own makers of them load half of oclif.

import type * as Oclif from '@oclif/core/flags';

export const string = ((options: object = {}) => valued(options)) as typeof Oclif.string;

/** Undefined when it is not given. */
export const boolean = ((options: object = {}) => ({
  parse: async (input: boolean) => input,
  allowNo: false,
  ...options,
  type: 'boolean',
})) as unknown as typeof Oclif.boolean;

/** From `min` to `max`. */
export const integer = ((options: object = {}) => valued({...options, parse: parseInteger})) as typeof Oclif.integer;

/** One of `options`. */
export const option = ((choice: object) => (options: object) =>
  valued({...choice, ...options})) as unknown as typeof Oclif.option;

/** Every command has it; in its help it comes from oclif. */
export const JSON_FLAG = {json: boolean()};

function valued(options: object): object {
  return {parse: async (input: string) => input, multiple: false, ...options, input: [], type: 'option'};
}

async function parseInteger(input: string, _: unknown, range: {min?: number; max?: number}): Promise<number> {
  const {min = -Infinity, max = Infinity} = range;
  const value = Number.parseInt(input, 10);
  if (!/^-?\d+$/.test(input)) throw usageError(`Expected an integer but received: ${input}`);
  if (value < min) throw usageError(`Expected an integer greater than or equal to ${min} but received: ${input}`);
  if (value > max) throw usageError(`Expected an integer less than or equal to ${max} but received: ${input}`);
  return value;
}

/** As oclif marks what the user typed wrongly. */
function usageError(message: string): Error {
  return Object.assign(new Error(message), {oclif: {exit: 2}});
}
