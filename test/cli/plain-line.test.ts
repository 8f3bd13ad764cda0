// A plain command line is read without oclif: exactly as oclif's parser reads it, for every command, or not at all.

import assert from 'node:assert/strict';
import {readdirSync} from 'node:fs';
import {fileURLToPath} from 'node:url';
import {parse} from '@oclif/core/parser';
import fc from 'fast-check';
import type {CommandClass} from '../../src/cli/base-command.ts';
import {JSON_FLAG} from '../../src/cli/flags.ts';
import {type Definitions, parsePlainLine} from '../../src/cli/plain-line.ts';

const FOLDER = fileURLToPath(new URL('../../src/commands/', import.meta.url));
const LINES_PER_COMMAND = 2000;

type Parsed = Definitions & {strict: boolean};

/** What oclif makes of a line; undefined when it refuses it. Without a terminal or pipe for arguments that are missing. */
async function parseByOclif(argv: readonly string[], {args, flags, strict}: Parsed) {
  const quiet = Object.fromEntries(Object.entries(args).map(([name, arg]) => [name, {...arg, ignoreStdin: true}]));
  const options = {args: quiet, flags, strict} as unknown as Parameters<typeof parse>[1];
  const line = await parse([...argv], options).catch(() => undefined);
  return line && {flags: {...line.flags}, args: {...line.args}, argv: line.argv};
}

/** Lines that are mostly right, of the command's flags and of values that look like something else. */
function lines({args, flags}: Parsed): fc.Arbitrary<string[]> {
  const value = fc.constantFrom(
    'a',
    'b=c',
    '',
    '5',
    '100',
    '-1',
    '-',
    '--',
    'real',
    'virtual',
    '--json',
    '-x',
    'no-reboot',
  );
  const words = Object.entries(flags).flatMap(([name, {char, options = []}]) => [
    fc.constant([`--${name}`]),
    fc.tuple(fc.constant(`--${name}`), fc.oneof(value, fc.constantFrom('1000', ...options))),
    value.map((text) => [`--${name}=${text}`]),
    fc.constant([`--no-${name}`]),
    ...(char === undefined ? [] : [value.map((text) => [`-${char}`, text]), value.map((text) => [`-${char}${text}`])]),
  ]);
  const wrong = fc.constantFrom(['--nonsense'], ['-undefined'], ['--toString'], ['--'], ['--='], ['extra']);
  const positionals = fc.array(
    value.map((text) => [text]),
    {minLength: Object.keys(args).length, maxLength: Object.keys(args).length},
  );
  return fc
    .tuple(
      positionals,
      fc.array(fc.oneof({weight: 12, arbitrary: fc.oneof(...words)}, {weight: 1, arbitrary: wrong}), {maxLength: 4}),
    )
    .chain(([before, after]) => fc.shuffledSubarray([...before, ...after], {minLength: before.length + after.length}))
    .map((parts) => parts.flat());
}

describe('a plain command line', () => {
  for (const path of readdirSync(FOLDER, {recursive: true, encoding: 'utf8'}).filter((name) => name.endsWith('.ts'))) {
    it(`is read as by oclif: ${path.replace(/\.ts$/, '').replaceAll('/', ' ')}`, async () => {
      const {args, flags, strict} = ((await import(`${FOLDER}${path}`)) as {default: CommandClass & Parsed}).default;
      const command = {args, flags: {...JSON_FLAG, ...flags} as Definitions['flags'], strict};
      let plain = 0;
      const property = fc.asyncProperty(lines(command), async (argv) => {
        const line = await parsePlainLine(argv, command);
        if (line === undefined) return;
        plain += 1;
        const expected = await parseByOclif(argv, command);
        assert.deepEqual(
          {flags: line.flags, args: line.args},
          expected && {flags: expected.flags, args: expected.args},
        );
        // oclif misplaces an argument that is a flag's value as well.
        assert.deepEqual(line.argv.toSorted(), expected?.argv.toSorted());
      });
      await fc.assert(property, {numRuns: LINES_PER_COMMAND});
      assert.ok(plain > LINES_PER_COMMAND / 100, `only ${plain} lines were plain`);
    });
  }
});
