// Building a Debian guest: what it trusts, what it refuses, and that it can be interrupted at any moment. The private apt is
// tested with the smallest package; whole builds share the downloads of the user's cache.

import {strict as assert} from 'node:assert';
import {spawn} from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {setTimeout as sleep} from 'node:timers/promises';
import {fileURLToPath} from 'node:url';
import {EXIT_CODES, FtvmError} from '../../src/errors.ts';
import {aptFolder} from '../../src/guests/cache.ts';
import {PrivateApt, sha256OfFile} from '../../src/guests/debian/apt.ts';
import {DebianGuestBuild} from '../../src/guests/debian/build.ts';
import {findHostTools, type HostTools, mirrorsOf} from '../../src/guests/debian/host-tools.ts';
import {debianGuest, GUEST_BUILD_TIMEOUT_MS} from './debian-guest.ts';

const PROGRAM = fileURLToPath(new URL('../../bin/run.js', import.meta.url));
const SMALL_PACKAGE = 'opensbi';
const ignore = () => undefined;

const isError = (code: string, pattern: RegExp) => (error: unknown) => {
  assert.ok(error instanceof FtvmError, String(error));
  assert.equal(error.code, code, error.message);
  assert.match(error.message, pattern);
  return true;
};

describe('the mirrors of this host', () => {
  it('are read from what apt would fetch', () => {
    const printed = [
      "'http://m.example/debian/dists/bookworm/InRelease' m.example_debian_dists_bookworm_InRelease 0 ",
      "'http://m.example/debian/dists/bookworm-updates/InRelease' x 0 ",
      "'http://m.example/debian-security/dists/bookworm-security/InRelease' x 0 ",
      "'http://m.example/debian/dists/bookworm/main/binary-amd64/Packages.xz' x 0 ",
      "'https://other.example/pub/debian/dists/trixie/InRelease' x 0 ",
      'E: something else',
    ].join('\n');
    assert.deepEqual(mirrorsOf(printed), ['http://m.example/debian', 'https://other.example/pub/debian']);
    assert.deepEqual(mirrorsOf(printed.split('\n').toReversed().join('\n'))[0], 'http://m.example/debian');
    assert.deepEqual(mirrorsOf(''), []);
  });
});

