// Which form of the program runs: dist/ as long as it is what the sources say.

import assert from 'node:assert/strict';
import {mkdirSync, mkdtempSync, rmSync, utimesSync, writeFileSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {dirname, join} from 'node:path';
import {describeSources, programFolder} from '../../bin/sources.js';

describe('sources', () => {
  let root = '';
  const write = (path: string, text: string): void => {
    mkdirSync(dirname(root + path), {recursive: true});
    writeFileSync(root + path, text);
  };
  beforeEach(() => {
    root = `${mkdtempSync(join(tmpdir(), 'ftvm-sources-'))}/`;
    for (const path of ['package.json', 'package-lock.json', 'bin/sources.js', 'build/bundle.ts', 'build/dist.ts'])
      write(path, path);
    write('src/errors.ts', 'one');
    write('src/emulator/hart/hart.ts', 'two');
  });
  afterEach(() => rmSync(root, {recursive: true}));

  it('are run where there is no dist/, or one that does not say what it was made of', () => {
    assert.equal(programFolder(root), 'src');
    write('dist/cli/main.cjs', '');
    assert.equal(programFolder(root), 'src');
  });

  it('are not run where dist/ was made of them, nor where there are none', () => {
    write('dist/SOURCES', describeSources(root));
    assert.equal(programFolder(root), 'dist');
    rmSync(`${root}src`, {recursive: true});
    assert.equal(programFolder(root), 'dist');
  });

  it('are run when that is asked for', () => {
    write('dist/SOURCES', describeSources(root));
    process.env.FTVM_FROM_SOURCE = '1';
    try {
      assert.equal(programFolder(root), 'src');
    } finally {
      delete process.env.FTVM_FROM_SOURCE;
    }
  });

  it('are run when one was changed, added or removed, or a library may have been', () => {
    write('dist/SOURCES', describeSources(root));
    const changes = [
      () => write('src/errors.ts', 'longer'),
      () => utimesSync(`${root}src/emulator/hart/hart.ts`, 1, 1),
      () => write('src/emulator/new.ts', 'three'),
      () => rmSync(`${root}src/emulator/hart/hart.ts`),
      () => write('package-lock.json', 'another library'),
    ];
    for (const change of changes) {
      change();
      assert.equal(programFolder(root), 'src', String(change));
      write('dist/SOURCES', describeSources(root));
    }
  });
});
