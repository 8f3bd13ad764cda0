// A small scanner of TypeScript source for the tests of this folder: it blanks comments and literals, and finds imports. It
// knows no grammar beyond tokens, which is enough because biome has formatted every file. Blanked text keeps its length and
// its line feeds, so an offset in it is an offset in the source.

import {readdirSync, readFileSync} from 'node:fs';
import {join, relative} from 'node:path';
import {fileURLToPath} from 'node:url';

export interface SourceFile {
  /** Relative to the repository's root, with '/'. */
  readonly path: string;
  readonly text: string;
}

export interface ImportStatement {
  readonly specifier: string;
  /** `import type` and `export type … from`: gone at run time. */
  readonly isTypeOnly: boolean;
  readonly line: number;
}

export const repositoryRoot: string = fileURLToPath(new URL('../..', import.meta.url));

const SKIPPED_FOLDERS = new Set(['node_modules', 'dist', 'coverage', '.git']);

/** Every file below the given files and folders of the repository whose name passes `filter`, in a stable order. */
export function readSources(roots: readonly string[], filter: (path: string) => boolean): SourceFile[] {
  const found: SourceFile[] = [];
  const visit = (path: string): void => {
    let entries: string[] | undefined;
    try {
      entries = readdirSync(path);
    } catch (error) {
      const code = (error as NodeJS.ErrnoException).code;
      if (code === 'ENOENT') return;
      if (code !== 'ENOTDIR') throw error;
    }
    if (entries !== undefined) {
      for (const entry of entries.sort()) if (!SKIPPED_FOLDERS.has(entry)) visit(join(path, entry));
      return;
    }
    const name = relative(repositoryRoot, path);
    if (filter(name)) found.push({path: name, text: readFileSync(path, 'utf8')});
  };
  for (const root of roots) visit(join(repositoryRoot, root));
  return found;
}

/** The source with every comment blanked, and with `literals` also strings, templates' text and regular expressions. */
export function blank(text: string, options: {literals: boolean}): string {
  const output: string[] = [];
  // For each open `${`, the depth of braces at which it closes and the template goes on.
  const templates: number[] = [];
  let depth = 0;
  let index = 0;
  let previous = '';

  const keep = (end: number): void => {
    output.push(text.slice(index, end));
    index = end;
  };
  const drop = (end: number): void => {
    output.push(text.slice(index, end).replace(/[^\n]/g, ' '));
    index = end;
  };
  const literal = (end: number): void => {
    if (options.literals) drop(end);
    else keep(end);
    previous = ')';
  };

  while (index < text.length) {
    const character = text[index] as string;
    if (text.startsWith('//', index) || (index === 0 && text.startsWith('#!'))) {
      drop(endOf(text, '\n', index));
    } else if (text.startsWith('/*', index)) {
      drop(endOf(text, '*/', index + 2) + 2);
    } else if (character === "'" || character === '"') {
      literal(endOfQuoted(text, index, character));
    } else if (character === '`') {
      const end = endOfTemplateText(text, index + 1);
      literal(end);
      if (text[end - 1] === '{') {
        templates.push(depth++);
        previous = '(';
      }
    } else if (character === '}' && templates.at(-1) === depth - 1) {
      depth = templates.pop() as number;
      const end = endOfTemplateText(text, index + 1);
      literal(end);
      if (text[end - 1] === '{') {
        templates.push(depth++);
        previous = '(';
      }
    } else if (character === '/' && startsRegExp(previous)) {
      literal(endOfRegExp(text, index));
    } else {
      if (character === '{') depth++;
      if (character === '}') depth--;
      const word = /^[\w$]+/.exec(text.slice(index, index + 64))?.[0] ?? character;
      if (word.trim() !== '') previous = word;
      keep(index + word.length);
    }
  }
  return output.join('');
}

/** Imports and re-exports, static and dynamic, and files named by `new URL('./x.ts', import.meta.url)`. */
export function findImports(text: string): ImportStatement[] {
  const code = blank(text, {literals: false});
  // Literals are blanked in `names`, so that an import inside a string is not taken for one.
  const names = blank(text, {literals: true});
  const patterns: readonly RegExp[] = [
    /\b(?:import|export)\s+(type\s)?[^;'"`()]*?\bfrom\s*(['"])([^'"\n]+)\2/g,
    /\bimport()\s*(['"])([^'"\n]+)\2/g,
    /(?<![\w$.])import()\s*\(\s*(['"`])([^'"`\n]+)\2/g,
    /(?<![\w$.])require()\s*\(\s*(['"`])([^'"`\n]+)\2/g,
    /\bnew\s+URL()\(\s*(['"`])(\.[^'"`\n]+\.[jt]s)\2\s*,\s*import\.meta\.url/g,
  ];
  const found: (ImportStatement & {offset: number})[] = [];
  for (const pattern of patterns) {
    for (const match of code.matchAll(pattern)) {
      if (names.slice(match.index, match.index + 3).trim() === '') continue;
      const line = code.slice(0, match.index).split('\n').length;
      found.push({specifier: match[3] as string, isTypeOnly: Boolean(match[1]), line, offset: match.index});
    }
  }
  return found
    .sort((a, b) => a.offset - b.offset)
    .map(({specifier, isTypeOnly, line}) => ({specifier, isTypeOnly, line}));
}

function endOf(text: string, mark: string, from: number): number {
  const end = text.indexOf(mark, from);
  return end === -1 ? text.length : end;
}

function endOfQuoted(text: string, start: number, quote: string): number {
  let index = start + 1;
  while (index < text.length && text[index] !== quote) index += text[index] === '\\' ? 2 : 1;
  return index + 1;
}

/** Past the closing back-tick, or past the `${` that interrupts the text. */
function endOfTemplateText(text: string, from: number): number {
  let index = from;
  while (index < text.length) {
    if (text[index] === '`') return index + 1;
    if (text.startsWith('${', index)) return index + 2;
    index += text[index] === '\\' ? 2 : 1;
  }
  return index;
}

/** A slash divides after a value and opens a regular expression elsewhere. */
function startsRegExp(previous: string): boolean {
  if (/^(return|typeof|case|in|of|void|throw|await|yield|else)$/.test(previous)) return true;
  return !/^[\w$)\]}]/.test(previous);
}

function endOfRegExp(text: string, start: number): number {
  let index = start + 1;
  let isInClass = false;
  while (index < text.length && text[index] !== '\n') {
    const character = text[index];
    if (character === '/' && !isInClass) break;
    if (character === '[') isInClass = true;
    if (character === ']') isInClass = false;
    index += character === '\\' ? 2 : 1;
  }
  return index + 1;
}