describe('names of guests', () => {
  it('come from the packages, and are safe as names of folders', () => {
    assert.equal(new DebianGuestBuild({packages: []}).name, 'debian');
    assert.equal(new DebianGuestBuild({packages: ['b', 'a', 'b']}).name, 'debian-a-b');
    for (const name of ['', '.', '../x', 'a/b', '-x', 'a b', 'x'.repeat(101)]) {
      assert.throws(() => new DebianGuestBuild({packages: [], name}), isError('usage', /cannot be a guest's name/));
    }
  });
});

describe('the private apt', function () {
  this.timeout(GUEST_BUILD_TIMEOUT_MS);
  let root: string;
  let host: HostTools;

  before(async function () {
    root = mkdtempSync(join(tmpdir(), 'ftvm-apt-'));
    await debianGuest(this); // Skips where there is no apt or no network.
    host = await findHostTools();
  });
  after(() => rmSync(root, {recursive: true, force: true}));

  it('refuses an archive that was altered in its cache, and fetches it again', async () => {
    // The first mirror is somebody else's: passed over.
    const mirrors = [`file:${join(root, 'nothing')}`, ...host.mirrors];
    const apt = await PrivateApt.open(join(root, 'a'), {...host, mirrors}, ignore);
    const packages = await apt.resolve([SMALL_PACKAGE]);
    await apt.download(packages, ignore);
    const [first] = packages;
    const bytes = readFileSync(first!.path);
    bytes[bytes.length >> 1]! ^= 1;
    writeFileSync(first!.path, bytes);
    await apt.download(packages, ignore);
    assert.equal(await sha256OfFile(first!.path), first!.sha256);
  });

  it('names a package that does not exist, and takes no options for packages', async () => {
    const apt = await PrivateApt.open(join(root, 'a'), host, ignore);
    await assert.rejects(
      apt.resolve(['no-such-package-anywhere']),
      isError('package', /no package no-such-package-anywhere/),
    );
    await assert.rejects(apt.resolve(['-oAPT::Architecture=amd64']), isError('package', /no Debian package name/));
    await assert.rejects(apt.resolve(['opensbi/stable']), isError('package', /no Debian package name/));
  });

  it('refuses an index whose signature does not verify', async () => {
    // A mirror in a folder, with the real release file and one changed byte.
    const lists = readdirSync(join(root, 'a', 'lists'));
    const release = readFileSync(join(root, 'a', 'lists', lists.find((name) => name.endsWith('InRelease'))!), 'latin1');
    const mirror = join(root, 'mirror');
    mkdirSync(join(mirror, 'dists', 'trixie'), {recursive: true});
    writeFileSync(
      join(mirror, 'dists/trixie/InRelease'),
      release.replace('Origin: Debian', 'Origin: Dabian'),
      'latin1',
    );
    const open = PrivateApt.open(join(root, 'b'), {...host, mirrors: [`file:${mirror}`]}, ignore);
    await assert.rejects(open, isError('package', /signature does not verify/));
  });

  it('names mirrors that cannot be reached or have no Debian 13', async () => {
    const open = (mirrors: string[]) => PrivateApt.open(join(root, 'c'), {...host, mirrors}, ignore);
    const nothing = `file:${join(root, 'nothing')}`;
    await assert.rejects(open([nothing]), isError('unsupportedHost', /no mirror .* has Debian 13/));
    await assert.rejects(
      open([nothing, 'http://127.0.0.1:1/debian']),
      isError('network', /cannot fetch the package index/),
    );
  });
});

describe('ftvm guest build debian', function () {
  this.timeout(GUEST_BUILD_TIMEOUT_MS);
  let cache: string;

  before(async function () {
    await debianGuest(this);
    cache = mkdtempSync(join(tmpdir(), 'ftvm-cache-'));
    mkdirSync(join(cache, 'ftvm'));
    symlinkSync(aptFolder(), join(cache, 'ftvm', 'apt'));
  });
  after(() => cache && rmSync(cache, {recursive: true, force: true}));

  it('can be killed at any moment: there is a whole guest or none, and the next build succeeds', async () => {
    const guests = join(cache, 'ftvm', 'guests');
    for (const killAfterMs of [700, 2500, 4000, 5500]) {
      const build = start(['guest', 'build', 'debian', '--force'], cache);
      await Promise.race([sleep(killAfterMs), build.ended]);
      build.kill('SIGKILL');
      await build.ended;
      const visible = existsSync(guests) ? readdirSync(guests).filter((name) => !name.startsWith('.')) : [];
      for (const name of visible) assert.ok(existsSync(join(guests, name, 'manifest.json')), `${name} is not whole`);
      await sleep(500); // An apt that outlived its parent finishes and gives up its lock.
    }
    assert.equal((await start(['guest', 'build', 'debian'], cache).ended).exitCode, 0);
    assert.deepEqual(readdirSync(guests), ['debian'], 'nothing is left behind');
  });

  it('takes no time the second time, and builds again what was damaged', async () => {
    const again = await start(['guest', 'build', 'debian', '--json'], cache).ended;
    assert.equal(again.exitCode, 0, again.stderr);
    assert.equal(JSON.parse(again.stdout).reused, true);
    assert.ok(again.elapsedMs < 5000, `${again.elapsedMs} ms`);
    writeFileSync(join(cache, 'ftvm/guests/debian/initrd.cpio'), 'damaged');
    const repaired = await start(['guest', 'build', 'debian', '--json'], cache).ended;
    assert.equal(JSON.parse(repaired.stdout).reused, false);
  });

  it('ends with 130 on Ctrl-C', async () => {
    const build = start(['guest', 'build', 'debian', '--force'], cache);
    await sleep(1500);
    build.kill('SIGINT');
    const {exitCode, stderr} = await build.ended;
    assert.equal(exitCode, 130, stderr);
    assert.match(stderr, /interrupted/);
  });

  it('says what is missing on a host that is not Debian', async () => {
    const {exitCode, stderr} = await start(['guest', 'build', 'debian', '--name', 'other'], cache, {PATH: cache}).ended;
    assert.equal(exitCode, EXIT_CODES.unsupportedHost);
    assert.match(stderr, /no apt-get\nhint: .+/);
  });
});

type Ended = {exitCode: number | null; stdout: string; stderr: string; elapsedMs: number};

function start(
  args: string[],
  cache: string,
  environment: NodeJS.ProcessEnv = {},
): {ended: Promise<Ended>; kill: (signal: NodeJS.Signals) => void} {
  const startMs = Date.now();
  const child = spawn(process.execPath, [PROGRAM, ...args], {
    env: {...process.env, XDG_CACHE_HOME: cache, ...environment},
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let [stdout, stderr] = ['', ''];
  child.stdout.on('data', (chunk: Buffer) => (stdout += chunk.toString()));
  child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()));
  const ended = new Promise<Ended>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (exitCode) => resolve({exitCode, stdout, stderr, elapsedMs: Date.now() - startMs}));
  });
  return {ended, kill: (signal) => void child.kill(signal)};
}
