// What of the style can be counted: names, headers, lengths, unfinished work; and that nothing of the place where a file was
// written (absolute paths, a package mirror) got into it.

import assert from 'node:assert/strict';
import {blank, readSources, type SourceFile} from './source-scan.ts';

const OWN_TEXT = [
  'bin',
  'build',
  'src',
  'test',
  'bench',
  'docs',
  'fixtures',
  '.ci',
  'README.md',
  'package.json',
  'biome.json',
];
const TEXT_FILE = /(?:\.(?:ts|js|cjs|mjs|json|md|cddl|c|S|s|h|ld|sh|txt)|\/run|\/Makefile)$/;

/** Characteristic of unfinished work. Spelt so that this file does not find itself. */
const UNFINISHED = new RegExp(
  `\\b(?:TO${''}DO|FIX${''}ME|XX${''}X|HA${''}CK|for${' '}now|not\\s+implemented\\s+yet)\\b`,
);

/** Absolute paths of a workplace or of a home. */
const WORKPLACE = new RegExp(`(?<![\\w.@~:-])/(?:${['work', 'root', 'home', 'Users'].join('|')})/|\\.libr${''}ary\\b`);

/** Lines of the longest file that still reads as one concept; the tables of instructions are exempt. */
const MOST_LINES = 600;
const FEWEST_HEADER_LINES = 1;

function findStyleViolations({path, text}: SourceFile): string[] {
  const violations: string[] = [];
  const lines = text.split('\n');
  const report = (line: number, what: string): void => {
    violations.push(`${path}:${line}: ${what}`);
  };
  lines.forEach((line, index) => {
    if (UNFINISHED.test(line)) report(index + 1, 'unfinished work');
    if (WORKPLACE.test(line)) report(index + 1, 'a path of the workplace');
  });
  if (!path.endsWith('.ts')) return violations;

  const name = path.split('/').at(-1) as string;
  if (!/^[a-z0-9]+(?:-[a-z0-9]+)*(?:\.test|\.d)?\.ts$/.test(name)) report(1, 'the file name is not kebab-case');
  if (name === 'index.ts') report(1, 'a barrel');
  const headerLines = lines.findIndex((line) => !line.startsWith('//'));
  if (headerLines < FEWEST_HEADER_LINES) report(1, 'no header that says what this is and what it must never do');
  if (lines.length > MOST_LINES && !path.startsWith('src/emulator/isa/'))
    report(MOST_LINES, 'too long to be one concept');
  if (path.startsWith('src/')) {
    const code = blank(text, {literals: true}).split('\n');
    code.forEach((line, index) => {
      if (/^export default\b/.test(line) && !path.startsWith('src/commands/')) report(index + 1, 'a default export');
      if (/^(?:export )?let\b/.test(line)) report(index + 1, 'mutable state of a module');
    });
    // The compiler rewrites `.ts` in imports, but not here: dist would look for a file that is not there.
    if (/new URL\(\s*['"`][^'"`]*\.ts['"`]/.test(text))
      report(1, 'a URL that names a .ts file, which dist does not have');
  }
  return violations;
}

describe('the style', () => {
  it('holds in everything we wrote', () => {
    const files = readSources(OWN_TEXT, (path) => TEXT_FILE.test(path) || path === '.ci/run');
    assert.ok(files.length > 20, 'the files were not found');
    assert.deepEqual(files.flatMap(findStyleViolations), []);
  });

  it('package-lock.json names no mirror', () => {
    const [lock] = readSources(['package-lock.json'], () => true);
    const hosts = [...(lock?.text ?? '').matchAll(/"resolved": "(https?:\/\/[^/"]+)/g)].map((match) => match[1]);
    assert.deepEqual(
      hosts.filter((host) => host !== 'https://registry.npmjs.org'),
      [],
    );
  });

  const header = '// What this is,\n// and what it must never do.\n\n';
  const planted: readonly {path: string; text: string; expected: RegExp}[] = [
    {path: 'src/host/x.ts', text: `${header}// TO${''}DO: finish\n`, expected: /unfinished/},
    {path: 'docs/x.md', text: `this works for${' '}now\n`, expected: /unfinished/},
    {path: 'docs/x.md', text: `run ${'/wor'}k/main/bin/run.js\n`, expected: /workplace/},
    {path: 'docs/x.md', text: `see ${'/roo'}t/x\n`, expected: /workplace/},
    {path: 'src/host/camelCase.ts', text: header, expected: /kebab-case/},
    {path: 'src/host/index.ts', text: header, expected: /barrel/},
    {path: 'src/host/x.ts', text: 'export const a = 1;\n', expected: /no header/},
    {path: 'src/host/x.ts', text: header + '\n'.repeat(MOST_LINES), expected: /too long/},
    {path: 'src/host/x.ts', text: `${header}export default 1;\n`, expected: /default export/},
    {path: 'src/host/x.ts', text: `${header}f(new URL('./y.ts', import.meta.url));\n`, expected: /URL that names/},
    {path: 'src/host/x.ts', text: `${header}let count = 0;\n`, expected: /mutable state/},
  ];
  for (const {path, text, expected} of planted) {
    it(`catches ${expected.source} in ${path}`, () => {
      assert.match(findStyleViolations({path, text}).join('\n'), expected);
    });
  }
});
