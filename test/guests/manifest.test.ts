// Finding guests: built-in ones, built ones, files; and every way in which a name, a manifest or an image can be wrong.

import {strict as assert} from 'node:assert';
import {createHash} from 'node:crypto';
import {existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {type ErrorCode, EXIT_CODES, FtvmError} from '../../src/errors.ts';
import {builtGuestsFolder, cacheFolder} from '../../src/guests/cache.ts';
import {type GuestManifest, MANIFEST_FORMAT} from '../../src/guests/guest-manifest.ts';
import {listGuests, resolveGuest} from '../../src/guests/manifest.ts';
import {readManifest} from '../support/fixture-guests.ts';
import {runFtvm} from '../support/ftvm.ts';

const FILES = {kernel: 'the kernel', 'fw_dynamic.bin': 'the firmware', 'initrd.cpio': 'the initrd'};

describe('guests by name or path', () => {
  let folder: string;
  const previous = process.env.XDG_CACHE_HOME;

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'ftvm-guests-'));
    process.env.XDG_CACHE_HOME = folder;
  });
  afterEach(() => {
    if (previous === undefined) delete process.env.XDG_CACHE_HOME;
    else process.env.XDG_CACHE_HOME = previous;
    rmSync(folder, {recursive: true, force: true});
  });

  const artefact = (file: keyof typeof FILES) => ({
    file,
    sizeBytes: FILES[file].length,
    sha256: createHash('sha256').update(FILES[file]).digest('hex'),
  });

  const placeGuest = (name: string, changes: Partial<Record<keyof GuestManifest, unknown>> = {}): string => {
    const guestFolder = join(builtGuestsFolder(), name);
    mkdirSync(guestFolder, {recursive: true});
    for (const [file, text] of Object.entries(FILES)) writeFileSync(join(guestFolder, file), text);
    const manifest: GuestManifest = {
      format: MANIFEST_FORMAT,
      name,
      description: 'a test',
      built: '2026-01-02T03:04:05.000Z',
      recipe: '',
      boot: 'linux',
      kernel: artefact('kernel'),
      firmware: artefact('fw_dynamic.bin'),
      initrd: artefact('initrd.cpio'),
      commandLine: 'console=ttyS0',
      ramBytes: 2 ** 28,
      packages: [],
    };
    writeFileSync(join(guestFolder, 'manifest.json'), JSON.stringify({...manifest, ...changes}));
    return guestFolder;
  };

  const rejectsWith = (code: ErrorCode, promise: Promise<unknown>, pattern = /./): Promise<void> =>
    assert.rejects(promise, (error) => {
      assert.ok(error instanceof FtvmError, String(error));
      assert.equal(error.code, code, error.message);
      assert.match(`${error.message} ${error.hint}`, pattern);
      return true;
    });

  it('keeps to the XDG base directories', () => {
    assert.equal(cacheFolder({XDG_CACHE_HOME: '/x'}), '/x/ftvm');
    assert.match(cacheFolder({XDG_CACHE_HOME: 'relative'}), /\/\.cache\/ftvm$/);
    assert.match(cacheFolder({}), /\/\.cache\/ftvm$/);
  });

  it('finds every built-in guest', async () => {
    for (const {name, sizeBytes} of readManifest().guests) {
      const guest = await resolveGuest(name);
      assert.equal(guest.boot, 'elf');
      assert.equal(guest.images.kernel.length, sizeBytes);
    }
  });

  it('finds a built guest, and takes what the command line puts in its place', async () => {
    placeGuest('mine');
    const guest = await resolveGuest('mine');
    const text = (bytes: Uint8Array | undefined) => Buffer.from(bytes!).toString();
    assert.deepEqual(
      [guest.boot, guest.commandLine, guest.ramBytes, text(guest.images.kernel), text(guest.images.initrd)],
      ['linux', 'console=ttyS0', 2 ** 28, 'the kernel', 'the initrd'],
    );
    const other = join(folder, 'other');
    writeFileSync(other, 'another initrd');
    const changed = await resolveGuest('mine', {initrdPath: other, append: 'more'});
    assert.deepEqual(
      [text(changed.images.initrd), changed.paths.initrd, changed.commandLine],
      ['another initrd', other, 'console=ttyS0 more'],
    );
  });

  it('finds files: an ELF by itself, a kernel with its firmware', async () => {
    const kernel = join(folder, 'vmlinux');
    writeFileSync(kernel, 'k');
    assert.equal((await resolveGuest(kernel)).boot, 'elf');
    const linux = await resolveGuest(kernel, {firmwarePath: kernel, initrdPath: kernel, append: 'x'});
    assert.deepEqual([linux.boot, linux.commandLine, linux.images.initrd?.length], ['linux', 'x', 1]);
    await rejectsWith('usage', resolveGuest(kernel, {initrdPath: kernel}), /--bios/);
    await rejectsWith('usage', resolveGuest('hello', {firmwarePath: kernel}), /--bios/);
  });

  it('names what is missing', async () => {
    await rejectsWith('fileSystem', resolveGuest('debian'), /ftvm guest build debian/);
    await rejectsWith('fileSystem', resolveGuest('nonsense'), /ftvm guest list/);
    await rejectsWith('fileSystem', resolveGuest('./nowhere/x.elf'), /no such file/);
    await rejectsWith('fileSystem', resolveGuest(folder), /a directory/);
  });

  it('names what is damaged', async () => {
    const guestFolder = placeGuest('mine');
    writeFileSync(join(guestFolder, 'initrd.cpio'), 'the inxtrd');
    await rejectsWith('corrupt', resolveGuest('mine'), /initrd\.cpio: digest expected [0-9a-f]{64}, got/);
    rmSync(join(guestFolder, 'initrd.cpio'));
    await rejectsWith('fileSystem', resolveGuest('mine'), /initrd\.cpio: no such file/);
    for (const text of ['', '{', '[]', 'null', '{"format":1}', `{"format":${MANIFEST_FORMAT},"name":1}`]) {
      writeFileSync(join(guestFolder, 'manifest.json'), text);
      const code = text === '[]' || text === 'null' ? 'fileSystem' : 'corrupt'; // Another format: as if it were not there.
      await rejectsWith(code, resolveGuest('mine'));
    }
    placeGuest('sly', {kernel: {...artefact('kernel'), file: '../../../etc/passwd'}});
    await rejectsWith('corrupt', resolveGuest('sly'));
    placeGuest('old', {format: MANIFEST_FORMAT - 1});
    await rejectsWith('fileSystem', resolveGuest('old'));
  });

  it('records nothing of what is damaged, and says that it is, though the machine could not have started it either', async () => {
    const guestFolder = placeGuest('mine');
    const log = join(folder, 'mine.ftlog');
    for (const lengthBytes of [100, 5_000_000]) {
      writeFileSync(join(guestFolder, 'kernel'), new Uint8Array(lengthBytes));
      const {exitCode, stderr} = await runFtvm(['record', 'mine', '-o', log]);
      assert.equal(exitCode, EXIT_CODES.corrupt, stderr);
      assert.match(stderr, /kernel: digest expected/);
      assert.ok(!existsSync(log));
    }
  });

  it('lists the whole ones', async () => {
    placeGuest('zebra');
    placeGuest('aardvark');
    placeGuest('.building-1-x');
    writeFileSync(join(placeGuest('broken'), 'manifest.json'), '{');
    const guests = await listGuests();
    const built = guests.filter(({origin}) => origin === 'built');
    assert.deepEqual(
      built.map(({name, sizeBytes}) => [name, sizeBytes]),
      [
        ['aardvark', 32],
        ['zebra', 32],
      ],
    );
    assert.equal(guests.length - built.length, readManifest().guests.length);
  });
});
