// The archive formats that a guest is made of, against the tools that everybody uses: what we write cpio reads, and what tar
// writes we read.

import {strict as assert} from 'node:assert';
import {execFileSync, spawnSync} from 'node:child_process';
import {
  linkSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import {tmpdir} from 'node:os';
import {dirname, join} from 'node:path';
import {FtvmError} from '../../src/errors.ts';
import {type CpioEntry, encodeCpio} from '../../src/guests/cpio.ts';
import {decompressXz} from '../../src/guests/debian/archive.ts';
import {InitramfsTree} from '../../src/guests/debian/initramfs.ts';
import {readTar, type TarEntry} from '../../src/guests/tar.ts';
import {hasCommand, skipUnless} from '../support/skip.ts';

let folder: string;

/** A folder for each test of the suite that calls it. Hooks outside a suite would run for every test of the program. */
function useFolder(): void {
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'ftvm-archives-'));
  });
  afterEach(() => rmSync(folder, {recursive: true, force: true}));
}

describe('the cpio writer', () => {
  useFolder();
  const entries: CpioEntry[] = [
    {kind: 'directory', path: 'd', mode: 0o755},
    {kind: 'file', path: 'd/seven', mode: 0o640, bytes: Buffer.from('1234567')},
    {kind: 'file', path: 'd/empty', mode: 0o4755, bytes: new Uint8Array(0)},
    {kind: 'symlink', path: 'link', mode: 0o777, target: 'd/seven'},
    {kind: 'characterDevice', path: 'null', mode: 0o666, major: 1, minor: 3},
  ];

  it('writes what cpio unpacks', function () {
    skipUnless(this, hasCommand('cpio'), 'cpio is not installed (Debian: cpio)');
    const withoutDevice = entries.filter(({kind}) => kind !== 'characterDevice'); // needs root
    execFileSync('cpio', ['-id', '--quiet'], {cwd: folder, input: encodeCpio(withoutDevice)});
    assert.equal(readFileSync(join(folder, 'd/seven'), 'utf8'), '1234567');
    assert.equal(lstatSync(join(folder, 'd/seven')).mode & 0o7777, 0o640);
    assert.equal(readlinkSync(join(folder, 'link')), 'd/seven');
    const listing = execFileSync('cpio', ['-itv', '--quiet'], {input: encodeCpio(entries), encoding: 'utf8'});
    assert.match(listing, /^crw-rw-rw- +1 root +root +1, +3 .* null$/m);
    assert.match(listing, /^-rwsr-xr-x +1 root +root +0 .* d\/empty$/m);
  });

  it('is the same for the same files, in whichever order a tree got them', () => {
    const files = ['usr/bin/a', 'usr/share/deep/er/b', 'etc/c'];
    const trees = [files, files.toReversed()].map((paths) => {
      const tree = new InitramfsTree();
      for (const path of paths) tree.addFile(path, Buffer.from(path), 0o644);
      return tree.encode();
    });
    assert.deepEqual(trees[0], trees[1]);
  });
});

describe('the initramfs tree', () => {
  it('puts packages under the merged /usr and resolves hard links', function () {
    skipUnless(this, hasCommand('cpio'), 'cpio is not installed (Debian: cpio)');
    const tree = new InitramfsTree();
    tree.addPackageEntry({kind: 'file', path: 'bin/tool', mode: 0o755, bytes: Buffer.from('tool')});
    tree.addPackageEntry({kind: 'hardlink', path: 'usr/bin/twin', mode: 0o755, target: 'bin/tool'});
    const paths = execFileSync('cpio', ['-it', '--quiet'], {input: tree.encode(), encoding: 'utf8'}).split('\n');
    for (const path of ['bin', 'usr/bin/tool', 'usr/bin/twin', 'init', 'dev/console'])
      assert.ok(paths.includes(path), path);
    assert.ok(paths.indexOf('usr/bin') < paths.indexOf('usr/bin/tool'), 'a directory comes before its files');
    assert.ok(!paths.includes('bin/tool'));
  });

  it('leaves documentation out', () => {
    assert.equal(InitramfsTree.wants('usr/share/doc/x/copyright'), false);
    assert.equal(InitramfsTree.wants('usr/share/doctor/x'), true);
    assert.equal(InitramfsTree.wants('usr/bin/x'), true);
  });
});

