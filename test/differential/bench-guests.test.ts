// The benchmark programs are what their manifest says, and what their sources give; one is run, for its checksum.

import assert from 'node:assert/strict';
import {execFileSync} from 'node:child_process';
import {createHash} from 'node:crypto';
import {mkdtempSync, readFileSync, rmSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {fileURLToPath} from 'node:url';
import {hasCommand, skipUnless} from '../support/skip.ts';
import {runners} from './runner.ts';

const COMPILER = 'riscv64-linux-gnu-gcc';
const folder = fileURLToPath(new URL('../../bench/guests/', import.meta.url));
type Program = {name: string; file: string; sha256: string; checksum: string};
const manifest: {compiler: string; programs: Program[]; linux: {file: string; sha256: string}} = JSON.parse(
  readFileSync(join(folder, 'programs.json'), 'utf8'),
);
const digest = (file: string) => createHash('sha256').update(readFileSync(file)).digest('hex');

describe('benchmark programs', () => {
  it('are the binaries that the manifest names', () => {
    for (const {file, sha256} of [...manifest.programs, manifest.linux])
      assert.equal(digest(join(folder, file)), sha256, file);
  });

  it('their sources give the same binaries, and the Linux program', function () {
    this.timeout(120_000);
    skipUnless(this, hasCommand(COMPILER), `${COMPILER} is not installed (Debian: gcc-riscv64-linux-gnu)`);
    const compiler = execFileSync(COMPILER, ['--version'], {encoding: 'utf8'}).split('\n')[0];
    skipUnless(this, compiler === manifest.compiler, `they were built with ${manifest.compiler}, here is ${compiler}`);
    const built = mkdtempSync(join(tmpdir(), 'ftvm-bench-'));
    try {
      execFileSync(join(folder, 'build.sh'), [built], {stdio: 'pipe'});
      for (const {name, sha256} of manifest.programs) assert.equal(digest(join(built, `${name}.elf`)), sha256, name);
      // It has the C library in it, which changes oftener than the compiler.
      assert.equal(readFileSync(join(built, 'linux')).readUInt16LE(18), 243, 'ELF machine is RISC-V');
    } finally {
      rmSync(built, {recursive: true, force: true});
    }
  });

  for (const runner of runners) {
    it(`loop gives its checksum under ${runner.name}`, async function () {
      this.timeout(120_000);
      const missing = runner.missing();
      skipUnless(this, missing === undefined, missing ?? '');
      const loop = manifest.programs.find(({name}) => name === 'loop')!;
      const kernel = new Uint8Array(readFileSync(join(folder, loop.file)));
      const {console, exitCode} = await runner.run({kernel, timeoutMs: 100_000});
      assert.equal(Buffer.from(console).toString('latin1'), `loop: checksum ${loop.checksum}\n`);
      assert.equal(exitCode, 0);
    });
  }
});
