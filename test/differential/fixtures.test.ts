// Every fixture guest on every machine: the console must show exactly the expected bytes, and the guest must end with its
// code. Also: the binaries are what the manifest says, and what the sources give. FTVM_ACCEPT=1 writes what QEMU printed as
// the expectation, after a deliberate change of a guest.

import assert from 'node:assert/strict';
import {execFileSync, spawnSync} from 'node:child_process';
import {createHash} from 'node:crypto';
import {mkdtempSync, readFileSync, rmSync, writeFileSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {fileURLToPath} from 'node:url';
import {checkHashChain, FIXTURE_GUESTS, readGuestFile, readManifest} from '../support/fixture-guests.ts';
import {hasCommand, skipUnless} from '../support/skip.ts';
import {oracle, runners} from './runner.ts';

const CROSS_COMPILER = 'riscv64-linux-gnu-gcc';
const manifest = readManifest();
const text = (bytes: Uint8Array) => Buffer.from(bytes).toString('latin1');

describe('fixture guests: binaries', () => {
  for (const guest of [...manifest.guests, {name: 'harness', ...manifest.harness}]) {
    it(`${guest.name} is the binary that the manifest names`, () => {
      const bytes = readGuestFile(guest.file);
      assert.equal(bytes.length, guest.sizeBytes);
      assert.equal(createHash('sha256').update(bytes).digest('hex'), guest.sha256);
    });
  }

  it('the sources give the same binaries, byte for byte', function () {
    this.timeout(120_000);
    skipUnless(this, hasCommand(CROSS_COMPILER), `${CROSS_COMPILER} is not installed (Debian: gcc-riscv64-linux-gnu)`);
    const compiler = execFileSync(CROSS_COMPILER, ['--version'], {encoding: 'utf8'}).split('\n')[0];
    skipUnless(
      this,
      compiler === manifest.compiler,
      `the guests were built with ${manifest.compiler}, here is ${compiler}`,
    );
    const folder = mkdtempSync(join(tmpdir(), 'ftvm-guests-'));
    try {
      const build = fileURLToPath(new URL('build.sh', FIXTURE_GUESTS));
      const built = spawnSync('sh', [build, folder], {encoding: 'utf8'});
      assert.equal(built.status, 0, built.stderr);
      for (const guest of [...manifest.guests, {name: 'harness', ...manifest.harness}]) {
        const bytes = readFileSync(join(folder, `${guest.name}.elf`));
        assert.equal(createHash('sha256').update(bytes).digest('hex'), guest.sha256, guest.name);
      }
    } finally {
      rmSync(folder, {recursive: true, force: true});
    }
  });
});

for (const runner of runners) {
  describe(`fixture guests under ${runner.name}`, () => {
    for (const guest of manifest.guests) {
      it(`${guest.name}: ${guest.description}`, async function () {
        this.timeout(60_000);
        const missing = runner.missing();
        skipUnless(this, missing === undefined, missing ?? '');
        const {console, exitCode} = await runner.run({
          kernel: readGuestFile(guest.file),
          ...(guest.input === undefined ? {} : {input: guest.input}),
          ...(guest.diskBytes === undefined ? {} : {diskBytes: guest.diskBytes}),
          timeoutMs: 50_000,
        });
        assert.notEqual(exitCode, undefined, `the guest did not end; it printed:\n${text(console.slice(-2000))}`);
        if (guest.oracle === false && runner === oracle) {
          // Were QEMU to agree, the oracle could judge these after all.
          assert.notEqual(text(console), text(readGuestFile(guest.expectedConsole!)));
        } else if (guest.expectedConsole !== undefined) {
          if (process.env.FTVM_ACCEPT === '1' && runner === oracle) {
            writeFileSync(new URL(guest.expectedConsole, FIXTURE_GUESTS), console);
          }
          assert.equal(text(console), text(readGuestFile(guest.expectedConsole)));
        }
        if (guest.consoleCheck === 'hash-chain') assert.ok(checkHashChain(console) > 0, 'no numbered line at all');
        assert.equal(exitCode, guest.exitCode);
      });
    }
  });
}

describe('fixture guests: canary', () => {
  it('a transcript of the counter with one byte changed, or one line missing, is refused', () => {
    const good = readGuestFile('expected/counter-100.txt');
    assert.equal(checkHashChain(good), 100);
    const changed = good.slice();
    changed[200]! ^= 1;
    assert.throws(() => checkHashChain(changed), /contradicts itself/);
    const lines = text(good).split('\n');
    lines.splice(50, 1);
    assert.throws(() => checkHashChain(Buffer.from(lines.join('\n'), 'latin1')), /contradicts itself/);
  });
});