describe('the tar reader', () => {
  useFolder();
  const longPath = `${'long-'.repeat(25)}/${'name-'.repeat(18)}`;

  const archive = (format: string): Buffer => {
    const root = join(folder, 'root');
    mkdirSync(join(root, dirname(longPath)), {recursive: true});
    writeFileSync(join(root, 'file'), Buffer.alloc(1000, 'x'), {mode: 0o750});
    writeFileSync(join(root, 'empty'), '');
    writeFileSync(join(root, longPath), 'deep');
    linkSync(join(root, 'file'), join(root, 'twin'));
    symlinkSync('file', join(root, 'soft'));
    // As dpkg-deb orders and names them.
    const names = ['./empty', './file', './soft', './twin', `./${longPath}`];
    return execFileSync('tar', ['-c', `--format=${format}`, '-C', root, ...names], {maxBuffer: 1 << 24});
  };

  for (const format of ['gnu', 'ustar']) {
    it(`reads what tar writes as ${format}, however it is cut into chunks`, async function () {
      skipUnless(this, hasCommand('tar'), 'tar is not installed');
      const bytes = archive(format);
      for (const chunkBytes of [1, 511, 512, 4096, bytes.length]) {
        const entries = await collect(bytes, {chunkBytes});
        assert.deepEqual(
          entries.map(({kind, path}) => [kind, path]),
          [
            ['file', 'empty'],
            ['file', 'file'],
            ['symlink', 'soft'],
            ['hardlink', 'twin'],
            ['file', longPath],
          ],
        );
        const [, file, soft, twin, deep] = entries as [TarEntry, TarEntry, TarEntry, TarEntry, TarEntry];
        assert.ok(file.kind === 'file' && file.bytes.length === 1000 && file.mode === 0o750);
        assert.ok(soft.kind === 'symlink' && soft.target === 'file');
        assert.ok(twin.kind === 'hardlink' && twin.target === 'file');
        assert.ok(deep.kind === 'file' && Buffer.from(deep.bytes).toString() === 'deep');
      }
    });
  }

  it('keeps only what is wanted, and names an archive that is cut or no archive', async function () {
    skipUnless(this, hasCommand('tar'), 'tar is not installed');
    const bytes = archive('gnu');
    const some = await collect(bytes, {wanted: (path) => path === 'twin'});
    assert.deepEqual(
      some.map(({path}) => path),
      ['twin'],
    );
    const isPackageError = (error: unknown) => error instanceof FtvmError && error.code === 'package';
    await assert.rejects(collect(bytes.subarray(0, 1100)), isPackageError);
    await assert.rejects(collect(bytes.subarray(0, 700)), isPackageError);
    await assert.rejects(collect(Buffer.alloc(2048, 'no tar')), isPackageError);
  });
});

describe('xz without xz', () => {
  useFolder();

  it('unpacks through dpkg-deb, and names what is damaged', async function () {
    skipUnless(this, hasCommand('dpkg-deb'), 'dpkg-deb is not installed (Debian: dpkg)');
    skipUnless(this, hasCommand('xz'), 'xz is not installed (Debian: xz-utils)');
    const data = Buffer.from('module '.repeat(10_000));
    const {stdout: packed} = spawnSync('xz', ['-c'], {input: data});
    const scratch = join(folder, 'scratch');
    assert.ok(data.equals(await decompressXz(packed, scratch)));
    const damaged = Buffer.from(packed);
    damaged[packed.length >> 1]! ^= 1;
    await assert.rejects(
      decompressXz(damaged, scratch),
      (error) => error instanceof FtvmError && error.code === 'package',
    );
  });
});

async function collect(
  bytes: Uint8Array,
  {chunkBytes = 4096, wanted = () => true}: {chunkBytes?: number; wanted?: (path: string) => boolean} = {},
): Promise<TarEntry[]> {
  async function* chunks(): AsyncGenerator<Uint8Array> {
    for (let at = 0; at < bytes.length; at += chunkBytes) yield bytes.subarray(at, at + chunkBytes);
  }
  const entries: TarEntry[] = [];
  for await (const entry of readTar(chunks(), {source: 'test.tar', wanted})) entries.push(entry);
  return entries;
}
