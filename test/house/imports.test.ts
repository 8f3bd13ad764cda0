// The import rules of DESIGN 9, on the real source; and on planted violations, because a check that cannot fail is a defect.

import assert from 'node:assert/strict';
import {findImportViolations} from './import-rules.ts';
import {findImports, readSources} from './source-scan.ts';

const isSource = (path: string): boolean => path.endsWith('.ts');

describe('the import rules', () => {
  it('hold in src', () => {
    const files = readSources(['src'], isSource);
    assert.ok(files.length > 10, 'the source was not found');
    assert.deepEqual(findImportViolations(files), []);
  });

  const planted: readonly {readonly path: string; readonly text: string; readonly expected: RegExp}[] = [
    {path: 'src/emulator/x.ts', text: `import {readFileSync} from 'node:fs';`, expected: /emulator imports node:fs/},
    {path: 'src/emulator/x.ts', text: `import type {Dirent} from 'node:fs';`, expected: /emulator imports node:fs/},
    {path: 'src/emulator/x.ts', text: `const fs = await import('node:fs');`, expected: /emulator imports node:fs/},
    {path: 'src/emulator/x.ts', text: `export {a} from '../host/a.ts';`, expected: /emulator imports host/},
    {path: 'src/emulator/x.ts', text: `import\n  '../session/loop.ts';`, expected: /emulator imports session/},
    {path: 'src/emulator/isa/x.ts', text: `import {assert} from '../../errors.ts';`, expected: /isa imports errors/},
    {
      path: 'src/emulator/isa/x.ts',
      text: `import type {Hart} from '../hart/hart.ts';`,
      expected: /imports emulator\/hart/,
    },
    {
      path: 'src/emulator/devices/x.ts',
      text: `import {Hart} from '../hart/hart.ts';`,
      expected: /imports emulator\/hart/,
    },
    {
      path: 'src/host/x.ts',
      text: `import {Uart} from '../emulator/devices/uart.ts';`,
      expected: /host imports emulator/,
    },
    {
      path: 'src/logformat/x.ts',
      text: `import {f} from '../emulator/config.ts';`,
      expected: /logformat imports emulator/,
    },
    {
      path: 'src/commands/x.ts',
      text: `import {f} from '../emulator/machine.ts';`,
      expected: /commands imports emulator/,
    },
    {path: 'src/session/x.ts', text: `import chalk from 'chalk';`, expected: /session imports the package chalk/},
    {path: 'src/session/x.ts', text: `import {Encoder} from 'cbor-x/encode';`, expected: /the package cbor-x/},
    {path: 'src/cli/progress.ts', text: `import {Chalk} from 'chalk';`, expected: /^chalk is known to/},
    {path: 'src/cli/x.ts', text: `import {f} from '../../test/support/skip.ts';`, expected: /outside src/},
    {
      path: 'src/host/x.ts',
      text: `new Worker(new URL('../session/w.ts', import.meta.url));`,
      expected: /host imports session/,
    },
    {path: 'src/nowhere/x.ts', text: '', expected: /not in the table/},
  ];
  for (const {path, text, expected} of planted) {
    it(`catch in ${path}: ${JSON.stringify(text)}`, () => {
      const violations = findImportViolations([{path, text}]);
      assert.ok(
        violations.some((violation) => expected.test(violation)),
        `${expected} not among ${JSON.stringify(violations)}`,
      );
    });
  }

  it('catch a device that sees another device', () => {
    const violations = findImportViolations([
      {path: 'src/emulator/devices/a.ts', text: `import {B} from './b.ts';`},
      {path: 'src/emulator/devices/b.ts', text: 'export class B implements Device {}'},
    ]);
    assert.match(violations.join(), /a device sees another device/);
  });

  it('catch a second file that knows cbor-x', () => {
    const text = `import {Encoder} from 'cbor-x';`;
    const violations = findImportViolations([
      {path: 'src/logformat/a.ts', text},
      {path: 'src/logformat/b.ts', text},
    ]);
    assert.match(violations.join(), /cbor-x is known to src\/logformat\/a.ts, src\/logformat\/b.ts/);
  });

  it('catch a cycle, but not one of types only', () => {
    const cycle = (keyword: string) => [
      {path: 'src/host/a.ts', text: `import {b} from './b.ts';`},
      {path: 'src/host/b.ts', text: `import {c} from './c.ts';`},
      {path: 'src/host/c.ts', text: `import ${keyword}{a} from './a.ts';`},
    ];
    assert.deepEqual(findImportViolations(cycle('')), [
      'cycle: src/host/a.ts → src/host/b.ts → src/host/c.ts → src/host/a.ts',
    ]);
    assert.deepEqual(findImportViolations(cycle('type ')), []);
  });

  it('are not fooled by comments and strings', () => {
    const text = [
      `// import {a} from 'node:fs';`,
      `/* import {a} from 'node:fs'; */`,
      'const code = `import {a} from "node:fs"; ${f(`}`)} import "node:os";`;',
      `const quote = /['"]/g;`,
      `const ratio = a / b; // import 'x'; /`,
      `import {real} from './real.ts';`,
    ].join('\n');
    assert.deepEqual(findImports(text), [{specifier: './real.ts', isTypeOnly: false, line: 6}]);
  });
});
