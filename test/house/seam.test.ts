// The seam (DESIGN 3): under src/emulator there is no clock, no randomness, no input or output and nothing asynchronous. This
// test is what lets us say that the machine is a function of its inputs; biome checks a part of it while one types.

import assert from 'node:assert/strict';
import {blank, findImports, readSources, type SourceFile} from './source-scan.ts';

/** Names of the host's world, and of JavaScript's asynchronous one. After a dot they are a property of something else. */
const FORBIDDEN_NAMES = [
  ...['Date', 'performance', 'Intl', 'Temporal', 'crypto'],
  ...['process', 'Buffer', 'require', 'globalThis', 'global', 'console', 'fetch', 'Worker', 'navigator', 'eval'],
  ...['Promise', 'async', 'await', 'queueMicrotask', 'Atomics', 'SharedArrayBuffer', 'WeakRef', 'FinalizationRegistry'],
  ...['setTimeout', 'setInterval', 'setImmediate', 'clearTimeout', 'clearInterval', 'clearImmediate'],
];

/** `protected process(): void {`: a method may be called anything. */
const METHOD = /^ *(?:(?:protected|private|public|static|override|abstract) )*\w+\([^()]*\)(?:: .*;|(?:: .*)? \{)$/;

const HOST_NAME = 'a name of the host';

const FORBIDDEN_PATTERNS: readonly {readonly pattern: RegExp; readonly name: string; readonly except?: RegExp}[] = [
  {
    pattern: new RegExp(`(?<![\\w$.]|#)(?:${FORBIDDEN_NAMES.join('|')})(?![\\w$]|\\??:)`, 'g'),
    name: 'a name of the host',
  },
  // Also `Math['random']` and `const {random} = Math`.
  {pattern: /\bMath\s*\.\s*random\b|\bMath\b(?!\s*\.\s*\w)/g, name: 'Math.random, or Math as a value'},
  {pattern: /\bimport\s*\.\s*meta\b/g, name: 'import.meta'},
  {pattern: /(?<![\w$.])import\s*\(/g, name: 'a dynamic import'},
  {pattern: /\.\s*(?:toLocale\w+|localeCompare)\b/g, name: "the host's locale"},
  {pattern: /\bWebAssembly\s*\.\s*(?:compile|instantiate)\w*/g, name: 'an asynchronous compilation'},
  {
    pattern: /\bWebAssembly\s*\.\s*(?:Module|Instance|validate)\b/g,
    name: 'a compilation outside wasm/ and hart/',
    except: /^src\/emulator\/(?:wasm|hart)\//,
  },
];

function findSeamViolations(file: SourceFile): string[] {
  const code = blank(file.text, {literals: true});
  const violations = FORBIDDEN_PATTERNS.filter(({except}) => !except?.test(file.path)).flatMap(({pattern, name}) =>
    [...code.matchAll(pattern)].flatMap((match) => {
      const line = code.slice(0, match.index).split('\n').length;
      const isMethod = METHOD.test(code.split('\n')[line - 1] as string);
      return isMethod && name === HOST_NAME ? [] : [`${file.path}:${line}: ${match[0]}: ${name}`];
    }),
  );
  const imports = findImports(file.text)
    .filter(({specifier}) => !specifier.startsWith('.'))
    .map(({specifier, line}) => `${file.path}:${line}: imports ${specifier}`);
  return [...violations, ...imports];
}

describe('the seam', () => {
  it('holds in src/emulator', () => {
    const files = readSources(['src/emulator'], (path) => path.endsWith('.ts'));
    assert.ok(files.length > 5, 'the emulator was not found');
    assert.deepEqual(files.flatMap(findSeamViolations), []);
  });

  const planted: readonly string[] = [
    'const now = Date.now();',
    'const now = new Date();',
    'const now = performance.now();',
    'const dice = Math.random();',
    `const dice = Math['random']();`,
    'const {random} = Math;',
    'const bytes = crypto.getRandomValues(new Uint8Array(4));',
    'setTimeout(f, 0);',
    '  fetch(url);',
    '  f(a: () => Promise<void>): void {',
    'async function f() {}',
    'const f = async () => 1;',
    'await f();',
    'function f(): Promise<void> {}',
    'if (process.env.X) f();',
    'const text = `${Date.now()}`;',
    'globalThis.x = 1;',
    'console.log(1);',
    `import fs from 'node:fs';`,
    `import {hash} from 'hash-wasm';`,
    `const fs = import('./x.ts');`,
    'const url = import.meta.url;',
    'names.sort((a, b) => a.localeCompare(b));',
    'const module = WebAssembly.compile(bytes);',
    'const module = new WebAssembly.Module(bytes);',
  ];
  for (const text of planted) {
    it(`catches: ${text}`, () => {
      assert.notDeepEqual(findSeamViolations({path: 'src/emulator/devices/planted.ts', text}), []);
    });
  }

  it('lets pass what only looks like it', () => {
    const text = [
      '// The Date of the host, await and process are no concern of ours.',
      `const message = 'a Promise of Math.random';`,
      'const shift = Math.clz32(x) + Math.max(1, 2);',
      'interface Line {process: number; async?: boolean}',
      'line.process = this.#process + line.await;',
      '  protected process(): void {',
      '  fetch(address: number): void;',
      'const updated = date + processed;',
      'const memory = new WebAssembly.Memory({initial: 1});',
    ].join('\n');
    assert.deepEqual(findSeamViolations({path: 'src/emulator/devices/harmless.ts', text}), []);
    const compile = 'const instance = new WebAssembly.Instance(new WebAssembly.Module(bytes), imports);';
    assert.deepEqual(findSeamViolations({path: 'src/emulator/hart/interpreter.ts', text: compile}), []);
  });
});
