// A store that has forgotten gives nothing to anybody: neither to who saw more in it before, nor to who comes new and knows from the log
// that there must be a claim.

import assert from 'node:assert/strict';
import {mkdirSync, readdirSync, renameSync, rmSync} from 'node:fs';
import {DirectoryArbiter} from '../../src/replication/arbiter-directory.ts';
import {openArbiter} from '../../src/replication/arbiter-spec.ts';
import {VigilantArbiter} from '../../src/replication/arbiter-vigilant.ts';
import {TemporaryFolder} from '../support/ftvm.ts';
import {A, anyLineage, B, isUnreachable, itArbitrates} from './arbiter-contract.ts';

describe('an arbiter whose store forgets', () => {
  let folder: TemporaryFolder;
  const lineageId = anyLineage();
  const forgotten = (generation: number): ((error: unknown) => boolean) =>
    isUnreachable(new RegExp(`does not know generation ${generation}`), /mounted/);
  beforeEach(() => {
    folder = new TemporaryFolder();
  });
  afterEach(() => folder[Symbol.dispose]());

  it('carries nothing on where nothing began', async () => {
    const arbiter = await openArbiter(`dir:${folder.path}`);
    await assert.rejects(arbiter.claim({lineageId, generation: 2, claimant: A}), forgotten(1));
    assert.deepEqual(readdirSync(folder.path), []);
    assert.deepEqual(await arbiter.claim({lineageId, generation: 1, claimant: A}), {kind: 'won'});
    await assert.rejects(arbiter.claim({lineageId, generation: 3, claimant: A}), forgotten(2));
    assert.deepEqual(await arbiter.claim({lineageId, generation: 2, claimant: A}), {kind: 'won'});
  });

  it('waits until the folder is mounted again', async () => {
    const mounted = folder.join('mounted');
    const elsewhere = folder.join('elsewhere');
    const primary = await openArbiter(`dir:${mounted}`);
    const backup = await openArbiter(`dir:${mounted}`);
    await assert.rejects(primary.claim({lineageId, generation: 1, claimant: A}), isUnreachable(/ENOENT/, /mount/));
    mkdirSync(mounted);
    await primary.claim({lineageId, generation: 1, claimant: A});
    // The mount point itself, an empty folder, shows.
    renameSync(mounted, elsewhere);
    mkdirSync(mounted);
    await assert.rejects(primary.current(lineageId), forgotten(1));
    await assert.rejects(backup.claim({lineageId, generation: 2, claimant: B}), forgotten(1));
    await assert.rejects(primary.claim({lineageId, generation: 2, claimant: A}), forgotten(1));
    rmSync(mounted, {recursive: true});
    renameSync(elsewhere, mounted);
    assert.deepEqual(await backup.claim({lineageId, generation: 2, claimant: B}), {kind: 'won'});
    assert.deepEqual(await primary.claim({lineageId, generation: 2, claimant: A}), {kind: 'lost', by: B});
    assert.deepEqual(await primary.current(lineageId), {generation: 2, claimant: B});
  });

  it('notices a claim that was lost and won again', async () => {
    const primary = await openArbiter(`dir:${folder.path}`);
    for (const generation of [1, 2]) await primary.claim({lineageId, generation, claimant: A});
    rmSync(folder.join(`${lineageId}.2`));
    await assert.rejects(primary.current(lineageId), forgotten(2));
    const other = await openArbiter(`dir:${folder.path}`);
    await other.claim({lineageId, generation: 2, claimant: B});
    await assert.rejects(primary.current(lineageId), isUnreachable(/gave generation 2 to/, /lost a claim/));
    await assert.rejects(primary.claim({lineageId, generation: 2, claimant: A}), isUnreachable(/gave generation 2/));
  });

  it('would win in an empty store without it', async () => {
    const trusting = new DirectoryArbiter({spec: 'dir:empty', path: folder.path});
    assert.deepEqual(await trusting.claim({lineageId, generation: 2, claimant: B}), {kind: 'won'});
  });
});

describe('an arbiter that is watched', () => {
  let folder: TemporaryFolder;
  beforeEach(() => {
    folder = new TemporaryFolder();
  });
  afterEach(() => folder[Symbol.dispose]());
  itArbitrates(() => new VigilantArbiter(new DirectoryArbiter({spec: 'dir:contract', path: folder.path})));
});
