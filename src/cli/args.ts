// Definitions of arguments, as oclif's parser and help take them; see flags.ts.

import type * as Oclif from '@oclif/core/args';

export const string = ((options: object = {}) => ({
  parse: async (input: string) => input,
  ...options,
  input: [],
  type: 'option',
})) as unknown as typeof Oclif.string;
